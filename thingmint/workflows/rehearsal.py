"""rehearse: the whole path for real, in a workspace and a lab of its own, from root CA to telemetry heard."""

import os
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from thingmint import config, files
from thingmint.console import Console
from thingmint.ids import DeviceId
from thingmint.pki import inspect
from thingmint.pki.authority import family
from thingmint.session import Session, make_session
from thingmint.workflows import authorities, connection, devices, laboratory, options

KEPT = 5  # earlier rehearsals, for a look at what they left


def rehearse(session: Session, *, imei: str | None) -> None:
    """Run each step, with its time; end with the chain and the telemetry that the hub heard. Stops its lab."""
    session.console.announce("lab (a rehearsal: a workspace and a lab of its own; nothing leaves this machine)")
    chosen = DeviceId.parse(imei)
    options.warn_of_doubt(session, chosen)
    inner = _own_session(session)
    console = session.console
    console.say(f"workspace: {inner.workspace.root}")
    if session.dry:
        for _, step in _steps(inner, chosen):
            step()
        return
    started = time.monotonic()
    body = ""
    try:
        for number, (name, step) in enumerate(_steps(inner, chosen), start=1):
            begun = time.monotonic()
            outcome = step()
            body = outcome if isinstance(outcome, str) else body
            console.result(f"{number}  {name:<42} {time.monotonic() - begun:6.2f} s")
    finally:
        _stop_lab(inner)
    last = inspect.read_certificate(inner.workspace.device_file(chosen, ".pem"))
    console.result("")
    for depth, link in enumerate((*reversed(family.above(inner.workspace, last)), last)):
        indent = f"{'   ' * (depth - 1)}└─ " if depth else ""
        console.result(f"{indent + link.common_name:<44} until {link.not_after:%Y-%m-%d}")
    console.result("")
    console.result(f"{inner.settings.azure.hub} heard {chosen}: {body}")
    console.say(
        f"done in {time.monotonic() - started:.1f} s; its lab is stopped, its files stay in {inner.workspace.root}"
    )
    console.next_step(f"invoke rootca subca verify device --imei {chosen}")


def _stop_lab(inner: Session) -> None:
    from thingmint.lab import control

    # Impatient people press Ctrl-C twice: the second one must not leave the lab behind.
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        control.stop(inner)
    finally:
        signal.signal(signal.SIGINT, previous)


def _steps(inner: Session, chosen: DeviceId) -> tuple[tuple[str, Callable[[], object]], ...]:
    hub = inner.settings.azure.hub
    return (
        ("root CA", lambda: authorities.rootca(inner)),
        ("intermediate CA", lambda: authorities.subca(inner)),
        (f"lab: {hub}", lambda: laboratory.up(inner)),
        ("upload, proof of possession, verified", lambda: authorities.verify(inner)),
        ("device identity, key and certificate", lambda: devices.device(inner, imei=chosen.text)),
        ("connected over MQTT/TLS, telemetry heard", lambda: connection.connect(inner, imei=chosen.text)),
    )


def _own_session(session: Session) -> Session:
    """The lab's configuration, whatever is in force outside; the user's pki settings still count."""
    environment = {name: value for name, value in os.environ.items() if name.startswith("THINGMINT_PKI_")}
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
