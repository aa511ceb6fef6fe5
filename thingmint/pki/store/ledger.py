"""The ledger: every row that openssl ever recorded, in an fsynced SQLite file beside its index.txt.

`openssl ca` reads its whole index at each start: with a million rows, one certificate costs 1.6 s. So index.txt is kept
short, and names, serial numbers and public keys are looked up here, at the same cost however many there are.
"""

import contextlib
import errno
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from thingmint import files
from thingmint.errors import ToolError, explain_os_error, may_use
from thingmint.pki.store.index import Row

_SCHEMA = """
CREATE TABLE IF NOT EXISTS issued (
    serial TEXT PRIMARY KEY, status TEXT NOT NULL, expires TEXT NOT NULL, revoked TEXT NOT NULL, subject TEXT NOT NULL,
    name TEXT NOT NULL, public_key TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS issued_name ON issued (name);
CREATE INDEX IF NOT EXISTS issued_public_key ON issued (public_key);
CREATE INDEX IF NOT EXISTS issued_revoked ON issued (serial) WHERE status = 'R';
CREATE INDEX IF NOT EXISTS issued_keyless ON issued (serial) WHERE public_key IS NULL;
"""
_COLUMNS = "status, expires, revoked, serial, subject"
_MOST_AT_ONCE = 500  # SQLite's oldest limit on the marks of one statement is 999


class Ledger:
    """An open ledger; made by `opened` alone."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    def record(self, rows: Sequence[Row], keys: Mapping[str, str]) -> None:
        """Insert, or update the status; durable on return. A revocation and a key that stand here already stay.

        `keys`: serial number → digest of the public key, also of rows that came earlier without theirs.
        """
        if not rows and not keys:
            return
        values = [
            (
                row.serial,
                row.status,
                row.expires,
                row.revoked,
                row.subject,
                row.common_name.casefold(),
                keys.get(row.serial),
            )
            for row in rows
        ]
        late = keys.keys() - {row.serial for row in rows}
        with self._db:
            self._db.executemany(
                "INSERT INTO issued VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (serial) DO UPDATE SET "
                "status = excluded.status, revoked = excluded.revoked, "
                "public_key = coalesce(public_key, excluded.public_key) "
                "WHERE status <> 'R' OR excluded.status = 'R'",
                values,
            )
            self._db.executemany(
                "UPDATE issued SET public_key = ? WHERE serial = ? AND public_key IS NULL",
                [(keys[serial], serial) for serial in late],
            )

    def is_empty(self) -> bool:
        """Made just now; or truncated, which is as good as lost."""
        return self._db.execute("SELECT 1 FROM issued LIMIT 1").fetchone() is None

    def without_key(self) -> list[str]:
        """The serial numbers whose public key is not recorded."""
        return [serial for (serial,) in self._db.execute("SELECT serial FROM issued WHERE public_key IS NULL")]

    def public_keys(self) -> dict[str, str]:
        """Serial number → digest of the public key."""
        return dict(self._db.execute("SELECT serial, public_key FROM issued WHERE public_key IS NOT NULL"))

    def by_serial(self, serials: Iterable[str]) -> dict[str, Row]:
        return {row.serial: row for row in self._select("serial", serials)}

    def by_name(self, names: Iterable[str]) -> list[Row]:
        """All rows of these common names, in whatever case, revoked and expired ones too."""
        return self._select("name", [name.casefold() for name in names])

    def by_public_key(self, digests: Iterable[str]) -> dict[str, Row]:
        found: dict[str, Row] = {}
        for part in _parts(digests):
            marks = ",".join("?" * len(part))
            query = f"SELECT public_key, {_COLUMNS} FROM issued WHERE public_key IN ({marks})"  # noqa: S608 - marks
            found |= {key: Row(*fields) for key, *fields in self._db.execute(query, part)}
        return found

    def revoked(self) -> list[Row]:
        query = f"SELECT {_COLUMNS} FROM issued WHERE status = 'R'"  # noqa: S608 - a constant
        return [Row(*fields) for fields in self._db.execute(query)]

    def all(self) -> Iterator[Row]:
        """In the order of serial numbers, without holding them all."""
        query = f"SELECT {_COLUMNS} FROM issued ORDER BY serial"  # noqa: S608 - a constant
        return (Row(*fields) for fields in self._db.execute(query))

    def _select(self, column: str, values: Iterable[str]) -> list[Row]:
        found = []
        for part in _parts(values):
            marks = ",".join("?" * len(part))
            query = f"SELECT {_COLUMNS} FROM issued WHERE {column} IN ({marks})"  # noqa: S608 - our own columns
            found += [Row(*fields) for fields in self._db.execute(query, part)]
        return found


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Ledger]:
    """Open it, made anew where there is none. Raises ToolError where it cannot be used."""
    with contextlib.suppress(FileExistsError):
        files.create(path)
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=30)) as connection:
            # A commit has reached the disk when it returns, the directory entry of its journal included.
            connection.execute("PRAGMA synchronous = EXTRA")
            connection.executescript(_SCHEMA)
            yield Ledger(connection)
    except sqlite3.Error as error:
        raise _explained(path, error) from None


def _explained(path: Path, error: sqlite3.Error) -> ToolError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest of it tells details
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN} and not (
        may_use(path) and may_use(path.parent)
    ):
        return explain_os_error(PermissionError(errno.EACCES, str(error), str(path)))
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        cures = [
            "restore it from a backup: it knows which names and serial numbers are given",
            "or, if index.txt beside it knows every certificate in certs/: move it away, and it is made anew",
        ]
    else:
        cures = ["free some space, then run this again: nothing was lost"]
    return ToolError(f"the authority's ledger {path} cannot be used: {error}.", things_to_try=cures)


def _parts(values: Iterable[str]) -> Iterator[list[str]]:
    every = list(values)
    return (every[first : first + _MOST_AT_ONCE] for first in range(0, len(every), _MOST_AT_ONCE))
