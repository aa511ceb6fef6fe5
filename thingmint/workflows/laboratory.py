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


_NEXT_EMPTY = "invoke hub-create"
_DEVICES_PORT = 8883  # what firmware uses unless told otherwise
_USE = {
    "sh": 'eval "$(invoke lab-env)"',
    "powershell": "invoke lab-env --shell powershell | Out-String | Invoke-Expression",
    "cmd": "invoke lab-env --shell cmd > lab-env.cmd, then: call lab-env.cmd",
}
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
    lab = control.start(
        session, empty=empty, chaos=wanted, listen=reached
    )  # also of a running one: it may play another hub
    session.console.say("unchanged: the lab is running already" if running else "started: the lab")
    _tell(session, lab)
    session.console.next_step(_NEXT_EMPTY if empty else _NEXT)


def down(session: Session) -> None:
    """Stop it, or say that none runs: both are success."""
    _announce(session)
    if session.dry:
        session.console.say("would stop the lab")
        return
    from thingmint.lab import control

    used = LabFolder(session.workspace.lab).database.exists()
    stopped = control.stop(session)
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
        _tell(session, lab)
        session.console.say(f"next, in another terminal: {_NEXT_EMPTY if empty else _NEXT}")

    control.serve(session, ready, empty=empty, chaos=wanted, listen=reached)


def env(session: Session, *, shell: str | None, undo: bool) -> None:
    """The lines that set a shell up for the lab, or put it back, on stdout; all else on stderr."""
    from thingmint.lab import environment

    named = shell or ("powershell" if os.name == "nt" else "sh")
    dialect = environment.DIALECTS.get(named)
    if dialect is None:
        raise InputError(f"--shell {named!r} is no shell that is known here.", things_to_try=environment.DIALECTS)
    if undo:
        _put_back(session, named)
        return
    if session.settings.target != "lab":
        raise InputError(
            "the configuration's target is azure: there is no lab that a shell could be set up for.",
            things_to_try=["unset THINGMINT_CONFIG and THINGMINT_TARGET, then run this again"],
        )
    _announce(session)
    if session.dry:
        session.console.say(f"would start the lab and print the lines that set {named} up for it")
        return
    lab = targets.open_lab(session)
    folder, role = LabFolder(lab.folder), Role.of(session.settings)
    files.make_private_directory(folder.azure_config)
    # az would go on with tokens and answers of an earlier start, which this lab does not know; so it asks again.
    for cache in folder.azure_config.glob("msal_*"):
        cache.unlink(missing_ok=True)
    wanted = environment.variables(folder, role, lab.proxy_port, os.environ)
    _print(session, named, environment.set_up(dialect, wanted, os.environ))
    removed = environment.foreign(os.environ, wanted)
    if removed:
        session.console.say(f"removed from this shell, and kept nowhere: {', '.join(removed)}")
    session.console.say("from this shell, Azure's clients reach the lab alone, until --undo or its end")
    session.console.next_step(f"az login --service-principal --username any --password any --tenant {role.tenant_id}")


def _put_back(session: Session, named: str) -> None:
    from thingmint.lab import environment

    if environment.MARK not in os.environ:
        session.console.say("unchanged: this shell is not set up for the lab")
        return
    # Any lab's: its names are what counts here.
    names = environment.variables(LabFolder(session.workspace.lab), Role.of(session.settings), 0, os.environ)
    _print(session, named, environment.undo(environment.DIALECTS[named], names, os.environ))
    session.console.say("this shell is as it was before, but for credentials (AZURE_…, ARM_…): set yours again")


def _print(session: Session, named: str, lines: list[str]) -> None:
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
        session.console.say(f"nothing is set yet; in {named}: {_USE[named]}")


def _announce(session: Session) -> None:
    session.console.announce(f"lab ({session.workspace.lab})")


def _tell(session: Session, lab: "RunningLab") -> None:
    session.console.say(
        f"  {session.settings.hub_host} on this machine: https://localhost:{lab.https_port}, "
        f"MQTT on port {lab.mqtt_port}, CONNECT proxy on port {lab.proxy_port}"
    )
    session.console.say(f"  watch it: {lab.page}")
    if lab.chaos:
        session.console.say(
            f"  it misbehaves on purpose, each fault a line in its log; the same again: --chaos {lab.chaos}"
        )
    if lab.listen:
        _tell_outside(session, lab, lab.listen)
    session.console.say(
        f"  log: {lab.folder / 'lab.log'} · ends after {session.settings.lab.idle_minutes} idle minutes"
    )


def _tell_outside(session: Session, lab: "RunningLab", listen: listening.Listen) -> None:
    session.console.warn(
        f"whoever reaches {listen} reaches this lab's MQTT endpoint, port {lab.outside_port}, and nothing else of it; "
        "a device is let in with a certificate of a verified CA alone."
    )
    # https://github.com/nrfconnect/sdk-nrf/tree/main/subsys/net/lib/mqtt_helper: its Kconfig has both options.
    port = "" if lab.outside_port == _DEVICES_PORT else f", CONFIG_MQTT_HELPER_PORT={lab.outside_port}"
    session.console.say(
        f'  firmware for it: CONFIG_MQTT_HELPER_STATIC_IP_ADDRESS="{listen.address}"{port}; '
        f"CONFIG_AZURE_IOT_HUB_HOSTNAME stays {session.settings.hub_host}"
    )
    session.console.say("  its modem has to trust the lab: invoke provision --imei ID --port auto --allow-lab-root")
