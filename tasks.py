"""The verbs of thingmint, a short function each, and the boundary that turns errors into exit codes."""

import atexit
import functools
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from thingmint.lab import chaos, planted
from thingmint.lab.thing import faults, manners

if TYPE_CHECKING:
    from thingmint.session import Session

# thingmint itself is found beside this file by any `invoke`; what it stands on, in its own environment alone.
_NEEDED = ("pydantic", "cryptography", "jinja2", "rich")
if not (3, 11) <= sys.version_info[:2] < (3, 14) or not all(map(importlib.util.find_spec, _NEEDED)):
    raise Exit(
        f"error: this `invoke` belongs to {sys.prefix}, not to thingmint's environment: "
        "run `make setup` (Windows: py bootstrap.py), then the line that it ends with.",
        2,
    )

_IMEI = "the device id, usually the IMEI on the sticker inside the device"
_KEY = "rsa:2048 or ec:P-256; a new key only, default in the configuration"
_CA_KEY = "rsa:2048, ec:P-256, or the pkcs11: URI of a token's key; a new key only, default in the configuration"
_ENCRYPT = "encrypt the new key; its passphrase is asked for, or comes from where pki.passphrase says"
_DAYS = "validity in days, cut at the issuer's end; default in the configuration"
_CA = "the authority, e.g. factory-a; subca if not given"
_JSON = "print JSON instead of a table"
_PORT = "the modem's serial port, socket://HOST:PORT, rfc2217://HOST:PORT, or auto: the one that is found"
_SEC_TAG = "where the modem keeps them, and the firmware looks; as before, or 10, if not given"
_MISMATCH = "go on although the modem's IMEI is not the device id"
_LAB_ROOT = "the lab's root into a real modem, or Azure's into a simulated one"
_SDK = "PATH, the nRF Connect SDK (the folder of nrf/ and zephyr/); looked for if not given"
_EMPTY = "a new lab in which nothing is made yet: no resource group, hub or provisioning service (`invoke hub-create`)"
_LISTEN = "an address of this machine on which real devices reach the lab, its MQTT endpoint alone; none if not given"
_CHAOS = "seed=N,rate=R (either may be left out): misbehave on purpose, as often as the rate says; the seed replays it"
_YES = "do not ask (a production hub asks all the same)"


@functools.cache
def _session(echo: bool, dry: bool) -> "Session":
    """One session for all tasks of a command line; when it is over, the last of them tells what to type next."""
    from thingmint.session import open_session

    session = open_session(echo=echo, dry=dry)
    atexit.register(session.console.tell_next_step)
    return session


def _reader_left() -> bool:
    """Whether it was stdout or stderr that broke: what could not be written is still waiting there."""
    from thingmint.console import reader_left

    for stream in (sys.stdout, sys.stderr):
        try:
            if stream:
                stream.flush()
        except BrokenPipeError:
            return True
        if reader_left(stream):  # where nothing was kept back
            return True
    return False


_OPTIONS: dict[str, dict[str, bool]] = {}  # task → its options that take a value → whether they may be repeated


def _refuse_beforehand(words: list[str]) -> None:
    """What has to be noticed before the first task of the line acts.

    Of an option that is given twice, Invoke keeps the first value, and runs the second as a task; some options that lack
    their value it takes for not given. And in `lab-down lab-up --listen X` the lab would be gone before X is refused.
    """
    from thingmint.errors import InputError

    try:
        _require_sound(words)
    except InputError as error:
        raise Exit(error.render(), error.exit_code) from None


def _require_sound(words: list[str]) -> None:
    from thingmint.errors import InputError

    task_name = ""
    options: dict[str, bool] = {}
    seen: set[str] = set()
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if word in _OPTIONS:
            task_name, options, seen = word, _OPTIONS[word], set()
        elif name in options:
            given = value if equals else next(rest, None)
            if given is None or (given in options and not equals):
                raise InputError(
                    f"{name} wants a value; nothing was done.", things_to_try=[f"invoke --help {task_name}"]
                )
            if name in seen and not options[name]:
                raise InputError(f"{name} was given more than once; nothing was done.")
            seen.add(name)
            # How a lab is to start.
            if name == "--chaos":
                chaos.parse(given)
            elif name == "--listen":
                from thingmint.lab import listen

                listen.parse(given)


