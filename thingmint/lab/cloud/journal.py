"""The lab's log: one line an event, in plain words; what clients sent is escaped, and no secret ever gets here."""

import datetime as dt
import os
from collections.abc import Callable

from thingmint.lab import state
from thingmint.lab.state import LabFolder

_LONGEST_LINE = 1_000
_LINES_BETWEEN_SIZE_CHECKS = 200


class Journal:
    """Writes to lab.log, and to the terminal where the lab runs in front."""

    def __init__(self, folder: LabFolder, tell: Callable[[str], None] | None = None) -> None:
        self._folder = folder
        self._tell = tell
        self._descriptor = state.open_log(folder)
        self._lines = 0

    def write(self, text: str) -> None:
        line = printable(text)
        stamp = dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        os.write(self._descriptor, f"{stamp} {line}\n".encode(errors="replace"))
        if self._tell:
            self._tell(line)
        self._lines += 1
        if self._lines % _LINES_BETWEEN_SIZE_CHECKS == 0:
            state.bound_log(self._folder)

    def close(self) -> None:
        os.close(self._descriptor)


def printable(text: str) -> str:
    """A client chooses device ids, paths and subjects: none of them may forge a line or drive a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)[:_LONGEST_LINE]
