"""Messages to devices, a queue for each, and the feedback on how they ended.

https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-messages-c2d: the ends, and which acknowledgement asks for which.
"""

import datetime as dt
import json
import secrets
import sqlite3
from collections.abc import Sequence
from typing import Any, Literal

from thingmint.lab.cloud.records import Command
from thingmint.lab.cloud.store.database import Database, text

MOST_DELIVERIES = 10
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

    def add(self, command: Command) -> None:
        """Its sequence is given here."""
        values = [command.device_id, command.message_id, text(command.enqueued), text(command.expires), command.ack]
        self._db.run(
            "INSERT INTO command (device_id, message_id, enqueued, expires, ack, body, properties, deliveries) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
            [*values, command.body, json.dumps(command.properties)],
        )

    def waiting(self, device_id: str, at: dt.datetime) -> list[Command]:
        """Oldest first, without those whose time is over."""
        rows = self._db.rows("SELECT * FROM command WHERE device_id = ? ORDER BY sequence", [device_id])
        found = []
        for row in rows:
            if dt.datetime.fromisoformat(row["expires"]) <= at:
                self._end(row, "Expired", at)
            elif row["deliveries"] >= MOST_DELIVERIES:
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

    def feedback(self) -> tuple[str, list[dict[str, Any]]]:
        """What nobody holds yet, and the token of the lock that holds it from now on."""
        lock = secrets.token_hex(16)
        rows = self._db.rows(
            "UPDATE feedback SET lock = ? WHERE sequence IN "
            "(SELECT sequence FROM feedback WHERE lock = '' ORDER BY sequence LIMIT ?) RETURNING *",
            [lock, _MOST_FEEDBACK],
        )
        return lock, [_feedback(row) for row in sorted(rows, key=lambda row: int(row["sequence"]))]

    def settle(self, lock: str, *, taken: bool) -> None:
        """What the lock holds is done with, or not taken and free again."""
        change = "DELETE FROM feedback" if taken else "UPDATE feedback SET lock = ''"
        self._db.run(f"{change} WHERE lock = ? AND lock != ''", [lock])

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