def verb(*, iterable: tuple[str, ...] = (), **help_texts: str) -> Callable[[Callable[..., None]], Any]:
    """A task that is handed a Session; every error a user can cause leaves it as text and an exit code.

    The options `iterable` may be given several times.
    """

    def flag(name: str) -> str:
        return name.strip("_").replace("_", "-")

    def decorate(function: Callable[..., None]) -> Any:
        valued = [one.name for one in inspect.signature(function).parameters.values() if one.default is None]
        _OPTIONS[flag(function.__name__)] = {f"--{flag(name)}": name in iterable for name in valued}

        @functools.wraps(function)
        def bounded(context: Context, *arguments: Any, **options: Any) -> None:
            from thingmint.errors import INTERRUPTED, ThingmintError, explain_os_error

            try:
                session = _session(context.config.run.echo, context.config.run.dry)
                with session.console.one_task(), planted.told(session):
                    function(session, *arguments, **options)
            except ThingmintError as error:
                raise Exit(error.render(), error.exit_code) from None
            except KeyboardInterrupt as stop:
                told = str(stop) or "interrupted; nothing is half done: run the same line again"
                raise Exit(told, INTERRUPTED) from None
            except OSError as error:
                if isinstance(error, BrokenPipeError) and _reader_left():
                    # `invoke … | head`: point stdout elsewhere, so that no flush fails later.
                    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - lives until exit
                    raise Exit("", 141) from None  # as shells have it: 128 + SIGPIPE; what came after was not done
                known = explain_os_error(error)
                raise Exit(known.render(), known.exit_code) from None

        # -e is Invoke's own --echo: no short flags of ours, ever.
        return task(bounded, auto_shortflags=False, iterable=iterable, help=help_texts)

    return decorate


@verb(cn="common name; default in the configuration", key=_CA_KEY, days=_DAYS, encrypt=_ENCRYPT)
def rootca(
    session: "Session",
    cn: str | None = None,
    key: str | None = None,
    days: str | None = None,
    encrypt: bool = False,
) -> None:
    """Make the root CA: folders, cnf, key, CSR and self-signed certificate."""
    from thingmint.workflows.authority import authorities

    authorities.rootca(session, cn=cn, key=key, days=days, encrypt=encrypt)


@verb(
    name="the authority's name, its folder in ca/; subca if not given",
    parent="the authority that signs it; rootca if not given",
    cn="common name; default in the configuration",
    key=_CA_KEY,
    days=_DAYS,
    encrypt=_ENCRYPT,
    pathlen="how many further authorities may stand below it; as its parent allows, 0 below the root",
    csr_to="make key and CSR alone, with a copy of the CSR in this file: another workspace signs it",
    csr="sign this CSR, whose key is in another workspace",
)
def subca(
    session: "Session",
    name: str | None = None,
    parent: str | None = None,
    cn: str | None = None,
    key: str | None = None,
    days: str | None = None,
    pathlen: str | None = None,
    encrypt: bool = False,
    csr_to: str | None = None,
    csr: str | None = None,
) -> None:
    """Make an intermediate CA, signed by its parent, here or in another workspace."""
    from thingmint.workflows.authority import authorities

    authorities.subca(
        session,
        name=name,
        parent=parent,
        cn=cn,
        key=key,
        days=days,
        pathlen=pathlen,
        encrypt=encrypt,
        csr_to=csr_to,
        csr=csr,
    )


