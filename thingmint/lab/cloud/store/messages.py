"""What devices sent: the newest of all, so many and so large together."""

import datetime as dt
import json
import sqlite3
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from thingmint.lab.cloud.records import Message
from thingmint.lab.cloud.store.database import Database, text

KEPT = 10_000
KEPT_BYTES = 64_000_000  # bodies and properties
LARGEST_ANSWER = 1_000_000  # bodies and properties of one page, which are a third more in base64
SCHEMA = """
CREATE TABLE message (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, device_id TEXT NOT NULL, received_at TEXT NOT NULL,
    body BLOB NOT NULL, properties TEXT NOT NULL
) STRICT;
CREATE INDEX message_of_device ON message (device_id, sequence);
"""
# Of each device, how many are no longer kept, since this start: undone with the transaction that dropped them.
_DROPPED = (
    "PRAGMA temp_store = MEMORY",
    "CREATE TEMP TABLE IF NOT EXISTS dropped (device_id TEXT PRIMARY KEY, number INTEGER NOT NULL)",
    """CREATE TEMP TRIGGER IF NOT EXISTS message_dropped AFTER DELETE ON main.message BEGIN
    INSERT INTO dropped VALUES (OLD.device_id, 1) ON CONFLICT DO UPDATE SET number = number + 1; END""",
)
_INSERT = "INSERT INTO message (device_id, received_at, body, properties) VALUES (?, ?, ?, ?)"


@dataclass(frozen=True)
class Page:
    """Some messages, oldest first. `before`: how many came before them, those that are no longer kept included."""

    messages: tuple[Message, ...]
    before: int
    more: bool


class Messages:
    def __init__(self, database: Database) -> None:
        self._db = database
        for statement in _DROPPED:
            self._db.run(statement)
        # Sequences and sizes, oldest first: SQLite would read all of the bodies for their sum, each time.
        self._sizes = deque[tuple[int, int]]()
        self._bytes = 0
        self._count()
        self._bound()

    def add(self, device_id: str, messages: Sequence[tuple[bytes, dict[str, str]]], at: dt.datetime) -> list[Message]:
        """Bodies and properties; returned with their sequence numbers."""
        self._count()
        moment, kept = text(at), []
        for body, properties in messages:
            written = json.dumps(properties) if properties else "{}"  # ASCII
            sequence = self._db.run(_INSERT, [device_id, moment, body, written]).lastrowid or 0
            kept.append(Message(sequence, device_id, at, body, properties))
            self._sizes.append((sequence, len(body) + len(written)))
            self._bytes += len(body) + len(written)
        self._bound()
        return kept

    def clear(self) -> None:
        self._db.run("DELETE FROM message")

    def page(self, device_id: str, *, after: int) -> Page:
        """Those of one device, or of all where the id is empty, with a higher sequence than `after`, as many as fit."""
        found, size, more = list[Message](), 0, False
        values = [after, device_id, device_id]
        rows = self._db.run(
            "SELECT * FROM message WHERE sequence > ? AND (? = '' OR device_id = ?) ORDER BY sequence", values
        )
        for row in rows:
            size += len(row["body"]) + len(row["properties"])
            if found and size > LARGEST_ANSWER:
                more = True
                break
            found.append(_read(row))
        rows.close()
        # From the index alone: the rows themselves are as large as their bodies.
        (kept,) = self._db.run(
            "SELECT COUNT(*) FROM message INDEXED BY message_of_device WHERE +sequence <= ? AND (? = '' OR device_id = ?)",
            values,
        ).fetchone()
        (dropped,) = self._db.run(
            "SELECT COALESCE(SUM(number), 0) FROM dropped WHERE ? = '' OR device_id = ?", [device_id, device_id]
        ).fetchone()
        return Page(tuple(found), dropped + kept, more)

    def newest(self, device_id: str) -> Page:
        """The last one, if there is any."""
        rows = self._db.rows(
            "SELECT sequence FROM message WHERE ? = '' OR device_id = ? ORDER BY sequence DESC LIMIT 1",
            [device_id, device_id],
        )
        return self.page(device_id, after=rows[0]["sequence"] - 1 if rows else 0)

    def _count(self) -> None:
        """Anew where the table is another one than was counted: it was cleared, or a transaction was undone."""
        ends = self._db.rows("SELECT (SELECT MIN(sequence) FROM message), (SELECT MAX(sequence) FROM message)")
        if tuple(ends[0]) != ((self._sizes[0][0], self._sizes[-1][0]) if self._sizes else (None, None)):
            rows = self._db.rows("SELECT sequence, LENGTH(body) + LENGTH(properties) FROM message ORDER BY sequence")
            self._sizes = deque((sequence, size) for sequence, size in rows)
            self._bytes = sum(size for _, size in self._sizes)

    def _bound(self) -> None:
        """The oldest go."""
        last = 0
        while len(self._sizes) > KEPT or self._bytes > KEPT_BYTES:
            last, size = self._sizes.popleft()
            self._bytes -= size
        if last:
            self._db.run("DELETE FROM message WHERE sequence <= ?", [last])


def _read(row: sqlite3.Row) -> Message:
    return Message(
        row["sequence"],
        row["device_id"],
        dt.datetime.fromisoformat(row["received_at"]),
        row["body"],
        json.loads(row["properties"]),
    )
