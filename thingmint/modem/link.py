"""The one transport: pexpect over pyserial, for a pty, a real port, socket:// and rfc2217://, on every system.

pexpect's own classes need a descriptor, which neither Windows nor rfc2217:// has, and write without waiting.
Nothing is ever logged here: what passes through may be a private key.
"""

import os
import re
import select
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any, cast

import pexpect
import serial
from pexpect.spawnbase import SpawnBase

from thingmint.errors import ModemError
from thingmint.modem import obstacles, refusals

BAUD = 115200
_BITS = 10  # a byte on the line: start, eight, stop
# The Thingy:91's USB bridge drops what its ring of 2048 bytes cannot take, and the answer is OK all the same.
_CHUNK = 512
_STALLED = 5.0  # seconds without a byte taken
_POLL = 0.001  # where there is no descriptor to wait for
_END = re.compile(rb"\n")  # with what stands before it in the pattern, a long line would take a time that is quadratic
_ANYTHING = re.compile(rb".+", re.DOTALL)


if TYPE_CHECKING:
    _SpawnBase = SpawnBase[bytes]
else:  # it is generic in its stubs alone
    _SpawnBase = SpawnBase


class Link(_SpawnBase):
    """An open port: lines in, bytes out at the pace of the line. Held exclusively until it is closed."""

    def __init__(self, port: str) -> None:
        """Raises InputError for a port that is never opened, ModemError for one that cannot be."""
        super().__init__(timeout=None, maxread=4096)
        obstacles.require_port(port)
        self.delayafterread = None
        self.port = port
        self._free_at = 0.0  # when the line will have carried all that was written
        self._stalled = False
        self._port = _open(port)
        # rfc2217:// and Windows have none
        self._descriptor = self._port.fileno() if os.name == "posix" and not _is_rfc2217(port) else None
        self.closed = False

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            if self._stalled:  # a driver would wait for what nobody takes
                _whatever(self._port.reset_output_buffer)
            # pyserial forgets to close a socket whose other end hung up first.
            wire = getattr(self._port, "_socket", None)
            _whatever(self._port.close)
            if wire is not None:
                wire.close()

    def line(self, seconds: float) -> bytes | None:
        """The next line without its end, or None if none is complete within `seconds`. Raises GoneError."""
        try:
            index = self.expect([_END, pexpect.TIMEOUT], timeout=max(0.0, seconds))
        except pexpect.EOF as error:
            raise refusals.gone(self.port, _first_line(error)) from None
        if index != 0:
            return None
        return cast("bytes", self.before)

    def unfinished(self) -> bytes:
        """What came and is no line yet: a shell's prompt, say."""
        return self.buffer

    def take(self) -> bytes:
        """The same, and it is forgotten: a line without an end must not grow for ever."""
        try:
            index = self.expect([_ANYTHING, pexpect.TIMEOUT], timeout=0)
        except pexpect.EOF:
            return b""
        return b"" if index else cast("re.Match[bytes]", self.match)[0]

    def transmit(self, data: bytes) -> None:
        """All of it, never faster than the line carries it. Raises ModemError if it is not taken, or the modem gone."""
        sent = 0
        while sent < len(data):
            self._keep_pace()
            chunk = data[sent : sent + _CHUNK]
            taken = self._write(chunk, f"{sent} of {len(data)} bytes")
            # From when the line is free, not from now: a sleep's own lateness does not add up.
            self._free_at = max(self._free_at, time.monotonic()) + taken * _BITS / BAUD
            sent += taken

    def _keep_pace(self) -> None:
        while (left := self._free_at - time.monotonic()) > 0:
            self._listen(left)

    def _listen(self, seconds: float) -> None:
        """Wait, and take in what comes meanwhile: a modem that echoes stops reading when nobody reads it."""
        try:
            self.expect(pexpect.TIMEOUT, timeout=seconds)
        except pexpect.EOF as error:
            raise refusals.gone(self.port, _first_line(error)) from None

    def _write(self, chunk: bytes, progress: str) -> int:
        deadline = time.monotonic() + _STALLED
        while not self._writable(0.0):
            if time.monotonic() > deadline:
                raise self._stuck(progress)
            self._listen(0.0)
            self._writable(0.01)
        try:
            taken = self._port.write(chunk)
        except serial.SerialTimeoutException:
            raise self._stuck(progress) from None
        except OSError as error:
            if "timed out" in str(error):  # rfc2217://'s way of saying it
                raise self._stuck(progress) from None
            raise refusals.gone(self.port, str(error)) from None
        return taken or 0

    def _writable(self, seconds: float) -> bool:
        """Asked before each write: pyserial would spin on a port that takes nothing."""
        return self._descriptor is None or bool(select.select([], [self._descriptor], [], seconds)[1])

    def _stuck(self, progress: str) -> ModemError:
        self._stalled = True
        return ModemError(
            f"the modem at {self.port} stopped reading: for {_STALLED:g} s it took nothing, after {progress}.",
            things_to_try=["switch the board off and on, then run this again", *obstacles.modem_manager_hint()],
        )

    def read_nonblocking(self, size: int = 1, timeout: float | None = None) -> bytes:
        """pexpect's own hook: at least one byte within `timeout` seconds, else TIMEOUT; EOF if the modem is gone."""
        try:
            if not self._readable(timeout):
                raise pexpect.TIMEOUT("nothing came")
            data: bytes = self._port.read(1)
            # "Ready" and nothing there: the other end hung up.
            while data and len(data) < size and (waiting := self._port.in_waiting):
                data += self._port.read(min(waiting, size - len(data)))
        except OSError as error:
            raise pexpect.EOF(str(error)) from None
        if not data:
            raise pexpect.EOF("the other end closed the line")
        return data

    def _readable(self, timeout: float | None) -> bool:
        if self._descriptor is not None:
            return bool(select.select([self._descriptor], [], [], timeout)[0])
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._port.in_waiting:
            if deadline is not None and time.monotonic() >= deadline:
                return False
            time.sleep(_POLL)
        return True


def _open(port: str) -> Any:
    try:
        # For rfc2217:// it starts a thread in a way that Python deprecates, and forgets a socket that failed.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", ResourceWarning)
            return serial.serial_for_url(
                port, baudrate=BAUD, timeout=0, write_timeout=_write_timeout(port), exclusive=True
            )
    except (OSError, ValueError) as error:
        raise obstacles.explain(port, error) from None


def _write_timeout(port: str) -> float | None:
    if _is_rfc2217(port):
        return None  # it knows none; its socket has one of 5 s
    # Zero returns how much was taken. Windows would not tell.
    return _STALLED if sys.platform == "win32" else 0


def _is_rfc2217(port: str) -> bool:
    return port.lower().startswith("rfc2217://")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _whatever(act: Any) -> None:
    """Closing what is broken may fail in any way; it is closed all the same."""
    try:
        act()
    except (OSError, ValueError, TypeError):
        return
