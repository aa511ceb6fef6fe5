"""lab-up, lab-down and lab: the local hub, behind or in front."""

from typing import TYPE_CHECKING

from thingmint.errors import InputError
from thingmint.session import Session

if TYPE_CHECKING:
    from thingmint.lab.control import RunningLab


_NEXT = "invoke rootca subca verify device --imei ID; invoke lab-down stops the lab"


def up(session: Session) -> None:
    """Start it, or say that it runs."""
    _announce(session)
    if session.dry:
        session.console.say("would start the lab")
        return
    from thingmint.lab import control

    session.workspace.prepare()
    running = control.running(session)
    lab = control.start(session)  # also of a running one: it may play another hub
    session.console.say("unchanged: the lab is running already" if running else "started: the lab")
    _tell(session, lab)
    session.console.next_step(_NEXT)


def down(session: Session) -> None:
    """Stop it, or say that none runs: both are success."""
    _announce(session)
    if session.dry:
        session.console.say("would stop the lab")
        return
    from thingmint.lab import control
    from thingmint.lab.state import LabFolder

    used = LabFolder(session.workspace.lab).database.exists()
    stopped = control.stop(session)
    session.console.say("stopped: the lab" if stopped else "unchanged: no lab was running")
    if used:
        session.console.say(f"  what stays: certificates, devices and telemetry in {session.workspace.lab}")


def run(session: Session) -> None:
    """In the foreground: its log on stderr, until Ctrl-C, `lab-down`, or idleness."""
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
        session.console.say(f"next, in another terminal: {_NEXT}")

    control.serve(session, ready)


def _announce(session: Session) -> None:
    session.console.announce(f"lab ({session.workspace.lab})")


def _tell(session: Session, lab: "RunningLab") -> None:
    session.console.say(
        f"  {session.settings.hub_host} on this machine: https://localhost:{lab.https_port}, "
        f"MQTT on port {lab.mqtt_port}, CONNECT proxy on port {lab.proxy_port}"
    )
    session.console.say(f"  watch it: {lab.page}")
    session.console.say(
        f"  log: {lab.folder / 'lab.log'} · ends after {session.settings.lab.idle_minutes} idle minutes"
    )
