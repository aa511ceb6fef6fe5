"""Plug in a simulated Thingy:91: a port, and the thread behind it."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from thingmint import files
from thingmint.errors import InputError, ToolError
from thingmint.ids import DeviceId
from thingmint.lab.thing.board import Board, StartedError, UnpluggedError
from thingmint.lab.thing.console import Application, Console
from thingmint.lab.thing.faults import HARMLESS, Faults
from thingmint.lab.thing.ports import Port, Pty, Tcp
from thingmint.lab.thing.sectags import SecTags

_IDLE_SECONDS = 0.02
_BUSY_SECONDS = 0.0005
_GONE_SECONDS = 0.5
_GARBAGE = bytes((one ^ 0x5A) | 0x80 for one in range(256))


class Thing:
    """One that is plugged in. `port` is what a user gives to --port."""

    def __init__(self, port: str, memory: SecTags, behind: "_Behind") -> None:
        self.port = port
        self.memory = memory
        self._behind = behind

    def wait(self) -> None:
        """Until Ctrl-C, until its bootloader starts an application, or until it fails; then what failed is raised."""
        while self._behind.thread.is_alive():
            self._behind.thread.join(0.5)  # Windows hears Ctrl-C only in between
        self._behind.tell()


@contextlib.contextmanager
def plugged_in(
    folder: Path, device: DeviceId, faults: Faults = HARMLESS, *, application: Application | None = None
) -> Iterator[Thing]:
    """A simulated Thingy:91 with `device`'s memory, on a port of its own until the end; what it holds stays in `folder`.

    Raises InputError where one of this device is plugged in already.
    """
    files.make_private_directory(folder)
    with contextlib.ExitStack() as held:
        try:
            lock = files.lock(folder / f".{device.key()}.lock", wait_seconds=0, on_wait=lambda: None)
            held.enter_context(lock)
        except ToolError:
            raise InputError(
                f"the simulated modem {device} is plugged in already.",
                things_to_try=["use its port", "end it: Ctrl-C where it runs", "another --imei: each has its own"],
            ) from None
        memory = SecTags.open(folder, device)
        memory.keep()
        port: Port
        if faults.tcp or os.name == "nt":
            port = tcp = Tcp()
            held.callback(tcp.close)
            named = folder / f"{device}.port"
            files.replace(named, tcp.name.encode())
            held.callback(named.unlink)
        else:
            link = folder / f"{device}.port"
            port = Pty(link)
            held.callback(link.unlink, missing_ok=True)
        behind = _Behind(port, memory, faults, application)
        held.callback(behind.end)
        yield Thing(port.name, memory, behind)
        behind.end()
        behind.tell()


def plugged(folder: Path) -> list[str]:
    """The ports of the simulated modems that are plugged in now. One that was killed leaves its name behind, and the
    system gives the pty to somebody's terminal: the lock tells."""
    return [
        str(path) if path.is_symlink() else path.read_text(encoding="utf-8")
        for path in sorted(folder.glob("*.port"))
        if _is_held(folder / f".{path.stem.casefold()}.lock")
    ]


def _is_held(lock: Path) -> bool:
    try:
        with files.lock(lock, wait_seconds=0, on_wait=lambda: None):
            return False
    except ToolError:
        return True


class _Behind:
    """What happens behind the port."""

    def __init__(self, port: Port, memory: SecTags, faults: Faults, application: Application | None) -> None:
        self._port = port
        self._faults = faults
        self._ending = threading.Event()
        self._failure: BaseException | None = None
        self._console = Console(application, faults) if application else None
        self._board = self._console or Board(memory, faults, now=time.monotonic())
        self.thread = self._start(self._run)
        self._firmware = self._start(self._console.run) if self._console else None

    def _start(self, work: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=self._guarded, args=(work,), daemon=True)
        thread.start()
        return thread

    def end(self) -> None:
        self._ending.set()
        self.thread.join()
        if self._console and self._firmware:
            self._console.close()
            self._firmware.join(2)  # an application that computes on and on dies with the process

    def tell(self) -> None:
        if self._failure:
            raise self._failure

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (UnpluggedError, StartedError):
            return
        except BaseException as error:  # noqa: BLE001 - for whoever plugged it in
            self._failure = error
            self._ending.set()

    def _run(self) -> None:
        port, board = self._port, self._board
        try:
            while not self._ending.is_set():
                data = port.read(_BUSY_SECONDS if board.busy else _IDLE_SECONDS)
                now = time.monotonic()
                board.arrive(self._over_the_line(data), now)
                if self._console and port.attached:
                    self._console.opened(now)
                try:
                    leaving = board.advance(now)
                except UnpluggedError:
                    port.drop()
                    self._ending.wait(_GONE_SECONDS)
                    port.connect()
                    continue
                if leaving:
                    port.write(self._over_the_line(leaving))
        finally:
            port.drop()

    def _over_the_line(self, data: bytes) -> bytes:
        """Two ends with two rates make garbage of it."""
        if not data or self._port.speed() in {None, self._faults.baud}:
            return data
        return data.translate(_GARBAGE)
