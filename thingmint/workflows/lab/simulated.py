"""modem: a simulated Thingy:91 on a port of its own, as an AT client, or booted with the application that speaks to the hub."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from thingmint.errors import HubError, InputError
from thingmint.firmware.editions import AT_CLIENT, AZURE_IOT_HUB, SAMPLES
from thingmint.ids import DeviceId
from thingmint.lab.thing import faults, manners
from thingmint.pki.device.record import DeviceFiles, Record
from thingmint.session import Session
from thingmint.shell import ended_by_signals, quote
from thingmint.workflows import targets
from thingmint.workflows.device import connection
from thingmint.workflows.modem.sectags import Tags

if TYPE_CHECKING:
    from thingmint.lab.thing.console import Application
    from thingmint.lab.thing.port import Thing

SAMPLE = AZURE_IOT_HUB
"""The application that speaks to the hub."""
_MARKS = {SAMPLE: b"Azure IoT Hub sample started", AT_CLIENT: b"AT host sample started"}


def modem(session: Session, *, imei: str | None, fault: Sequence[str] = (), app: str | None = None) -> None:
    """Until Ctrl-C, which is its ordinary end. The first line of stdout is the port, alone.

    Without `app` it boots what it was flashed with. In recovery it waits for an application, and boots that.
    """
    chosen = DeviceId.parse(imei)
    if app not in {None, *SAMPLES}:
        raise InputError(f"--app {app!r} is no application of the simulated device.", things_to_try=SAMPLES)
    manners.require_none(fault)
    wanted = faults.parse(fault)
    if wanted.recovery and app:
        raise InputError("--app and --fault recovery cannot be used together: it boots what it is flashed with.")
    session.console.announce(f"lab ({session.workspace.lab})")
    if session.dry:
        session.console.say(f"would run the simulated modem {chosen} in the foreground")
        return
    with contextlib.suppress(KeyboardInterrupt), ended_by_signals():
        if wanted.recovery:
            _recover(session, chosen, wanted)
        powered = dataclasses.replace(wanted, recovery=False)
        _power(session, chosen, powered, fault, app or flashed(session, chosen))
    session.console.say("unplugged")


def _recover(session: Session, chosen: DeviceId, wanted: faults.Faults) -> None:
    """Wait in the bootloader, until it starts an application."""
    with _opened(session, chosen, wanted, None) as thing:
        session.console.result(thing.port)
        session.console.say(f"plugged in, in recovery: a simulated Thingy:91, on {thing.port}")
        session.console.say(f"  what it is flashed with: {thing.memory.image}; it stays when this ends")
        line = quote(["invoke", "flash", "--app", SAMPLE, "--port", thing.port])
        session.console.say(f"next, in another terminal (Ctrl-C here unplugs it):\n  {line}")
        thing.wait()
    session.console.say("its bootloader starts the application")


def _power(session: Session, chosen: DeviceId, wanted: faults.Faults, fault: Sequence[str], app: str) -> None:
    """`fault`: the switches behind `wanted`, as they were typed."""
    booted = app == SAMPLE
    application = (lambda emit, pause: _run(session, chosen, emit, pause)) if booted else None
    with _opened(session, chosen, wanted, application) as thing:
        session.console.result(thing.port)
        session.console.say(
            f"plugged in: a simulated Thingy:91, IMEI {wanted.imei or thing.memory.imei}, on {thing.port}"
        )
        session.console.say(f"  what it holds: {thing.memory.path}; it stays when this ends")
        if fault:
            session.console.say(f"  with {', '.join(fault)}")
        if booted:
            session.console.say(f"it boots {SAMPLE}; its log is here and on the port (Ctrl-C here unplugs it):")
        else:
            line = quote(["invoke", "provision", "--imei", str(chosen), "--port", thing.port])
            session.console.say(f"next, in another terminal (Ctrl-C here unplugs it):\n  {line}")
        thing.wait()


def flashed(session: Session, chosen: DeviceId) -> str:
    """Which application the image in its memory is, told by the words that it would log; the AT client without any."""
    from thingmint.lab.thing import sectags

    image = sectags.image_of(_folder(session), chosen)
    content = image.read_bytes() if image.exists() else b""
    found = next((app for app, mark in _MARKS.items() if mark in content), None)
    if content and found is None:
        session.console.warn(f"it was flashed with an application that only a real device runs: it boots {AT_CLIENT}")
    return found or AT_CLIENT


@contextlib.contextmanager
def plugged_in(session: Session, chosen: DeviceId) -> Iterator[str]:
    """The port of the simulated modem of `chosen`, for as long as it is needed. With --dry there is none."""
    if session.dry:
        yield "its port"
        return
    with _opened(session, chosen, faults.HARMLESS, None) as thing:
        yield thing.port


@contextlib.contextmanager
def in_recovery(session: Session, chosen: DeviceId) -> Iterator[str]:
    """The port of the same device in its bootloader, for as long as it takes to flash it."""
    with _opened(session, chosen, dataclasses.replace(faults.HARMLESS, recovery=True), None) as thing:
        yield thing.port


@contextlib.contextmanager
def booted(session: Session, chosen: DeviceId, heard: Callable[[str], None], over: Callable[[], None]) -> Iterator[str]:
    """The port of the device while it boots its application. `heard` is handed the telemetry that reached the hub, and
    `over` is called at its end, whatever that was; what it failed with is raised when it is unplugged."""

    def application(emit: Callable[[str], None], _pause: Callable[[float], None]) -> None:
        try:
            heard(boot(session, chosen, emit))
        finally:
            over()

    with _opened(session, chosen, faults.HARMLESS, application) as thing:
        yield thing.port


def boot(
    session: Session,
    chosen: DeviceId,
    emit: Callable[[str], None],
    pause: Callable[[float], None] | None = None,
) -> str:
    """Boot the simulated device: it connects with what its modem holds. Returns the telemetry that the hub heard.

    `emit` is handed its log, line by line. With `pause` it goes on until that raises, or the lab is gone. Raises InputError where the target is not the lab, CheckError or HubError where
    it could not speak, or was not heard.
    """
    from thingmint.lab import control
    from thingmint.lab.requests import gone
    from thingmint.lab.state import LabFolder
    from thingmint.lab.thing import sample
    from thingmint.lab.thing.sectags import SecTags

    _require_lab(session, chosen)
    if targets.dry(session, f"boot the simulated device {chosen}, which sends telemetry"):
        return ""
    hub = targets.open_hub(session)
    tags = Tags.of(Record.read(DeviceFiles.of(session.workspace, chosen).record))
    memory = SecTags.open(_folder(session), chosen)
    image = memory.image.read_bytes() if memory.image.exists() else b""
    build = sample.Build(chosen.text, hub.target, tags.own, tags.secondary, sample.id_scope_in(image))
    proven = connection.expecting(session, hub, chosen)

    def there() -> bool:
        return control.running(session) is not None

    try:
        return sample.run(build, memory, emit, heard=proven, pause=pause, there=there)
    except HubError as error:
        if there():
            raise
        raise gone(LabFolder(session.workspace.lab), error) from None


def _run(session: Session, chosen: DeviceId, emit: Callable[[str], None], pause: Callable[[float], None]) -> None:
    """The application behind a port: its log is shown here, too. It goes on until it is unplugged."""

    def both(line: str) -> None:
        emit(line)
        session.console.say(line)

    boot(session, chosen, both, pause)


def _require_lab(session: Session, chosen: DeviceId) -> None:
    if session.settings.target != "lab":
        raise InputError(
            f"the simulated device speaks to the lab alone, and the configuration names {session.settings.azure.hub}.",
            things_to_try=["unset THINGMINT_CONFIG", f"speak as the device: invoke connect --imei {chosen}"],
        )


@contextlib.contextmanager
def _opened(
    session: Session, chosen: DeviceId, wanted: faults.Faults, application: "Application | None"
) -> "Iterator[Thing]":
    from thingmint.lab.thing import port

    if application:
        _require_lab(session, chosen)
    session.workspace.prepare()
    with port.plugged_in(_folder(session), chosen, wanted, application=application) as thing:
        yield thing


def _folder(session: Session) -> Path:
    from thingmint.lab.state import LabFolder

    lab = LabFolder(session.workspace.lab)
    lab.make(session.shell)
    return lab.modems
