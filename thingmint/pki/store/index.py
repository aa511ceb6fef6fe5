"""openssl's index.txt: one certificate a row, six fields between tabs. Parsed, compared and rendered."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from thingmint.errors import CheckError, ToolError, explain_os_error


@dataclass(frozen=True)
class Row:
    """One issued certificate. `status` is V (valid), R (revoked) or E (expired)."""

    status: str
    expires: str  # YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ, as openssl wrote it
    revoked: str  # date[,reason], or empty
    serial: str  # upper-case hex
    subject: str  # /CN=name

    @property
    def common_name(self) -> str:
        """The CN of a subject that is one CN, which is all that the policy lets through."""
        return self.subject.removeprefix("/CN=")

    @property
    def ends(self) -> datetime:
        """In UTC."""
        # RFC 5280 4.1.2.5.1: two-digit years from 50 on are of the last century.
        century = "" if len(self.expires) == 15 else "19" if self.expires[:2] >= "50" else "20"
        return datetime.strptime(century + self.expires, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)

    @property
    def expired(self) -> bool:
        """By the clock, whatever the status says: openssl changes that at `-updatedb` alone."""
        return self.ends <= datetime.now(UTC)

    @property
    def valid(self) -> bool:
        return self.status == "V" and not self.expired


def parse(text: str, *, where: Path) -> tuple[Row, ...]:
    """Raises ToolError naming the first line that is no row."""
    rows = []
    lines = text.split("\n")
    if lines.pop():
        raise ToolError(
            f"{where} ends in the middle of a row: it was cut off, or edited by hand.",
            things_to_try=["restore the file from a backup", "do not edit it by hand"],
        )
    for number, line in enumerate(lines, start=1):
        row = _row(line)
        if row is None:
            raise ToolError(
                f"{where}, line {number} is no row of openssl's database: {_damage(line)}.",
                things_to_try=["restore the file from a backup", "do not edit it by hand"],
            )
        rows.append(row)
    repeated = [serial for serial, count in Counter(row.serial for row in rows).items() if count > 1]
    if repeated:
        raise ToolError(
            f"{where} holds the serial number {repeated[0]} {sum(row.serial == repeated[0] for row in rows)} times.",
            things_to_try=["restore the file from a backup: a serial number is given once"],
        )
    return tuple(rows)


def salvage(path: Path) -> tuple[Row, ...]:
    """Whatever rows a damaged file still holds."""
    data = path.read_bytes()
    text = data.decode("utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8", errors="replace")
    return tuple(row for line in text.splitlines() if (row := _row(line)))


def read(path: Path) -> tuple[Row, ...]:
    """Raises ToolError where the file is missing or damaged."""
    try:
        return parse(path.read_bytes().decode("utf-8"), where=path)
    except PermissionError as error:
        raise explain_os_error(error) from None
    except OSError as error:
        raise ToolError(
            f"the database of issued certificates {path} cannot be read: {error.strerror}.",
            things_to_try=[
                "restore it from a backup; an empty one would let names and serials be given twice",
                f"openssl's own copy, {path.name}.old beside it, lacks the last change",
            ],
        ) from None
    except UnicodeDecodeError:
        raise ToolError(
            f"{path} is no text file of openssl's; an editor or PowerShell may have saved it as UTF-16.",
            things_to_try=["restore it from a backup", "do not edit it by hand"],
        ) from None


def render(rows: Iterable[Row]) -> bytes:
    """As openssl writes them; the file name, which it never fills in, is `unknown`."""
    lines = (f"{row.status}\t{row.expires}\t{row.revoked}\t{row.serial}\tunknown\t{row.subject}\n" for row in rows)
    return "".join(lines).encode()


def added(before: bytes, after: bytes, *, count: int, where: Path) -> tuple[Row, ...]:
    """The rows that `openssl ca` appended. Raises CheckError unless the old ones stand and exactly `count` are new.

    Its exit code proves nothing: on a full disk it is 0, and the database is cut short.
    """
    if not after.startswith(before):
        raise CheckError(f"openssl changed or lost earlier rows of {where}; the database was put back.")
    if after and not after.endswith(b"\n"):
        raise CheckError(f"openssl left a torn last row in {where}; the database was put back.")
    rows = parse(after[len(before) :].decode("utf-8", errors="replace"), where=where)
    if len(rows) != count:
        raise CheckError(
            f"openssl recorded {len(rows)} certificates in {where}, not {count}; the database was put back."
        )
    return rows


def _row(line: str) -> Row | None:
    fields = line.removesuffix("\r").split("\t")  # openssl on Windows ends its lines with CRLF
    if len(fields) != 6 or fields[0] not in {"V", "R", "E"} or not re.fullmatch(r"(?:[0-9A-F]{2})+", fields[3]):
        return None
    if not re.fullmatch(r"(?:\d\d)?\d{12}Z", fields[1], re.ASCII) or (fields[0] == "R") != bool(fields[2]):
        return None
    return Row(fields[0], fields[1], fields[2], fields[3], fields[5])


def _damage(line: str) -> str:
    if "\0" in line:
        return "it has zero bytes, as a file saved as UTF-16 has"
    if not line.strip():
        return "it is blank"
    return f"{len(line.split(chr(9)))} fields between tabs, or one that cannot be read (openssl's rows have 6)"
