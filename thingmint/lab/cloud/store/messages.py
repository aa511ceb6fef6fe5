"""What devices sent: the newest KEPT of all."""

import datetime as dt
import json
import sqlite3
from collections.abc import Sequence

from thingmint.lab.cloud.records import Message
from thingmint.lab.cloud.store.database import Database, text

KEPT = 10_000
SCHEMA = """
CREATE TABLE message (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, device_id TEXT NOT NULL, received_at TEXT NOT NULL,
    body BLOB NOT NULL, properties TEXT NOT NULL
) STRICT;
CREATE INDEX message_of_device ON message (device_id, sequence);
"""


_INSERT = "INSERT INTO message (device_id, received_at, body, properties) VALUES (?, ?, ?, ?)"


class Messages:
    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, device_id: str, messages: Sequence[tuple[bytes, dict[str, str]]], at: dt.datetime) -> list[Message]:
        """Bodies and properties; returned with their sequence numbers."""
        moment, kept = text(at), []
        for body, properties in messages:
            values = [device_id, moment, body, json.dumps(properties) if properties else "{}"]
            sequence = self._db.run(_INSERT, values).lastrowid or 0
            kept.append(Message(sequence, device_id, at, body, properties))
        if kept:
            self._db.run("DELETE FROM message WHERE sequence <= ?", [kept[-1].sequence - KEPT])
        return kept

    def clear(self) -> None:
        self._db.run("DELETE FROM message")

    def of(self, device_id: str, *, after: int) -> list[Message]:
        """Those of one device, or of all where the id is empty, with a higher sequence than `after`, oldest first."""
        rows = self._db.rows(
            "SELECT * FROM message WHERE sequence > ? AND (? = '' OR device_id = ?) ORDER BY sequence",
            [after, device_id, device_id],
        )
        return [_read(row) for row in rows]

    def newest(self, device_id: str) -> list[Message]:
        """The last one, if there is any."""
        rows = self._db.rows(
            "SELECT * FROM message WHERE ? = '' OR device_id = ? ORDER BY sequence DESC LIMIT 1", [device_id, device_id]
        )
        return [_read(row) for row in rows]


def _read(row: sqlite3.Row) -> Message:
    return Message(
        row["sequence"],
        row["device_id"],
        dt.datetime.fromisoformat(row["received_at"]),
        row["body"],
        json.loads(row["properties"]),
    )
