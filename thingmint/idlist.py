"""The ids of a series, from a file or standard input: plain lines, or CSV as spreadsheets write it.

A bad line is named and never stops the rest. What DeviceId.parse refuses is bad here too.
"""

import contextlib
import csv
import io
import itertools
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from thingmint import ids
from thingmint.errors import InputError
from thingmint.ids import DeviceId

_LONGEST = 4096
# A file of nothing but bad lines (a log, a picture) is refused before it fills the memory.
_BAD_ENOUGH = 1000
# The most telling name first: beside an imei, "id" is often a mere row number.
_HEADINGS = ("imei", "deviceid", "device_id", "id")
_SEPARATORS = ",;\t"
# 3.50458E+14, or with the decimal comma of half of Europe
_SCIENTIFIC = re.compile(r"[0-9](?:[.,][0-9]+)?[Ee]\+[0-9]+")
# Its byte order mark, or text with every other byte zero
_UTF_16 = re.compile(r"\udcff\udcfe|\udcfe\udcff|(?:[ -~]\0){2}|(?:\0[ -~]){2}")
_AS_UTF8 = "save it as UTF-8 (Excel: 'CSV UTF-8'; Notepad: encoding UTF-8)"


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that gave no id: its number, what it says (cut, printable), and why not."""

    number: int
    text: str
    problem: str


@dataclass(frozen=True)
class IdList:
    """Each id once, in the file's order. `heading` names the column they are from; "" for plain lines."""

    ids: tuple[DeviceId, ...]
    bad: tuple[BadLine, ...]
    repeated: int
    heading: str


@dataclass(frozen=True)
class _Layout:
    """Where in a line the id stands. Without a separator the whole line is the id."""

    separator: str = ""
    column: int = 0
    columns: int = 1
    heading: str = ""


def read_ids(source: Path | None) -> IdList:
    """Read `source`; None or `-` is standard input. Raises InputError if it cannot be read or holds nothing."""
    name = "standard input" if source is None or str(source) == "-" else str(source)
    with _opened(source, name) as file:
        text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape")
        try:
            return _read(_lines(text), name)
        except OSError as error:
            raise InputError(f"{name} cannot be read: {error.strerror}.") from None
        finally:
            text.detach()  # standard input stays open


@contextlib.contextmanager
def _opened(source: Path | None, name: str) -> Iterator[BinaryIO]:
    if source is None or str(source) == "-":
        if sys.stdin is None:  # closed by the caller, as in `<&-`
            raise InputError("standard input is closed.", things_to_try=["give the ids as a file"])
        yield sys.stdin.buffer
        return
    try:
        if source.is_dir():
            raise InputError(f"{name} is a folder.", things_to_try=["name the file with the ids in it"])
        file = source.open("rb")
    except FileNotFoundError:
        raise InputError(
            f"{name} does not exist.", things_to_try=["mend the path", "`-` reads standard input"]
        ) from None
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}.") from None
    with file:
        yield file


def _lines(text: io.TextIOWrapper) -> Iterator[tuple[int, str]]:
    """Lines that are neither blank nor comments, with their numbers; an endless one comes cut, never whole."""
    for number in itertools.count(1):
        line = rest = text.readline(_LONGEST)
        while len(rest) == _LONGEST and not rest.endswith("\n"):
            rest = text.readline(_LONGEST)
        if not line:
            return
        if len(line) < _LONGEST:  # a line that was cut keeps its length, by which it is known
            line = line.strip(" \r\n") if "\t" in line else line.strip()  # a tab may stand for an empty first cell
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line


