"""The hub's device identities."""

import dataclasses
import datetime as dt
import json
import sqlite3
from collections.abc import Mapping
from typing import Literal

from thingmint.lab.cloud.records import Authentication, Device
from thingmint.lab.cloud.store.database import Database, moment, text

SCHEMA = """
CREATE TABLE device (
    device_id TEXT PRIMARY KEY, generation_id TEXT NOT NULL, etag TEXT NOT NULL, status TEXT NOT NULL,
    status_reason TEXT, status_updated TEXT, authentication TEXT NOT NULL, iot_edge INTEGER NOT NULL,
    connected INTEGER NOT NULL, connection_updated TEXT, last_activity TEXT
) STRICT;
"""
# Whoever was connected to the last process is not connected to this one. The indexes are for whoever watches, and of the
# thumbprints for every handshake: the provisioning service registers each device by them.
AT_START = """
UPDATE device SET connected = 0 WHERE connected;
CREATE INDEX IF NOT EXISTS device_by_activity ON device (last_activity);
CREATE INDEX IF NOT EXISTS device_connected ON device (connected) WHERE connected;
CREATE INDEX IF NOT EXISTS device_by_primary ON device (json_extract(authentication, '$.primary_thumbprint'));
CREATE INDEX IF NOT EXISTS device_by_secondary ON device (json_extract(authentication, '$.secondary_thumbprint'));
"""
Field = Literal["device_id", "status", "connected"]
"""What a query may be narrowed by."""

_SELECT = "SELECT *, (SELECT COUNT(*) FROM command WHERE command.device_id = device.device_id) AS commands FROM device"


class Devices:
    def __init__(self, database: Database) -> None:
        self._db = database
        self._total: int | None = None  # counting a hundred thousand takes 13 ms, and whoever watches asks often

    def get(self, device_id: str) -> Device | None:
        row = self._db.row(f"{_SELECT} WHERE device_id = ?", [device_id])
        return _read(row) if row else None

    def page(self, *, after: str = "", limit: int, where: Mapping[Field, object] = {}) -> list[Device]:
        """In the order of their ids, those behind `after` whose fields have these values."""
        found = self._db.rows(
            f"{_SELECT} WHERE device_id > ?{_and(where)} ORDER BY device_id LIMIT ?", [after, *where.values(), limit]
        )
        return [_read(row) for row in found]

    def number(self, where: Mapping[Field, object]) -> int:
        """How many have these values."""
        if not where:
            return self.count()[0]
        (number,) = self._db.rows(f"SELECT COUNT(*) FROM device WHERE TRUE{_and(where)}", [*where.values()])[0]  # noqa: S608 - a Field's own names
        return int(number)

    def recent(self, limit: int) -> list[Device]:
        """Those active last, then those that never were, the newest first."""
        found = self._db.rows(f"{_SELECT} ORDER BY last_activity DESC, device.rowid DESC LIMIT ?", [limit])
        return [_read(row) for row in found]

    def count(self) -> tuple[int, int]:
        """All, and those connected."""
        if self._total is None:
            (self._total,) = self._db.rows("SELECT COUNT(*) FROM device")[0]
        (connected,) = self._db.rows("SELECT COUNT(*) FROM device WHERE connected")[0]
        return self._total or 0, connected

    def have_thumbprint(self, thumbprints: frozenset[str]) -> bool:
        """Whether some device of authentication selfSigned is registered with this certificate."""
        # One query for each index. They are kept in upper case, and with this kind of authentication alone.
        of = "SELECT 1 FROM device WHERE json_extract(authentication, '$.{}_thumbprint') IN (SELECT value FROM json_each(?))"
        wanted = json.dumps([*thumbprints])
        return any(self._db.row(of.format(which), [wanted]) for which in ("primary", "secondary"))

    def put(self, device: Device) -> None:
        self._total = None
        values = dataclasses.asdict(device)
        values["authentication"] = json.dumps(values["authentication"])
        del values["commands"]  # counted where they are kept
        self._db.put("device", values)

    def delete(self, device_id: str) -> None:
        self._total = None
        self._db.run("DELETE FROM device WHERE device_id = ?", [device_id])

    def numbers(self) -> dict[str, int]:
        """How many there are of each status."""
        rows = self._db.rows("SELECT status, COUNT(*) AS number FROM device GROUP BY status")
        return {row["status"]: row["number"] for row in rows}

    def clear(self) -> None:
        self._total = None
        self._db.run("DELETE FROM device")

    def set_connected(self, device_id: str, *, connected: bool, at: dt.datetime) -> None:
        self._db.run(
            "UPDATE device SET connected = ?, connection_updated = ?, last_activity = ? WHERE device_id = ?",
            [connected, text(at), text(at), device_id],
        )

    def set_active(self, device_id: str, at: dt.datetime) -> None:
        self._db.run("UPDATE device SET last_activity = ? WHERE device_id = ?", [text(at), device_id])


def _and(where: Mapping[Field, object]) -> str:
    return "".join(f" AND {field} = ?" for field in where)


def _read(row: sqlite3.Row) -> Device:
    return Device(
        device_id=row["device_id"],
        generation_id=row["generation_id"],
        etag=row["etag"],
        status=row["status"],
        status_reason=row["status_reason"],
        status_updated=moment(row["status_updated"]),
        authentication=Authentication(**json.loads(row["authentication"])),
        iot_edge=bool(row["iot_edge"]),
        connected=bool(row["connected"]),
        connection_updated=moment(row["connection_updated"]),
        last_activity=moment(row["last_activity"]),
        commands=row["commands"],
    )
