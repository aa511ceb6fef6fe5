"""lab-up, lab-down and lab: the local hub, behind or in front; lab-env: a shell in which other clients find it."""

import os
import sys
from typing import TYPE_CHECKING

from thingmint import files
from thingmint.errors import InputError
from thingmint.lab import listen as listening
from thingmint.lab.chaos import parse
from thingmint.lab.state import LabFolder, Role
from thingmint.session import Session
from thingmint.workflows import targets

if TYPE_CHECKING:
    from thingmint.lab.control import RunningLab
    from thingmint.lab.environment import Dialect


_NEXT_EMPTY = "invoke hub-create"
_DEVICES_PORT = 8883  # what firmware uses unless told otherwise
_NEXT = "invoke rootca subca verify device --imei ID; invoke lab-down stops the lab"


def up(session: Session, *, empty: bool = False, chaos: str | None = None, listen: str | None = None) -> None:
    """Start it, or say that it runs. `empty`: with nothing made yet. `chaos`: misbehaving as that says.

    `listen`: an address of this machine on which devices reach it.
    """
    wanted, reached = parse(chaos), listening.parse(listen)
    _announce(session)
    if session.dry:
        session.console.say("would start the lab" + (", with nothing in its account yet" if empty else ""))
        return
    from thingmint.lab import control

    session.workspace.prepare()
    running = control.running(session)
    # Also of a running one: it may play another hub.
    lab = control.start(session, empty=empty, chaos=wanted, listen=reached)
    session.console.say("unchanged: the lab is running already" if running else "started: the lab")
    session.console.next_step(_tell(session, lab))


def down(session: Session) -> None:
    """Stop it, or say that none runs: both are success."""
    _announce(session)
    if session.dry:
        session.console.say("would stop the lab")
        return
    from thingmint.lab import control, environment, holdings

    lab = LabFolder(session.workspace.lab)
    used = holdings.in_use(lab)
    stopped = control.stop(session)
    environment.forget_tokens(lab)
    session.console.say("stopped: the lab" if stopped else "unchanged: no lab was running")
    if used:
        session.console.say(f"  what stays: certificates, devices and telemetry in {session.workspace.lab}")


def run(session: Session, *, empty: bool, chaos: str | None = None, listen: str | None = None) -> None:
    """In the foreground: its log on stderr, until Ctrl-C, `lab-down`, or idleness."""
    wanted, reached = parse(chaos), listening.parse(listen)
    _announce(session)
    if session.dry:
        session.console.say("would run the lab in the foreground")
        return
    from thingmint.lab import control

    if control.running(session):
        raise InputError("the lab is running already, in the background.", things_to_try=["stop it: invoke lab-down"])
    session.workspace.prepare()

    def ready(lab: "RunningLab") -> None:
        next_step = _tell(session, lab)
        session.console.say(f"next, in another terminal: {next_step}")

    control.serve(session, ready, empty=empty, chaos=wanted, listen=reached)


def env(session: Session, *, shell: str | None, undo: bool) -> None:
    """The lines that set a shell up for the lab, or put it back, on stdout; all else on stderr."""
    from thingmint.lab import environment

    dialect = environment.at_hand(os.environ) if shell is None else environment.spoken(shell)
    if dialect is None:
        raise InputError(f"--shell {shell!r} is no shell that is known here.", things_to_try=environment.DIALECTS)
    if undo:
        _put_back(session, dialect)
        return
    if session.settings.target != "lab":
        raise InputError(
            "the configuration's target is azure: there is no lab that a shell could be set up for.",
            things_to_try=["unset THINGMINT_CONFIG and THINGMINT_TARGET, then run this again"],
        )
    _announce(session)
    if session.dry:
        session.console.say(f"would start the lab and print the lines that set {dialect.name} up for it")
        return
    lab = targets.open_lab(session)
    folder, role = LabFolder(lab.folder), Role.of(session.settings)
    files.make_private_directory(folder.azure_config)
    # az would go on with tokens and answers of an earlier start, which this lab does not know; so it asks again.
    environment.forget_tokens(folder)
    wanted = environment.variables(folder, role, lab.proxy_port, os.environ)
    _print(session, dialect, "", environment.set_up(dialect, wanted, os.environ))
    lost = environment.lost(os.environ, wanted)
    if lost:
        session.console.say(f"removed from this shell, and kept nowhere: {', '.join(lost)}")
    session.console.say("from this shell, Azure's clients reach the lab alone, until its end or:")
    session.console.say(f"  {dialect.used(' --undo')}")
    session.console.say(
        f"az keeps the secret that it signs in with, readable, in {folder.azure_config} until then: give it no real one"
    )
    session.console.next_step(f"az login --service-principal --username any --password any --tenant {role.tenant_id}")