@verb(
    ca=_CA,
    name="the certificate's name on the hub; default in the configuration",
    replace="put it in place of another certificate of that name",
)
def verify(session: "Session", ca: str | None = None, name: str | None = None, replace: bool = False) -> None:
    """Upload a CA to the hub and prove possession of its key."""
    from thingmint.workflows.authority import authorities

    authorities.verify(session, ca=ca, name=name, replace=replace)


@verb(
    iterable=("recipient",),
    to="the file to make, e.g. team.bundle",
    recipient="CERT, a certificate (PEM) whose key opens it, instead of a passphrase; may be repeated",
    with_root_key="put the root key in, too",
)
def ca_export(
    session: "Session", to: str | None = None, recipient: list[str] | None = None, with_root_key: bool = False
) -> None:
    """Seal the authorities of this workspace into a bundle for the team."""
    from thingmint.workflows.authority import team

    team.ca_export(session, to=to, recipient=recipient or (), with_root_key=with_root_key)


@verb(
    from_="a bundle, or the certificate chain that answers a CSR of this workspace",
    key="your private key, where the bundle is sealed for recipients",
    yes="do not ask whether the thumbprints are right",
)
def ca_import(session: "Session", from_: str | None = None, key: str | None = None, yes: bool = False) -> None:
    """Open a bundle of authorities, or take a signed chain, into this workspace."""
    from thingmint.workflows.authority import team

    team.ca_import(session, source=from_, key=key, yes=yes)


@verb(
    imei=_IMEI,
    imei_file="many devices: a file with one id a line, or CSV with a column imei; - reads standard input",
    ca=_CA,
    key=_KEY,
    days=_DAYS,
    renew="a new key and certificate; the old ones are revoked and kept in devices/retired/",
    no_register="make the certificate only, without an identity on the hub",
    keygen="the modem on --port makes the key, and keeps it; the certificate is written back into it",
    port=_PORT,
    sec_tag=_SEC_TAG,
    force="with --keygen: replace what else the sec tag holds",
    allow_mismatch=_MISMATCH,
    allow_lab_root=_LAB_ROOT,
)
def device(
    session: "Session",
    imei: str | None = None,
    imei_file: str | None = None,
    ca: str | None = None,
    key: str | None = None,
    days: str | None = None,
    renew: bool = False,
    no_register: bool = False,
    keygen: bool = False,
    port: str | None = None,
    sec_tag: str | None = None,
    force: bool = False,
    allow_mismatch: bool = False,
    allow_lab_root: bool = False,
) -> None:
    """Register a device, or many, on the hub and make key, CSR, certificate and chain."""
    from thingmint.workflows import options

    of_modem = {
        "port": port,
        "sec-tag": sec_tag,
        "force": force,
        "allow-mismatch": allow_mismatch,
        "allow-lab-root": allow_lab_root,
    }
    register = not no_register
    if imei_file is not None:
        from thingmint.workflows.device import series

        why = "it makes new devices, whose keys are made here"
        options.require_alone("--imei-file", why, imei=imei, renew=renew, keygen=keygen, **of_modem)
        series.devices(session, file=imei_file, ca=ca, key=key, days=days, register=register)
    elif keygen:
        from thingmint.workflows.modem import keygen as generated
        from thingmint.workflows.modem import station

        leave = station.Leave(mismatch=allow_mismatch, misfit=allow_lab_root, force=force)
        generated.device(
            session,
            imei=imei,
            port=port,
            sec_tag=sec_tag,
            leave=leave,
            ca=ca,
            key=key,
            days=days,
            renew=renew,
            register=register,
        )
    else:
        from thingmint.workflows.device import devices

        options.require_beside("--keygen", "without it, no modem is spoken to", **of_modem)
        devices.device(session, imei=imei, ca=ca, key=key, days=days, renew=renew, register=register)


@verb(
    imei=_IMEI,
    dps="register at the provisioning service first, which assigns the hub",
    websockets="over port 443 instead of 8883, for networks that block that",
)
def connect(session: "Session", imei: str | None = None, dps: bool = False, websockets: bool = False) -> None:
    """Connect as the device over MQTT/TLS, send telemetry, and prove that the hub heard it."""
    from thingmint.workflows.device import connection

    connection.connect(session, imei=imei, dps=dps, websockets=websockets)


