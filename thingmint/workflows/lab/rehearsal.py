"""rehearse: the whole path for real, in a workspace and a lab of its own, from root CA to the simulated device's telemetry."""

import os
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from thingmint import config, files
from thingmint.console import Console
from thingmint.errors import CheckError, InputError
from thingmint.firmware import application as applications
from thingmint.firmware.sdk import NoSdkError, Sdk
from thingmint.ids import DeviceId
from thingmint.lab.sdk import workspace
from thingmint.pki import inspect
from thingmint.pki.authority import family
from thingmint.session import Session, make_session
from thingmint.workflows import options
from thingmint.workflows.authority import authorities
from thingmint.workflows.device import connection, devices
from thingmint.workflows.firmware import firmware, flashing
from thingmint.workflows.hub import enrollment
from thingmint.workflows.lab import laboratory, observation, simulated
from thingmint.workflows.modem import keygen, provisioning

STANDIN = "2.4.0"
KEPT = 5  # earlier rehearsals, for a look at what they left


def rehearse(session: Session, *, imei: str | None) -> None:
    """Run each step, with its time; end with the chains and the telemetry that the hub heard. Stops its lab."""
    session.console.announce("lab (a rehearsal: a workspace and a lab of its own; nothing leaves this machine)")
    chosen = DeviceId.parse(imei)
    options.warn_of_doubt(session, chosen)
    inner = _own_session(session)
    console = session.console
    console.say(f"workspace: {inner.workspace.root}")
    if session.dry:
        for _, step in _steps(session, inner, chosen):
            step()
        return
    started = time.monotonic()
    said: list[str] = []
    try:
        for number, (name, step) in enumerate(_steps(session, inner, chosen), start=1):
            begun = time.monotonic()
            outcome = step()
            if isinstance(outcome, str):
                said.append(outcome)
            console.result(f"{number:>2}  {name:<50} {time.monotonic() - begun:6.2f} s")
    finally:
        _stop_lab(inner)
    _show_chain(session, inner, chosen)
    console.result("")
    for body in said:
        console.result(f"{inner.settings.azure.hub} heard {body}")
    console.say(
        f"done in {time.monotonic() - started:.1f} s; its lab is stopped, its files stay in {inner.workspace.root}"
    )
    console.next_step(f"invoke rootca subca verify device --imei {chosen}")


def _show_chain(session: Session, inner: Session, chosen: DeviceId) -> None:
    """From the root down to the devices."""
    all_three = (chosen, _second(chosen, "keygen"), _second(chosen, "dps"))
    made = [inspect.read_certificate(inner.workspace.device_file(one, ".pem")) for one in all_three]
    above = list(reversed(family.above(inner.workspace, made[0])))
    session.console.result("")
    for depth, link in [*enumerate(above), *((len(above), one) for one in made)]:
        indent = f"{'   ' * (depth - 1)}└─ " if depth else ""
        session.console.result(f"{indent + link.common_name:<52} until {link.not_after:%Y-%m-%d}")


def _start_lab(session: Session, inner: Session) -> None:
    """First of all, for those who want to see the rest of it happen."""
    from thingmint.lab import control

    laboratory.up(inner)
    if lab := None if inner.dry else control.running(inner):
        session.console.say(f"watch it: {lab.page}")


def _stop_lab(inner: Session) -> None:
    from thingmint.lab import control

    # Impatient people press Ctrl-C twice: the second one must not leave the lab behind.
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        control.stop(inner)
    finally:
        signal.signal(signal.SIGINT, previous)


@dataclass(frozen=True)
class _Builder:
    """Which SDK builds the application: the one that is here, else a stand-in, of which no real device would boot anything."""

    inner: Session
    found: Sdk | None

    @property
    def words(self) -> str:
        return f"nRF Connect SDK {self.found.version}" if self.found else f"a stand-in for SDK {STANDIN}"

    def build(self, device: DeviceId) -> None:
        if self.inner.dry:
            self.inner.console.say(f"would build {simulated.SAMPLE} for {device} with {self.words}")
            return
        firmware.firmware(self.inner, app=simulated.SAMPLE, imei=device.text, sdk=str(self._folder()))

    def _folder(self) -> Path:
        if self.found:
            return self.found.root
        folder = self.inner.workspace.root / "sdk"
        return folder if folder.exists() else workspace.make(folder, STANDIN, self.inner.shell)


Step = tuple[str, Callable[[], object]]