def _put_back(session: Session, dialect: "Dialect") -> None:
    from thingmint.lab import environment

    folder = environment.folder_of(os.environ)
    if folder is None:
        session.console.say("unchanged: this shell is not set up for the lab")
        return
    lab = LabFolder(folder)
    if session.dry:
        session.console.say(f"would print the lines that put {dialect.name} back, and sign az out of {lab.path}")
        return
    # Any lab's: its names are what counts here.
    names = environment.variables(lab, Role.of(session.settings), 0, os.environ)
    _print(session, dialect, " --undo", environment.undo(dialect, names, os.environ))
    if lab.secrets.exists():  # a lab's folder indeed
        environment.forget_sign_ins(lab)
    session.console.say("this shell is as it was before, but for credentials (AZURE_…, ARM_…): set yours again")


def _print(session: Session, dialect: "Dialect", options: str, lines: list[str]) -> None:
    text = "\n".join(lines)
    encoding = (sys.stdout and sys.stdout.encoding) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError as error:
        raise InputError(
            f"{text[error.start : error.end]!r} of a folder's name cannot be written in this shell's encoding, {encoding}.",
            things_to_try=["PYTHONUTF8=1", "name another workspace in THINGMINT_WORKSPACE"],
        ) from None
    session.console.result(text)
    if sys.stdout and sys.stdout.isatty():
        session.console.say(f"nothing is set yet; in {dialect.name}: {dialect.used(options)}")


def _announce(session: Session) -> None:
    session.console.announce(f"lab ({session.workspace.lab})")


def _tell(session: Session, lab: "RunningLab") -> str:
    """Where it answers. Returns what to type next."""
    from thingmint.lab import holdings

    stands = holdings.hub_stands(LabFolder(lab.folder), session.settings.azure.hub)
    host = session.settings.hub_host
    session.console.say(
        f"  {f'{host} on this machine' if stands else f'on this machine, where {host} is not made yet'}: "
        f"https://localhost:{lab.https_port}, MQTT on port {lab.mqtt_port}, CONNECT proxy on port {lab.proxy_port}"
    )
    session.console.say(f"  watch it: {lab.page}")
    if lab.chaos:
        listen = f" --listen {lab.listen.host}" if lab.listen else ""
        session.console.say(
            f"  it misbehaves on purpose, each fault a line in its log; the same again: --chaos {lab.chaos}; "
            f"to end that: invoke lab-down lab-up{listen}"
        )
    if lab.listen:
        _tell_outside(session, lab, lab.listen)
    session.console.say(
        f"  log: {lab.folder / 'lab.log'} · ends after {session.settings.lab.idle_minutes} idle minutes"
    )
    return _NEXT if stands else _NEXT_EMPTY


def _tell_outside(session: Session, lab: "RunningLab", listen: listening.Listen) -> None:
    session.console.warn(
        f"whoever reaches {listen} reaches this lab's MQTT endpoint, port {lab.outside_port}, and nothing else of it; "
        "a device is let in with a certificate of a verified CA, or one registered by its thumbprint; and the provisioning "
        "service answers there whoever shows a certificate."
    )
    # https://github.com/nrfconnect/sdk-nrf/tree/main/subsys/net/lib/mqtt_helper: its Kconfig has both options.
    port = "" if lab.outside_port == _DEVICES_PORT else f", CONFIG_MQTT_HELPER_PORT={lab.outside_port}"
    session.console.say(
        f'  firmware for it: CONFIG_MQTT_HELPER_STATIC_IP_ADDRESS="{listen.address}"{port}; '
        f"CONFIG_AZURE_IOT_HUB_HOSTNAME stays {session.settings.hub_host}"
    )
    session.console.say("  its modem has to trust the lab: invoke provision --imei ID --port auto --allow-lab-root")