@verb(
    group="the enrollment group's name; the authority's if not given",
    ca=_CA,
    name="the certificate's name on the provisioning service; default in the configuration",
    replace="put it in place of another certificate of that name, and roll the group to it",
)
def enroll(
    session: "Session",
    group: str | None = None,
    ca: str | None = None,
    name: str | None = None,
    replace: bool = False,
) -> None:
    """Upload a CA to the provisioning service, prove possession of its key, and enroll its devices."""
    from thingmint.workflows.hub import enrollment

    enrollment.enroll(session, group=group, ca=ca, name=name, replace=replace)


@verb(json=_JSON)
def enrollments(session: "Session", json: bool = False) -> None:
    """List who may come in through the provisioning service, and who did."""
    from thingmint.workflows.hub import enrollment

    enrollment.enrollments(session, as_json=json)


@verb(group="an enrollment group's name", imei="a device with an enrollment of its own: one that is blocked", yes=_YES)
def enrollment_delete(session: "Session", group: str | None = None, imei: str | None = None, yes: bool = False) -> None:
    """Delete an enrollment group, or a single device's enrollment, from the provisioning service."""
    from thingmint.workflows.hub import enrollment

    enrollment.enrollment_delete(session, group=group, imei=imei, yes=yes)


@verb(
    iterable=("set_",),
    imei=_IMEI,
    set_="NAME=VALUE, a desired property, e.g. telemetryInterval=5; JSON or text, null removes it; may be repeated",
    json=_JSON,
)
def twin(session: "Session", imei: str | None = None, set_: list[str] | None = None, json: bool = False) -> None:
    """Show what is desired of a device and what it reported; change what is desired."""
    from thingmint.workflows.hub import conversation

    conversation.twin(session, imei=imei, changes=set_ or (), as_json=json)


@verb(
    imei=_IMEI,
    name="the method, e.g. led, which Nordic's azure_iot_hub knows",
    payload="what it is given: JSON, or else text; nothing if not given",
    timeout="seconds to wait for the answer, 5 to 300; 30 if not given",
)
def method(
    session: "Session",
    imei: str | None = None,
    name: str | None = None,
    payload: str | None = None,
    timeout: str | None = None,
) -> None:
    """Call a method of a connected device, and print what it answers."""
    from thingmint.workflows.hub import conversation

    conversation.method(session, imei=imei, name=name, payload=payload, timeout=timeout)


@verb(imei="one device alone; all if not given", json="print a JSON object a line")
def events(session: "Session", imei: str | None = None, json: bool = False) -> None:
    """Follow what devices send, until Ctrl-C."""
    from thingmint.workflows.hub import following

    following.events(session, imei=imei, as_json=json)


@verb(
    imei=_IMEI,
    ca="an authority: rootca, subca, …",
    header="a C header instead, for firmware: server roots, the device's certificate and its chain; never a key",
)
def show(session: "Session", imei: str | None = None, ca: str | None = None, header: bool = False) -> None:
    """Show a device's or an authority's CSR, certificate and chain."""
    from thingmint.workflows.authority import listing

    listing.show(session, imei=imei, ca=ca, header=header)


@verb(json=_JSON)
def cas(session: "Session", json: bool = False) -> None:
    """List the CA certificates on the hub."""
    from thingmint.workflows.authority import listing

    listing.cas(session, as_json=json)


