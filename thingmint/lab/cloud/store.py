"""The hub's memory: one SQLite file, committed before any answer, used by the server's one thread."""

import contextlib
import dataclasses
import datetime as dt
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from thingmint import files
from thingmint.errors import ToolError
from thingmint.lab.cloud.records import Authentication, Device, HubCertificate, Message

KEPT_MESSAGES = 10_000

_SCHEMA = """
CREATE TABLE certificate (
    name TEXT PRIMARY KEY COLLATE NOCASE, der BLOB NOT NULL, created TEXT NOT NULL, updated TEXT NOT NULL,
    etag TEXT NOT NULL, verified INTEGER NOT NULL, verification_code TEXT
) STRICT;
CREATE TABLE device (
    device_id TEXT PRIMARY KEY, generation_id TEXT NOT NULL, etag TEXT NOT NULL, status TEXT NOT NULL,
    status_reason TEXT, status_updated TEXT, authentication TEXT NOT NULL, iot_edge INTEGER NOT NULL,
    connected INTEGER NOT NULL, connection_updated TEXT, last_activity TEXT
) STRICT;
CREATE TABLE message (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, device_id TEXT NOT NULL, received_at TEXT NOT NULL,
    body BLOB NOT NULL, properties TEXT NOT NULL
) STRICT;
CREATE INDEX message_of_device ON message (device_id, sequence);
"""


class Store:
    """Raises ToolError where the file cannot be used: damaged, another program's, or another version's."""

    def __init__(self, path: Path) -> None:
        with contextlib.suppress(FileExistsError):
            files.create(path)  # SQLite gives its -wal and -shm files the database's mode
        try:
            self._db = _open(path)
        except sqlite3.Error as error:
            raise _unusable(path, error) from None

    def close(self) -> None:
        self._db.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # --- certificates ------------------------------------------------------------------------------------------

    def certificates(self) -> list[HubCertificate]:
        return [_certificate(row) for row in self._db.execute("SELECT * FROM certificate ORDER BY name")]

    def certificate(self, name: str) -> HubCertificate | None:
        row = self._db.execute("SELECT * FROM certificate WHERE name = ?", (name,)).fetchone()
        return _certificate(row) if row else None

    def put_certificate(self, certificate: HubCertificate) -> None:
        self._put("certificate", dataclasses.asdict(certificate))

    def delete_certificate(self, name: str) -> None:
        self._db.execute("DELETE FROM certificate WHERE name = ?", (name,))

    # --- devices -----------------------------------------------------------------------------------------------

    def device(self, device_id: str) -> Device | None:
        row = self._db.execute("SELECT * FROM device WHERE device_id = ?", (device_id,)).fetchone()
        return _device(row) if row else None

    def devices(self, *, after: str = "", limit: int) -> list[Device]:
        """In the order of their ids, those behind `after`."""
        rows = self._db.execute("SELECT * FROM device WHERE device_id > ? ORDER BY device_id LIMIT ?", (after, limit))
        return [_device(row) for row in rows]

    def has_thumbprint(self, thumbprints: frozenset[str]) -> bool:
        """Whether some device of authentication selfSigned is registered with this certificate."""
        rows = self._db.execute("SELECT * FROM device WHERE json_extract(authentication, '$.type') = 'selfSigned'")
        return any(_device(row).authentication.has_thumbprint(thumbprints) for row in rows)

    def put_device(self, device: Device) -> None:
        values = dataclasses.asdict(device)
        values["authentication"] = json.dumps(values["authentication"])
        self._put("device", values)

    def delete_device(self, device_id: str) -> None:
        self._db.execute("DELETE FROM device WHERE device_id = ?", (device_id,))

    def set_connected(self, device_id: str, *, connected: bool, moment: dt.datetime) -> None:
        self._db.execute(
            "UPDATE device SET connected = ?, connection_updated = ?, last_activity = ? WHERE device_id = ?",
            (connected, _text(moment), _text(moment), device_id),
        )

    # --- messages ----------------------------------------------------------------------------------------------

    def add_message(self, device_id: str, body: bytes, properties: dict[str, str], moment: dt.datetime) -> int:
        """Returns its sequence number. Only the newest KEPT_MESSAGES stay."""
        with self.transaction():
            cursor = self._db.execute(
                "INSERT INTO message (device_id, received_at, body, properties) VALUES (?, ?, ?, ?)",
                (device_id, _text(moment), body, json.dumps(properties)),
            )
            sequence = int(cursor.lastrowid or 0)
            self._db.execute("DELETE FROM message WHERE sequence <= ?", (sequence - KEPT_MESSAGES,))
            self._db.execute("UPDATE device SET last_activity = ? WHERE device_id = ?", (_text(moment), device_id))
        return sequence

    def messages(self, device_id: str, *, after: int) -> list[Message]:
        rows = self._db.execute(
            "SELECT * FROM message WHERE device_id = ? AND sequence > ? ORDER BY sequence", (device_id, after)
        )
        return [
            Message(
                row["sequence"],
                row["device_id"],
                dt.datetime.fromisoformat(row["received_at"]),
                row["body"],
                json.loads(row["properties"]),
            )
            for row in rows
        ]

    def _put(self, table: str, values: dict[str, object]) -> None:
        columns = ", ".join(values)
        marks = ", ".join("?" * len(values))
        row = [_text(value) if isinstance(value, dt.datetime) else value for value in values.values()]
        # Table and columns are our own dataclasses' names.
        self._db.execute(f"INSERT OR REPLACE INTO {table} ({columns}) VALUES ({marks})", row)  # noqa: S608


def _open(path: Path) -> sqlite3.Connection:
    with contextlib.ExitStack() as on_failure:
        db = sqlite3.connect(path, isolation_level=None)
        on_failure.callback(db.close)
        db.row_factory = sqlite3.Row
        (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError("it is damaged")  # cut short: SQLite itself would notice at some later query
        with contextlib.closing(sqlite3.connect(":memory:")) as wanted:
            wanted.executescript(_SCHEMA)
            if (found := _shape(db)) and found != _shape(wanted):
                raise sqlite3.DatabaseError("another version of the lab wrote it, or another program")
        # WAL without an fsync at each commit: a killed lab loses nothing, only a power cut may lose the last moments.
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        if not found:
            db.executescript(f"BEGIN; {_SCHEMA} COMMIT;")  # all of it or nothing, whenever the lab is killed
        # Whoever was connected to the last process is not connected to this one.
        db.execute("UPDATE device SET connected = 0 WHERE connected")
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


def _text(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat()


def _moment(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None


def _certificate(row: sqlite3.Row) -> HubCertificate:
    return HubCertificate(
        name=row["name"],
        der=row["der"],
        created=dt.datetime.fromisoformat(row["created"]),
        updated=dt.datetime.fromisoformat(row["updated"]),
        etag=row["etag"],
        verified=bool(row["verified"]),
        verification_code=row["verification_code"],
    )


def _device(row: sqlite3.Row) -> Device:
    return Device(
        device_id=row["device_id"],
        generation_id=row["generation_id"],
        etag=row["etag"],
        status=row["status"],
        status_reason=row["status_reason"],
        status_updated=_moment(row["status_updated"]),
        authentication=Authentication(**json.loads(row["authentication"])),
        iot_edge=bool(row["iot_edge"]),
        connected=bool(row["connected"]),
        connection_updated=_moment(row["connection_updated"]),
        last_activity=_moment(row["last_activity"]),
    )
