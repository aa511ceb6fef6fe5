"""The board between USB and modem: the line's speed, the bridge's ring, and noise.

Runs in a time that its callers tell, so that what is lost depends on when bytes came, and hardly on how busy the
machine was when it looked.
"""

import math
from collections import deque
from collections.abc import Iterator
from itertools import count

from thingmint.lab.thing.bootloader import Bootloader, Frames
from thingmint.lab.thing.faults import Faults
from thingmint.lab.thing.host import AtHost, Host, Shell, shell_answer
from thingmint.lab.thing.midwrite import Event, MidWrite
from thingmint.lab.thing.modem import Answer, Modem
from thingmint.lab.thing.sectags import SecTags

RING = 2048
"""How many bytes the USB bridge holds for a line that is slower than USB."""

BANNER = ("The AT host sample started", "Ready")
_BOOT_SECONDS = 0.3
_EXECUTION_SECONDS = 0.002
_PACKET = 64  # of USB: the last one of a burst finds room again
_UNSOLICITED = ("+CSCON: 1", "+CEREG: 0", "+CSCON: 0")


class UnpluggedError(Exception):
    """The link is gone."""


class StartedError(Exception):
    """The bootloader started the application, which is another firmware."""


class Line:
    """What leaves the board, each byte at its time."""

    def __init__(self, rate: float) -> None:
        self.rate = rate  # bytes a second
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._free = 0.0

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def send(self, data: bytes, at: float) -> float:
        """From `at` on, or when the line is free; the time when all of it has left."""
        start = max(at, self._free)
        self._free = start + len(data) / self.rate
        self._waiting.append((start, data))
        return self._free

    def leaving(self, now: float) -> bytes:
        left = bytearray()
        while self._waiting:
            start, data = self._waiting[0]
            if start > now:
                break
            ready = len(data) if now >= start + len(data) / self.rate else int((now - start) * self.rate)
            left += data[:ready]
            if ready < len(data):
                self._waiting[0] = (start + ready / self.rate, data[ready:])
                break
            self._waiting.popleft()
        return bytes(left)

    def cut(self) -> None:
        self._waiting.clear()
        self._free = 0.0


class Board:
    """A powered board: bytes arrive, bytes leave."""

    def __init__(self, memory: SecTags, faults: Faults, *, now: float) -> None:
        self._faults = faults
        self._modem = Modem(memory, faults)
        self._bootloader = Bootloader(memory.image, faults) if faults.recovery else None
        self._host: Host = self._new_host()
        self._midwrite = MidWrite(faults)
        self._noise = count()
        self._rate = math.inf if faults.instant else faults.baud / 10  # a byte has a start and a stop bit
        self._line = Line(self._rate)
        self._ring = bytearray()
        self._looked = self._clock = self._deaf_until = now
        self._starts_at = math.inf
        self._boot(now)

    def _new_host(self) -> Host:
        if self._bootloader:
            return Frames()
        return Shell() if self._faults.no_host else AtHost(self._faults.terminator)

    @property
    def busy(self) -> bool:
        """Whether something is on its way."""
        return bool(self._ring or self._line)

    def arrive(self, data: bytes, now: float) -> None:
        """Bytes from USB, at some time since the last call; call it without any, too.

        The ring has room for what the line takes away meanwhile. What does not fit is lost, out of the middle of a
        burst: while its last packet is on its way, there is room again. So the host sees a whole command with a hole.
        """
        if not self._ring:
            self._clock = max(self._clock, self._looked)
        self._ring += data
        excess = len(self._ring) - RING - (now - self._looked) * self._rate  # an endless rate: nothing is too much
        if data and excess >= 1:
            del self._ring[-_PACKET - int(excess) : -_PACKET]
        self._looked = now

    def advance(self, now: float) -> bytes:
        """Move the line on to `now`; the bytes that left the board until then. Raises UnpluggedError, StartedError."""
        if now >= self._starts_at:
            raise StartedError
        while self._ring:
            at = now if self._faults.instant else self._clock + 1 / self._rate
            if at > now:
                break
            self._clock = at
            byte = self._ring.pop(0)
            if at < self._deaf_until or self._faults.silent:
                continue  # while a command runs, nobody listens
            if self._feed(byte, at) and self._faults.instant:
                self._ring.clear()  # without a rate, what is here already came while it ran
        return self._line.leaving(now)

    def _feed(self, byte: int, at: float) -> bool:
        """Whether that ended a command."""
        if self._faults.echo:
            self._line.send(bytes([byte]), at)
        if self._midwrite.loses(self._host.buffer):
            return False
        command = self._host.feed(byte)
        if command is None:
            self._strike(self._midwrite.grew(self._host.buffer), at)
            return False
        event, mute = self._midwrite.ended()
        if event:
            self._strike(event, at)
            return True
        self._execute(command, at + max(self._faults.slow, 0 if self._faults.instant else _EXECUTION_SECONDS), mute)
        return True

    def _execute(self, command: bytes, at: float, mute: bool) -> None:
        if self._bootloader:
            self._load(self._bootloader, command, at)
            return
        if self._faults.no_host:
            self._deaf_until = self._line.send(shell_answer(command), at)
            return
        lines = self._modem.answer(command.decode("latin-1"))
        self._deaf_until = at if mute else self._line.send(_encoded(self._with_noise(lines)), at)
        self._line.send(_encoded(self._gap()), at)  # behind the answer: the host listens again

    def _load(self, bootloader: Bootloader, message: bytes, at: float) -> None:
        self._line.send(bootloader.answer(message), at)
        if bootloader.unplugged:
            bootloader.unplugged = False
            self._strike(Event.UNPLUG, at)
        if bootloader.reset:
            self._starts_at = at + _BOOT_SECONDS

    def _strike(self, event: Event | None, at: float) -> None:
        if event is Event.REBOOT:
            self._ring.clear()
            self._line.cut()
            self._host.buffer.clear()
            self._host = self._new_host()
            self._midwrite.restart()
            self._modem.restart()
            self._boot(at + _BOOT_SECONDS)
        if event is Event.UNPLUG:
            # The battery goes on: the host keeps what it has of the command, and waits for the rest.
            self._ring.clear()
            self._line.cut()
            raise UnpluggedError

    def _boot(self, at: float) -> None:
        if not (self._faults.no_host or self._faults.silent or self._bootloader):
            self._deaf_until = self._line.send(_encoded(BANNER), at)

    def _with_noise(self, lines: Answer) -> Iterator[str]:
        """The answer, with whatever else uses this line before and between."""
        for line in lines:
            yield from self._gap()
            yield line

    def _gap(self) -> Iterator[str]:
        number = next(self._noise)
        if self._faults.urc:
            yield _UNSOLICITED[number % len(_UNSOLICITED)]
        if self._faults.log:
            yield f"[00:{number // 60 % 60:02}:{number % 60:02}.460,540] <inf> app: {number} s awake"


def _encoded(lines: tuple[str, ...] | Iterator[str]) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1")
