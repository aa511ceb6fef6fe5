"""Messages to devices, a queue for each, and the feedback on how they ended.

https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-messages-c2d: the ends, and which acknowledgement asks for which.
"""

import datetime as dt
import json
import secrets
import sqlite3
from collections.abc import Container, Sequence
from typing import Any, Literal

from thingmint.lab.cloud.records import Command
from thingmint.lab.cloud.store.database import Database, text

MOST_DELIVERIES = 10
LOCK = dt.timedelta(seconds=60)
"""How long a reader may hold feedback before it is free again. Azure's too, where nobody set another one."""
_MOST_FEEDBACK = 64  # records a message of feedback

# Feedback knows the device by its generation too: it outlives the device.
SCHEMA = """
CREATE TABLE command (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, device_id TEXT NOT NULL, message_id TEXT NOT NULL, enqueued TEXT NOT NULL,
    expires TEXT NOT NULL, ack TEXT NOT NULL, body BLOB NOT NULL, properties TEXT NOT NULL, deliveries INTEGER NOT NULL
) STRICT;
CREATE INDEX command_of_device ON command (device_id, sequence);
CREATE TRIGGER commands_over AFTER DELETE ON device BEGIN DELETE FROM command WHERE device_id = OLD.device_id; END;
CREATE TABLE feedback (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, device_id TEXT NOT NULL, generation_id TEXT NOT NULL,
    message_id TEXT NOT NULL, ended TEXT NOT NULL, outcome TEXT NOT NULL, lock TEXT NOT NULL
) STRICT;
"""
# Whoever held feedback of the last process does not come back for it: its lock's token went with the answer.
AT_START = "UPDATE feedback SET lock = '';"
Outcome = Literal["Success", "Expired", "DeliveryCountExceeded", "Purged"]


class Commands:
    def __init__(self, database: Database) -> None:
        self._db = database
        self._locks: dict[str, dt.datetime] = {}  # that hold feedback → until when

    def add(self, command: Command) -> None:
        """Its sequence is given here."""
        values = [command.device_id, command.message_id, text(command.enqueued), text(command.expires), command.ack]
        self._db.run(
            "INSERT INTO command (device_id, message_id, enqueued, expires, ack, body, properties, deliveries) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
            [*values, command.body, json.dumps(command.properties)],
        )

    def waiting(self, device_id: str, at: dt.datetime, in_flight: Container[int] = ()) -> list[Command]:
        """Oldest first, without those whose time or last delivery is over; both only end a message that is not `in_flight`:
        delivered on the connection that stands, and not acknowledged yet."""
        rows = self._db.rows("SELECT * FROM command WHERE device_id = ? ORDER BY sequence", [device_id])
        found = []
        for row in rows:
            over = row["sequence"] not in in_flight
            if over and dt.datetime.fromisoformat(row["expires"]) <= at:
                self._end(row, "Expired", at)
            elif over and row["deliveries"] >= MOST_DELIVERIES:
                self._end(row, "DeliveryCountExceeded", at)
            else:
                found.append(_read(row))
        return found

    def delivered(self, sequence: int) -> None:
        self._db.run("UPDATE command SET deliveries = deliveries + 1 WHERE sequence = ?", [sequence])

    def completed(self, sequence: int, at: dt.datetime) -> None:
        for row in self._db.rows("SELECT * FROM command WHERE sequence = ?", [sequence]):
            self._end(row, "Success", at)

    def purge(self, device_id: str, at: dt.datetime) -> int:
        """How many there were."""
        rows = self._db.rows("SELECT * FROM command WHERE device_id = ?", [device_id])
        for row in rows:
            self._end(row, "Purged", at)
        return len(rows)

    def feedback(self, at: dt.datetime) -> tuple[str, list[dict[str, Any]]]:
        """What nobody holds (any more), and the token of the lock that holds it from now on, for a LOCK."""
        self._free(at)
        lock = secrets.token_hex(16)
        rows = self._db.rows(
            "UPDATE feedback SET lock = ? WHERE sequence IN "
            "(SELECT sequence FROM feedback WHERE lock = '' ORDER BY sequence LIMIT ?) RETURNING *",
            [lock, _MOST_FEEDBACK],
        )
        if rows:
            self._locks[lock] = at + LOCK
        return lock, [_feedback(row) for row in sorted(rows, key=lambda row: int(row["sequence"]))]

    def settle(self, lock: str, at: dt.datetime, *, taken: bool) -> None:
        """What the lock holds, if it still does, is done with, or not taken and free again."""
        self._free(at)
        self._locks.pop(lock, None)
        change = "DELETE FROM feedback" if taken else "UPDATE feedback SET lock = ''"
        self._db.run(f"{change} WHERE lock = ? AND lock != ''", [lock])

    def _free(self, at: dt.datetime) -> None:
        for lock in [lock for lock, until in self._locks.items() if until <= at]:
            del self._locks[lock]
            self._db.run("UPDATE feedback SET lock = '' WHERE lock = ?", [lock])

    def _end(self, row: sqlite3.Row, outcome: Outcome, at: dt.datetime) -> None:
        wanted: Sequence[str] = ("positive", "full") if outcome == "Success" else ("negative", "full")
        if row["ack"] in wanted:
            self._db.run(
                "INSERT INTO feedback (device_id, generation_id, message_id, ended, outcome, lock) "
                "SELECT device_id, generation_id, ?, ?, ?, '' FROM device WHERE device_id = ?",
                [row["message_id"], text(at), outcome, row["device_id"]],
            )
        self._db.run("DELETE FROM command WHERE sequence = ?", [row["sequence"]])


def _read(row: sqlite3.Row) -> Command:
    values = dict(row)
    values |= {name: dt.datetime.fromisoformat(values[name]) for name in ("enqueued", "expires")}
    return Command(**{**values, "properties": json.loads(values["properties"])})


def _feedback(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "originalMessageId": row["message_id"],
        "description": row["outcome"],
        "statusCode": row["outcome"],
        "deviceGenerationId": row["generation_id"],
        "deviceId": row["device_id"],
        "enqueuedTimeUtc": row["ended"],
    }