def _steps(session: Session, inner: Session, chosen: DeviceId) -> tuple[Step, ...]:
    hub = inner.settings.azure.hub
    twin, newcomer = _second(chosen, "keygen"), _second(chosen, "dps")
    builder = _builder(session, inner)
    return (
        (f"lab: {hub}", lambda: _start_lab(session, inner)),
        ("root CA", lambda: authorities.rootca(inner)),
        ("intermediate CA", lambda: authorities.subca(inner)),
        ("upload, proof of possession, verified", lambda: authorities.verify(inner)),
        ("device identity, key and certificate", lambda: devices.device(inner, imei=chosen.text)),
        (
            "connected over MQTT/TLS, telemetry heard",
            lambda: f"{chosen}: {connection.connect(inner, imei=chosen.text)}",
        ),
        ("its modem loaded, each credential proven", lambda: _provision(inner, chosen)),
        *_application(inner, builder, chosen),
        ("booted: connects with what its modem holds", lambda: _boot(inner, chosen)),
        ("another device: its modem makes and keeps the key", lambda: _keygen(inner, twin)),
        ("its server roots loaded, too", lambda: _provision(inner, twin)),
        *_application(inner, builder, twin),
        ("booted: connects with the key that never left", lambda: _boot(inner, twin)),
        ("the CA enrolled in the provisioning service", lambda: enrollment.enroll(inner)),
        ("a third device: comes in through it, heard", lambda: _come_in(inner, newcomer)),
    )


def _application(inner: Session, builder: _Builder | None, device: DeviceId) -> tuple[Step, ...]:
    if builder is None:
        return ()
    return (
        (f"application built by {builder.words}", lambda: builder.build(device)),
        ("flashed into its bootloader, proven", lambda: _flash(inner, device)),
    )


def _builder(session: Session, inner: Session) -> _Builder | None:
    """None, and why, where no Zephyr build can stand."""
    try:
        applications.require_buildable(inner.workspace.root, "the workspace")
    except InputError as error:
        session.console.say(f"no application is built, nor flashed: {error.message}")
        return None
    try:
        return _Builder(inner, firmware.sdk_at_hand(inner, None))
    except NoSdkError:
        return _Builder(inner, None)
    except InputError as error:  # several, or one that is no SDK: nothing that a rehearsal should stop at
        session.console.say(f"{error.message} A stand-in builds the application.")
        return _Builder(inner, None)


def _flash(inner: Session, device: DeviceId) -> None:
    if inner.dry:
        inner.console.say(f"would flash {simulated.SAMPLE} into the simulated device {device}")
        return
    with simulated.in_recovery(inner, device) as port:
        flashing.flash(inner, port=port, app=simulated.SAMPLE)
    if simulated.flashed(inner, device) != simulated.SAMPLE:
        raise CheckError(f"the simulated device {device} was flashed, and does not boot {simulated.SAMPLE}.")


def _second(chosen: DeviceId, way: str) -> DeviceId:
    """Another device: `keygen`, whose key its modem makes; `dps`, which nobody registers on the hub."""
    return DeviceId.parse(f"{chosen.text[: 63 - len(way)]}-{way}")


def _provision(inner: Session, device: DeviceId) -> None:
    with simulated.plugged_in(inner, device) as port:
        provisioning.provision(inner, imei=device.text, port=port)


def _keygen(inner: Session, device: DeviceId) -> None:
    with simulated.plugged_in(inner, device) as port:
        keygen.device(inner, imei=device.text, port=port)


def _come_in(inner: Session, device: DeviceId) -> str:
    devices.device(inner, imei=device.text, register=False)
    return f"{device}, by the provisioning service: {connection.connect(inner, imei=device.text, dps=True)}"


def _boot(inner: Session, device: DeviceId) -> str:
    """Its log is read from its port, and has to tell the same as the hub."""
    if inner.dry:
        inner.console.say(f"would boot the simulated device {device}, and read its log")
        return ""
    seen = observation.boot(inner, device)
    return f"{device}, out of its modem: {seen.said}\n  its log: {' '.join(seen.sentences)}"


def _own_session(session: Session) -> Session:
    """The lab's configuration, whatever is in force outside; the user's pki settings still count."""
    environment = {
        name: value for name, value in os.environ.items() if name.startswith(("THINGMINT_PKI_", "THINGMINT_FIRMWARE_"))
    }
    loaded = config.load(environment)
    root = _fresh_folder(session.workspace.lab / "rehearsals", dry=session.dry)
    # Its steps are told here; with -e or --dry the lines that they run are wanted too.
    console = Console(quiet=not (session.shell.echoes or session.dry), results=False)
    return make_session(root, loaded, console, echo=session.shell.echoes, dry=session.dry)


def _fresh_folder(parent: Path, *, dry: bool) -> Path:
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    if dry:
        return parent / moment
    files.make_private_directory(parent)
    for earlier in sorted(parent.iterdir())[:-KEPT]:
        _remove_finished(earlier)
    for suffix in ("", *(f"-{n}" for n in range(2, 100))):
        with suppress(FileExistsError):
            files.make_private_directory(parent / f"{moment}{suffix}", new=True)
            return parent / f"{moment}{suffix}"
    raise FileExistsError(parent / moment)


def _remove_finished(folder: Path) -> None:
    """An earlier rehearsal's keys open nothing any more; one whose lab still runs is left alone."""
    if not (folder / "lab" / "lab.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