@verb(
    imei=_IMEI,
    port=_PORT,
    sec_tag=_SEC_TAG,
    secondary_tag="where the second server root goes; as before, or 11, if not given",
    server_root="FILE, your own server root (PEM) instead of Azure's or the lab's",
    force="replace what else the sec tags hold",
    allow_mismatch=_MISMATCH,
    allow_lab_root=_LAB_ROOT,
)
def provision(
    session: "Session",
    imei: str | None = None,
    port: str | None = None,
    sec_tag: str | None = None,
    secondary_tag: str | None = None,
    server_root: str | None = None,
    force: bool = False,
    allow_mismatch: bool = False,
    allow_lab_root: bool = False,
) -> None:
    """Load server roots, certificate and key into the modem, each proven by its digest."""
    from thingmint.workflows.modem import provisioning
    from thingmint.workflows.modem.station import Leave

    provisioning.provision(
        session,
        imei=imei,
        port=port,
        sec_tag=sec_tag,
        secondary_tag=secondary_tag,
        leave=Leave(mismatch=allow_mismatch, misfit=allow_lab_root, force=force),
        server_root=server_root,
    )


@verb(
    app="at_client or azure_iot_hub, Nordic's samples, or PATH, an application of your own",
    imei="the device id that is built in; without it, one binary serves many devices",
    network="the operator's profile, e.g. telstra-iot: access point and address family",
    dps="have the device ask the provisioning service for its hub",
    debug="log how the connection is made, and which address the hub's name was resolved to",
    board="the board as this SDK calls it; the Thingy:91 if not given",
    sdk=_SDK,
)
def firmware(
    session: "Session",
    app: str | None = None,
    imei: str | None = None,
    network: str | None = None,
    dps: bool = False,
    debug: bool = False,
    board: str | None = None,
    sdk: str | None = None,
) -> None:
    """Build an application for a device, and prove that the build took what it was asked for."""
    from thingmint.workflows.firmware import firmware as workflow

    workflow.firmware(session, app=app, imei=imei, network=network, dps=dps, debug=debug, board=board, sdk=sdk)


@verb(
    from_="the sample to begin with: azure_iot_hub or at_client",
    dest="the folder to make, e.g. firmware/thingy91_azure",
    ipv6="put the article's changes in: wait for IPv6 before connecting, and ask for IPv6 alone",
    sdk=_SDK,
)
def app_create(
    session: "Session", from_: str | None = None, dest: str | None = None, ipv6: bool = False, sdk: str | None = None
) -> None:
    """Begin an application of your own as a copy of one of Nordic's samples."""
    from thingmint.workflows.firmware import application

    application.app_create(session, source=from_, dest=dest, ipv6=ipv6, sdk=sdk)


@verb(port=_PORT, json=_JSON)
def creds(session: "Session", port: str | None = None, json: bool = False) -> None:
    """List the credentials that a modem holds."""
    from thingmint.workflows.modem import modems

    modems.creds(session, port=port, as_json=json)


@verb(port=_PORT, sec_tag="the sec tag to empty, e.g. 10", yes=_YES)
def creds_delete(session: "Session", port: str | None = None, sec_tag: str | None = None, yes: bool = False) -> None:
    """Delete what a sec tag of a modem holds."""
    from thingmint.workflows.modem import modems

    modems.creds_delete(session, port=port, sec_tag=sec_tag, yes=yes)


@verb(
    app="an application that was built: at_client, azure_iot_hub, or its folder",
    file="an image of your own: app_update.bin, zephyr.signed.bin, or the .hex of either",
    port="the device's serial port, socket://HOST:PORT, rfc2217://HOST:PORT, or auto: the one whose bootloader answers",
)
def flash(session: "Session", app: str | None = None, file: str | None = None, port: str | None = None) -> None:
    """Write an application into a device that waits in its bootloader, and prove it."""
    from thingmint.workflows.firmware import flashing

    flashing.flash(session, app=app, file=file, port=port)


@verb(
    port="the port of the device's log: /dev/ttyACM0, COM5, socket://HOST:PORT or rfc2217://HOST:PORT",
    file="a saved log; - reads standard input",
    json="print the conclusions as JSON, and no lines",
    until="connected: end as soon as the device is proven to be connected to the hub",
    timeout="seconds to listen to the port; until Ctrl-C if not given",
)
def monitor(
    session: "Session",
    port: str | None = None,
    file: str | None = None,
    json: bool = False,
    until: str | None = None,
    timeout: str | None = None,
) -> None:
    """Read a device's log, and say what it proves, or what went wrong."""
    from thingmint.workflows.firmware import monitoring

    monitoring.monitor(session, port=port, file=file, as_json=json, until=until, timeout=timeout)


