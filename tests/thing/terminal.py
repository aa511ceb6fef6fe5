"""A client of the simulated modem that is none of ours: pyserial, and the bytes of the facts."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import serial

from thingmint.lab.thing.board import BANNER

ENDS = re.compile(rb"(?:^|\n)(OK|ERROR|\+CME ERROR: [0-9]+)\r\n")
SECONDS = 15.0  # a busy machine; what answers does so in milliseconds


class Terminal:
    """A port that is open."""

    def __init__(self, port: str, *, speed: int = 115200) -> None:
        self._serial = serial.serial_for_url(port, speed, timeout=0.02)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if ours := getattr(self._serial, "_socket", None):
            ours.close()  # pyserial leaves it open where the other side is gone
        self._serial.close()

    def write(self, data: bytes) -> None:
        self._serial.write(data)

    def read(self, seconds: float) -> bytes:
        """What comes within this long."""
        end, data = time.monotonic() + seconds, b""
        while time.monotonic() < end:
            data += self._serial.read(self._serial.in_waiting or 1)
        return data

    def until(self, pattern: re.Pattern[bytes], *, seconds: float = SECONDS) -> bytes:
        """What comes, up to the pattern."""
        end, data = time.monotonic() + seconds, b""
        while not pattern.search(data):
            assert time.monotonic() < end, data
            data += self._serial.read(self._serial.in_waiting or 1)
        return data

    def say(self, command: str, *, end: str = "\r") -> list[str]:
        """The lines of the answer."""
        self.write(f"{command}{end}".encode())
        lines = self.until(ENDS).decode("latin-1").split("\r\n")[:-1]
        return [line for line in lines if line not in BANNER]

    def paced(self, data: bytes) -> None:
        """As a line of 11.5 bytes a millisecond can take it."""
        for start in range(0, len(data), 256):
            self.write(data[start : start + 256])
            time.sleep(0.03)


@contextmanager
def opened(port: str, *, speed: int = 115200, settle: float = 0.05) -> Iterator[Terminal]:
    """Settled: the banner of one that was plugged in just now is over."""
    with Terminal(port, speed=speed) as terminal:
        terminal.read(settle)
        yield terminal


def write(tag: int, kind: int, content: str) -> str:
    return f'AT%CMNG=0,{tag},{kind},"{content}"'
