"""What devices sent: the newest of all, so many and so large together."""

import datetime as dt
import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from thingmint.lab.cloud.records import Message
from thingmint.lab.cloud.store.database import Database, text

KEPT = 10_000
KEPT_BYTES = 64_000_000  # bodies and properties
_LEFT_BYTES = 48_000_000  # of them, once there were too many: they are not counted anew at each message
LARGEST_ANSWER = 1_000_000  # bodies and properties of one page, which are a third more in base64
SCHEMA = """
CREATE TABLE message (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, device_id TEXT NOT NULL, received_at TEXT NOT NULL,
    body BLOB NOT NULL, properties TEXT NOT NULL
) STRICT;
CREATE INDEX message_of_device ON message (device_id, sequence);
"""


_INSERT = "INSERT INTO message (device_id, received_at, body, properties) VALUES (?, ?, ?, ?)"


_SIZE = "SUM(LENGTH(body) + LENGTH(properties))"  # the properties are ASCII


@dataclass(frozen=True)
class Page:
    """Some messages, oldest first. `before`: how many came before them, those that are no longer kept included."""

    messages: tuple[Message, ...]
    before: int
    more: bool


class Messages:
    def __init__(self, database: Database) -> None:
        self._db = database
        self._room = 0  # bytes that may come before all are counted
        self._dropped: Counter[str] = Counter()  # since this start, of each device; of all under the empty id
        self._bound()

    def add(self, device_id: str, messages: Sequence[tuple[bytes, dict[str, str]]], at: dt.datetime) -> list[Message]:
        """Bodies and properties; returned with their sequence numbers."""
        moment, kept = text(at), []
        for body, properties in messages:
            written = json.dumps(properties) if properties else "{}"
            sequence = self._db.run(_INSERT, [device_id, moment, body, written]).lastrowid or 0
            kept.append(Message(sequence, device_id, at, body, properties))
            self._room -= len(body) + len(written)  # ASCII
        if kept:
            self._drop(kept[-1].sequence - KEPT)
        if self._room < 0:
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
        return Page(tuple(found), self._dropped[device_id] + kept, more)

    def newest(self, device_id: str) -> Page:
        """The last one, if there is any."""
        rows = self._db.rows(
            "SELECT sequence FROM message WHERE ? = '' OR device_id = ? ORDER BY sequence DESC LIMIT 1",
            [device_id, device_id],
        )
        return self.page(device_id, after=rows[0]["sequence"] - 1 if rows else 0)

    def _bound(self) -> None:
        """Count all, and let the oldest go where they are too many bytes."""
        size = self._db.run(f"SELECT {_SIZE} FROM message").fetchone()[0] or 0  # noqa: S608
        if size > KEPT_BYTES:
            newest = f"SELECT sequence, {_SIZE} OVER (ORDER BY sequence DESC) AS size FROM message"  # noqa: S608
            self._drop(*self._db.run(f"SELECT MAX(sequence) FROM ({newest}) WHERE size > ?", [_LEFT_BYTES]).fetchone())  # noqa: S608
            size = _LEFT_BYTES
        self._room = KEPT_BYTES - size

    def _drop(self, last: int) -> None:
        for row in self._db.rows("DELETE FROM message WHERE sequence <= ? RETURNING device_id", [last]):
            self._dropped.update(("", row["device_id"]))


def _read(row: sqlite3.Row) -> Message:
    return Message(
        row["sequence"],
        row["device_id"],
        dt.datetime.fromisoformat(row["received_at"]),
        row["body"],
        json.loads(row["properties"]),
    )