@verb(name="the certificate's name on the hub", yes=_YES)
def ca_delete(session: "Session", name: str | None = None, yes: bool = False) -> None:
    """Delete a CA certificate from the hub."""
    from thingmint.workflows.authority import listing

    listing.ca_delete(session, name=name, yes=yes)


@verb(json=_JSON)
def devices(session: "Session", json: bool = False) -> None:
    """List the device identities on the hub."""
    from thingmint.workflows.device import devices as workflow

    workflow.devices(session, as_json=json)


@verb(imei=_IMEI, yes=_YES)
def device_delete(session: "Session", imei: str | None = None, yes: bool = False) -> None:
    """Delete a device's identity from the hub; its files stay."""
    from thingmint.workflows.device import devices as workflow

    workflow.device_delete(session, imei=imei, yes=yes)


@verb(
    imei=_IMEI,
    reason="unspecified, keyCompromise, affiliationChanged, superseded or cessationOfOperation",
    yes=_YES,
)
def device_revoke(session: "Session", imei: str | None = None, reason: str | None = None, yes: bool = False) -> None:
    """Revoke a device's certificate and disable its identity on the hub."""
    from thingmint.workflows.device import lifecycle

    lifecycle.device_revoke(session, imei=imei, reason=reason, yes=yes)


@verb(ca=_CA)
def crl(session: "Session", ca: str | None = None) -> None:
    """Make a CA's revocation list."""
    from thingmint.workflows.device import lifecycle

    lifecycle.crl(session, ca=ca)


@verb()
def ca_check(session: "Session") -> None:
    """Prove that authorities and devices are whole; change nothing."""
    from thingmint.workflows.device import lifecycle

    lifecycle.ca_check(session)


@verb(within="days from now, e.g. 30d; 90d if not given", json=_JSON)
def expiring(session: "Session", within: str | None = None, json: bool = False) -> None:
    """List the certificates that end soon; exit code 4 if any does."""
    from thingmint.workflows.device import lifecycle

    lifecycle.expiring(session, within=within, as_json=json)


@verb()
def config(session: "Session") -> None:
    """Show the values in force and where each came from."""
    from thingmint.workflows.authority import listing

    listing.config(session)


@verb(
    sku="the hub's edition, where it is made: F1 (free, one a subscription) or S1 (charged); F1 if not given",
    location="where in Azure what is missing is made, e.g. westeurope; azure.location if not given",
    yes=_YES,
)
def hub_create(session: "Session", sku: str | None = None, location: str | None = None, yes: bool = False) -> None:
    """Make resource group, hub, provisioning service and their link, where they are missing."""
    from thingmint.workflows.hub import creation

    creation.hub_create(session, sku=sku, location=location, yes=yes)


@verb(json=_JSON)
def hub_show(session: "Session", json: bool = False) -> None:
    """Show subscription, hub and provisioning service, and what of them is missing."""
    from thingmint.workflows.hub import overview

    overview.hub_show(session, as_json=json)


@verb(empty=_EMPTY, chaos=_CHAOS, listen=_LISTEN)
def lab(session: "Session", empty: bool = False, chaos: str | None = None, listen: str | None = None) -> None:
    """Run the lab in the foreground until Ctrl-C."""
    from thingmint.workflows.lab import laboratory

    laboratory.run(session, empty=empty, chaos=chaos, listen=listen)


@verb(empty=_EMPTY, chaos=_CHAOS, listen=_LISTEN)
def lab_up(session: "Session", empty: bool = False, chaos: str | None = None, listen: str | None = None) -> None:
    """Start the lab, the local hub, in the background."""
    from thingmint.workflows.lab import laboratory

    laboratory.up(session, empty=empty, chaos=chaos, listen=listen)


