"""A log, as pieces of bytes: out of a file, or from a port that may vanish and come back."""

import contextlib
import functools
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thingmint.errors import InputError, ModemError
from thingmint.firmware.log.blocks import LONGEST

if TYPE_CHECKING:
    from thingmint.modem.link import Link

STANDARD_INPUT = "-"
_PIECE = 2**16  # stays in a processor's cache; larger pieces are slower
_TICK = 0.5  # Windows hears Ctrl-C only in between
_BACK = 0.25  # seconds between two looks for a port


@contextlib.contextmanager
def opened(path: str) -> Iterator[Iterator[bytes]]:
    """The pieces of a file, or of standard input. Raises InputError where it cannot be read."""
    if path == STANDARD_INPUT:
        if sys.stdin is None:
            raise InputError("--file -: standard input is closed.", things_to_try=["--file device.log"])
        yield _pieces(functools.partial(os.read, sys.stdin.fileno()))  # what is there, without waiting for more
        return
    try:
        with Path(path).open("rb", buffering=0) as file:
            if Path(path).is_file() and _is_utf16(file.read(64)):
                raise InputError(
                    f"--file {path} is UTF-16, as PowerShell's > writes.",
                    things_to_try=[
                        "Get-Content FILE | Set-Content -Encoding utf8 NEW",
                        "iconv -f utf-16 -t utf-8 FILE > NEW",
                    ],
                )
            if file.seekable():
                file.seek(0)
            yield _pieces(file.read)
    except OSError as error:
        if error.filename is None:  # while it was read, or in what was done with it
            raise
        raise InputError(
            f"--file {path} cannot be read: {error.strerror}.",
            things_to_try=["name a file with a device's log, or - for standard input"],
        ) from None


def _is_utf16(head: bytes) -> bool:
    """A byte order mark, and then every other byte is zero."""
    return head[:2] in {b"\xff\xfe", b"\xfe\xff"} and head.count(0) * 3 > len(head)


def _pieces(read: Callable[[int], Any]) -> Iterator[bytes]:
    while piece := read(_PIECE):
        yield piece


def port(
    name: str, seconds: float | None, *, say: Callable[[str], None], vanished: Callable[[], None]
) -> Iterator[bytes]:
    """What the port says, line by line, for so long; None: until nobody wants more. A port that was there once is waited for.

    Raises InputError, ModemError where it cannot be opened at first.
    """
    from thingmint.modem.link import Link
    from thingmint.modem.refusals import GoneError

    end = math.inf if seconds is None else time.monotonic() + seconds
    link: Link | None = Link(name)
    say(f"listening: {name} (Ctrl-C ends it)")
    try:
        while link and (left := end - time.monotonic()) > 0:
            try:
                line = link.line(min(left, _TICK))
            except GoneError:
                link.close()
                vanished()
                say(f"{name} is gone; waiting until it is back")
                link = _reopened(name, end)
                if link:
                    say(f"{name} is back")
                continue
            if line is not None:
                yield line + b"\n"
            elif len(link.unfinished()) > LONGEST:
                yield link.take()
        if link:
            yield link.take()
    finally:
        if link:
            link.close()


def _reopened(name: str, end: float) -> "Link | None":
    """The port, once it is there again and may be opened; None: it was not in time."""
    from thingmint.modem.link import Link

    while time.monotonic() < end:
        try:
            return Link(name)
        except ModemError:  # not there yet, or udev has not given it to this user's group yet
            time.sleep(_BACK)
    return None
