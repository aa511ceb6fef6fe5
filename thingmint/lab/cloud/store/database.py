"""One SQLite file, committed before any answer, used by the server's one thread."""

import contextlib
import datetime as dt
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from thingmint import files
from thingmint.errors import ToolError


class Database:
    """Raises ToolError where the file cannot be used: damaged, another program's, or another version's."""

    def __init__(self, path: Path, schema: str, at_start: str) -> None:
        with contextlib.suppress(FileExistsError):
            files.create(path)  # SQLite gives its -wal and -shm files the database's mode
        try:
            self._db = _open(path, schema, at_start)
        except sqlite3.Error as error:
            raise _unusable(path, error) from None

    def close(self) -> None:
        self._db.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing. Within another one, it is a part of that."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def run(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Cursor:
        return self._db.execute(statement, values)

    def rows(self, statement: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        return self._db.execute(statement, values).fetchall()

    def row(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Row | None:
        found: sqlite3.Row | None = self._db.execute(statement, values).fetchone()
        return found

    def put(self, table: str, values: Mapping[str, Any]) -> None:
        """Insert, or replace what has the same primary key. Moments become text."""
        columns = ", ".join(values)
        marks = ", ".join("?" * len(values))
        row = [text(value) if isinstance(value, dt.datetime) else value for value in values.values()]
        # Table and columns are our own dataclasses' names.
        self._db.execute(f"INSERT OR REPLACE INTO {table} ({columns}) VALUES ({marks})", row)  # noqa: S608


def text(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat()


def moment(stored: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(stored) if stored else None


def _open(path: Path, schema: str, at_start: str) -> sqlite3.Connection:
    with contextlib.ExitStack() as on_failure:
        db = sqlite3.connect(path, isolation_level=None)
        on_failure.callback(db.close)
        db.row_factory = sqlite3.Row
        (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError("it is damaged")  # cut short: SQLite itself would notice at some later query
        with contextlib.closing(sqlite3.connect(":memory:")) as wanted:
            wanted.executescript(schema)
            if (found := _shape(db)) and found != _shape(wanted):
                raise sqlite3.DatabaseError("another version of the lab wrote it, or another program")
        # WAL without an fsync at each commit: a killed lab loses nothing, only a power cut may lose the last moments.
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        if not found:
            db.executescript(f"BEGIN; {schema} COMMIT;")  # all of it or nothing, whenever the lab is killed
        db.executescript(at_start)
        on_failure.pop_all()
        return db


def _shape(db: sqlite3.Connection) -> list[tuple[str, ...]]:
    """Each column of each table. Compared instead of a version number, which somebody would have to remember."""
    rows = db.execute(
        "SELECT t.name, c.name, c.type FROM sqlite_schema AS t, pragma_table_info(t.name) AS c "
        "WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' ORDER BY t.name, c.cid"
    )
    return [tuple(row) for row in rows]


def _unusable(path: Path, error: sqlite3.Error) -> ToolError:
    name = getattr(error, "sqlite_errorname", "")
    cures = [f"move {path.name} away: the lab starts empty, `invoke verify device --imei ID` fills it again"]
    if name.startswith("SQLITE_FULL"):
        cures = ["free some space"]
    elif name.startswith("SQLITE_BUSY"):
        cures = ["end the program that has it open"]
    elif name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY")) and path.is_file():
        cures.insert(0, "check its owner and mode, and its folder's")
    return ToolError(f"the lab's database {path} cannot be used: {error}.", things_to_try=cures)
