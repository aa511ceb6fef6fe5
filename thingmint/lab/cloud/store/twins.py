"""The twins of the hub's devices. One that was never changed is not kept: it is empty."""

import dataclasses
import json
import sqlite3
from collections.abc import Sequence

from thingmint.lab.cloud.records import Section, Twin
from thingmint.lab.cloud.store.database import Database

# The trigger fires at a deletion and not at the device's replacement by a newer row, so that every way of deleting
# a device removes its twin.
SCHEMA = """
CREATE TABLE twin (
    device_id TEXT PRIMARY KEY, version INTEGER NOT NULL, changes INTEGER NOT NULL, tags TEXT NOT NULL,
    desired TEXT NOT NULL, reported TEXT NOT NULL
) STRICT;
CREATE TRIGGER device_deleted AFTER DELETE ON device BEGIN DELETE FROM twin WHERE device_id = OLD.device_id; END;
"""


class Twins:
    def __init__(self, database: Database) -> None:
        self._db = database

    def get(self, device_id: str) -> Twin:
        row = self._db.row("SELECT * FROM twin WHERE device_id = ?", [device_id])
        return _read(row) if row else Twin(device_id)

    def of(self, device_ids: Sequence[str]) -> list[Twin]:
        """Those of several devices, in their order."""
        rows = self._db.rows(
            "SELECT * FROM twin WHERE device_id IN (SELECT value FROM json_each(?))", [json.dumps(device_ids)]
        )
        kept = {row["device_id"]: _read(row) for row in rows}
        return [kept.get(one) or Twin(one) for one in device_ids]

    def put(self, twin: Twin) -> None:
        sections = {name: json.dumps(dataclasses.asdict(getattr(twin, name))) for name in ("desired", "reported")}
        values = {
            "device_id": twin.device_id,
            "version": twin.version,
            "changes": twin.changes,
            "tags": json.dumps(twin.tags),
            **sections,
        }
        self._db.put("twin", values)


def _read(row: sqlite3.Row) -> Twin:
    return Twin(
        device_id=row["device_id"],
        version=row["version"],
        changes=row["changes"],
        tags=json.loads(row["tags"]),
        desired=Section(**json.loads(row["desired"])),
        reported=Section(**json.loads(row["reported"])),
    )
