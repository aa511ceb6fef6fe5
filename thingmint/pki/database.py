"""openssl's index.txt: one certificate a row, six fields between tabs. Parsed and compared, never written."""

import re
from dataclasses import dataclass
from pathlib import Path

from thingmint.errors import CheckError, ToolError


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


def parse(text: str, *, where: Path) -> tuple[Row, ...]:
    """Raises ToolError naming the first line that is no row."""
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.split("\t")
        if len(fields) != 6 or fields[0] not in {"V", "R", "E"} or not re.fullmatch(r"[0-9A-F]+", fields[3]):
            raise ToolError(
                f"{where}, line {number} is no row of openssl's database.",
                things_to_try=["restore the file from a backup", "do not edit it by hand"],
            )
        rows.append(Row(fields[0], fields[1], fields[2], fields[3], fields[5]))
    return tuple(rows)


def read(path: Path) -> tuple[Row, ...]:
    """Raises ToolError where the database is missing or damaged."""
    try:
        return parse(path.read_text(encoding="utf-8"), where=path)
    except OSError as error:
        raise ToolError(
            f"the database of issued certificates {path} cannot be read: {error.strerror}.",
            things_to_try=[
                "restore it from a backup; an empty one would let names and serials be given twice",
                f"openssl's own copy, {path.name}.old beside it, lacks the last change",
            ],
        ) from None
    except UnicodeDecodeError:
        raise ToolError(f"{path} is no text file of openssl's.", things_to_try=["restore it from a backup"]) from None


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