@verb()
def lab_down(session: "Session") -> None:
    """Stop the lab; what it stored stays."""
    from thingmint.workflows.lab import laboratory

    laboratory.down(session)


@verb(  # noqa: S604 - a help text, not a shell
    shell="sh (or bash, zsh), powershell or cmd; sh if not given, on Windows powershell",
    undo="put the shell back as it was",
)
def lab_env(session: "Session", shell: str | None = None, undo: bool = False) -> None:
    """Print the lines that set a shell up for the lab: for az, and for every SDK."""
    from thingmint.workflows.lab import laboratory

    laboratory.env(session, shell=shell, undo=undo)


@verb(
    iterable=("fault",),
    imei=_IMEI,
    fault="NAME or NAME=VALUE, from the list above; may be repeated",
    app="at_client, to be loaded, or azure_iot_hub, which connects with what the modem holds; what it was flashed with, if not given",
)
def modem(session: "Session", imei: str | None = None, fault: list[str] | None = None, app: str | None = None) -> None:
    """Run a simulated modem in the foreground until Ctrl-C."""
    from thingmint.workflows.lab import simulated

    simulated.modem(session, imei=imei, fault=fault or (), app=app)


modem.__doc__ += "\n\n--fault switches (a device that treats its hub badly: invoke --help advise):\n\n" + "".join(
    f"{name}\n    {text}\n" for name, text in faults.described()
)


@verb(
    address="an IPv6 address, e.g. from a device's log: which IPv4 server it stands for",
    ipv4="an IPv4 address: what it is on an IPv6-only network",
    prefix="the network's NAT64 prefix, e.g. 64:ff9b::/96",
    discover="ask the resolver which prefix the network has that this machine is on",
    resolver="ADDRESS or [ADDRESS]:PORT of the resolver to ask; the system's if not given",
    network="an operator of config/networks.yaml, whose prefix is expected",
    json="print JSON",
)
def nat64(
    session: "Session",
    address: str | None = None,
    ipv4: str | None = None,
    prefix: str | None = None,
    discover: bool = False,
    resolver: str | None = None,
    network: str | None = None,
    json: bool = False,
) -> None:
    """Convert between IPv4 and IPv6 addresses as a NAT64 does, or discover the network's prefix."""
    from thingmint.workflows.network import translation

    translation.nat64(
        session,
        address=address,
        ipv4=ipv4,
        prefix=prefix,
        discover=discover,
        resolver=resolver,
        network=network,
        as_json=json,
    )


@verb(
    iterable=("fault",),
    imei=f"{_IMEI}; the one that is connected, or connects next, if not given",
    fault="NAME, from the list above: the simulated device has it; may be repeated",
    patience="seconds a case may take; 120 if not given, of the simulated device 8",
    json=_JSON,
)
def advise(
    session: "Session",
    imei: str | None = None,
    fault: list[str] | None = None,
    patience: str | None = None,
    json: bool = False,
) -> None:
    """Drive a device through the faults of a hub, and say in sentences how it takes them."""
    from thingmint.workflows.lab import advising

    advising.advise(session, imei=imei, fault=fault or (), patience=patience, as_json=json)


advise.__doc__ += "\n\n--fault names (a modem that behaves badly: invoke --help modem):\n\n" + "".join(
    f"{name}\n    {text}\n" for name, (text, _) in manners.FAULTS.items()
)


@verb(imei=_IMEI)
def rehearse(session: "Session", imei: str | None = None) -> None:
    """Run the whole path in a workspace and a lab of its own, from root CA to telemetry."""
    from thingmint.workflows.lab import rehearsal

    rehearsal.rehearse(session, imei=imei)


if "--complete" not in sys.argv:  # a shell asks, of a line that is not whole yet
    _refuse_beforehand(sys.argv[1:])
