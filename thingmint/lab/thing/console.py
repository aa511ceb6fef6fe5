"""The board with another firmware than the AT client: its log on the line, and nobody who listens."""

import math
import threading
from collections import deque
from collections.abc import Callable

from thingmint.lab.thing.board import Line, UnpluggedError
from thingmint.lab.thing.faults import Faults

Application = Callable[[Callable[[str], None], Callable[[float], None]], None]
"""Another firmware: it is handed emit(line) and pause(seconds), which both end it when the board is gone, and runs once."""

_KEPT = 1000  # lines
_SETTLE_SECONDS = 0.25  # a serial program that opens a port throws away what came meanwhile


class Console:
    """The first lines wait until somebody has opened the port, for a monitor that comes late; the firmware waits for
    nobody."""

    def __init__(self, application: Application, faults: Faults) -> None:
        self._application = application
        self._line = Line(math.inf if faults.instant else faults.baud / 10)
        self._waiting: deque[bytes] = deque(maxlen=_KEPT)
        self._changed = threading.Condition()
        self._ready_at = math.inf
        self._closed = False

    def run(self) -> None:
        """The application's own thread."""
        self._application(self.emit, self.pause)

    def emit(self, line: str) -> None:
        """As fast as the line takes it, once somebody reads. Raises UnpluggedError when the board is gone."""
        with self._changed:
            self._waiting.append(f"{line}\r\n".encode())
            self._changed.wait_for(lambda: self._closed or not self._waiting or not self._read)
            if self._closed:
                raise UnpluggedError

    def pause(self, seconds: float) -> None:
        """Raises UnpluggedError when the board is gone."""
        with self._changed:
            if self._changed.wait_for(lambda: self._closed, seconds):
                raise UnpluggedError

    def opened(self, now: float) -> None:
        self._ready_at = min(self._ready_at, now + _SETTLE_SECONDS)

    @property
    def _read(self) -> bool:
        return self._ready_at < math.inf

    @property
    def busy(self) -> bool:
        return bool(self._line or self._waiting) and self._read

    def arrive(self, data: bytes, now: float) -> None:
        """Nobody listens."""

    def advance(self, now: float) -> bytes:
        with self._changed:
            if self._waiting and not self._line and now >= self._ready_at:
                self._line.send(self._waiting.popleft(), now)
                self._changed.notify_all()
        return self._line.leaving(now)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