def _read(lines: Iterator[tuple[int, str]], name: str) -> IdList:
    start = list(itertools.islice(lines, 2))
    _require_text(start[0][1] if start else "", name)
    layout = _layout([line for _, line in start], name)
    if layout.heading:
        del start[0]
    found: dict[str, DeviceId] = {}  # by folded text
    bad: list[BadLine] = []
    repeated = 0
    for number, line in itertools.chain(start, lines):
        cells = _cells(line, layout.separator)
        if not any(cells):
            continue  # a spreadsheet's empty row
        text = cells[layout.column] if layout.column < len(cells) else ""
        # A text that is folded already is its own key: a million strings of digits are held once.
        key = text if text == text.casefold() else text.casefold()
        before = found.get(key)
        if before is not None and before.text == text:
            repeated += 1
            continue
        shifted = any(cells[layout.columns :])
        problem = "it has more columns than the first line" if shifted else _problem(text, line, layout, before)
        if not problem:
            found[key] = DeviceId.parse(text)
            continue
        bad.append(BadLine(number, _printable(line), problem))
        if not found and len(bad) == _BAD_ENOUGH:
            raise InputError(
                f"{name} is no list of ids: none was found up to line {number}.",
                detail=f"line {bad[0].number}: {bad[0].text}: {bad[0].problem}",
                things_to_try=["give one id a line, or CSV with a column named imei"],
            )
    if not found and not bad:
        raise InputError(f"{name} holds no ids.", things_to_try=["put one id on each line"])
    return IdList(tuple(found.values()), tuple(bad), repeated, layout.heading)


def _require_text(first: str, name: str) -> None:
    if first.startswith("PK\x03\x04"):
        raise InputError(f"{name} is an Excel workbook, not text.", things_to_try=[_AS_UTF8])
    if _UTF_16.match(first):
        raise InputError(
            f"{name} was saved as Unicode by Excel, Notepad or PowerShell, which is UTF-16 and not UTF-8.",
            things_to_try=[_AS_UTF8, "PowerShell: … | Out-File -Encoding utf8 FILE"],
        )
    if "\0" in first:
        raise InputError(f"{name} is not text.", things_to_try=["give one id a line, or CSV with a column named imei"])


def _layout(start: Sequence[str], name: str) -> _Layout:
    """Told by the first line, and for a column with a name of its own by the second too."""
    if not start:
        return _Layout()
    first = start[0]
    separators = [separator for separator in _SEPARATORS if separator in first]
    for separator in separators or [""]:
        cells = _cells(first, separator)
        for heading in _HEADINGS:
            for column, cell in enumerate(cells):
                if cell.casefold() == heading:
                    return _Layout(separator, column, len(cells), cell)
    if separators and not _SCIENTIFIC.fullmatch(_bare(first)):
        raise InputError(
            f"{name} has several columns, and none is named imei, id, deviceId or device_id.",
            detail=_printable(first),
            things_to_try=["name the column with the ids in the first line", "keep that column alone"],
        )
    # One column: a first line without a digit above one with digits is its name.
    if len(start) == 2 and not _digits(first) and _digits(start[1]):
        return _Layout(heading=_printable(_bare(first)))
    return _Layout()


def _cells(line: str, separator: str) -> list[str]:
    if not separator:
        return [_bare(line)]
    if '"' not in line:
        return [_bare(cell) for cell in line.split(separator)]
    # Line by line: a quote that is never closed must not swallow the lines below it.
    return [_bare(cell) for cell in next(csv.reader([line], delimiter=separator), [])]


def _bare(cell: str) -> str:
    """Without spaces and quotes around it; ="35…", by which Excel is made to keep a number as text, is 35…"""
    return cell.strip().removeprefix("=").strip("\"' \t")


def _problem(text: str, line: str, layout: _Layout, before: DeviceId | None) -> str | None:
    if before is not None:
        return f"it differs from {before.text!r} by case alone"
    if len(line) >= _LONGEST:
        return f"it has {_LONGEST} characters or more"
    if _SCIENTIFIC.fullmatch(text):
        return f"a spreadsheet made {text} of a long number and its digits are lost: format the column as text, export again"
    if not text and layout.heading:
        return f"its column {layout.heading!r} is empty"
    return ids.problem(text)


def _digits(text: str) -> bool:
    return any(one.isdigit() for one in text)


def _printable(line: str) -> str:
    shown = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in line[:81])
    return shown if len(shown) <= 80 else shown[:79] + "…"
