"""The provisioning service's enrollments and registrations. Their ids ignore case."""

import dataclasses
import datetime as dt
import json
import sqlite3

from thingmint.lab.cloud.provisioning.records import Attestation, Enrollment, Kind, Registration
from thingmint.lab.cloud.store.database import Database

SCHEMA = """
CREATE TABLE enrollment (
    kind TEXT NOT NULL, enrollment_id TEXT NOT NULL COLLATE NOCASE, etag TEXT NOT NULL, created TEXT NOT NULL,
    updated TEXT NOT NULL, rest TEXT NOT NULL, PRIMARY KEY (kind, enrollment_id)
) STRICT;
CREATE TABLE registration (
    registration_id TEXT PRIMARY KEY COLLATE NOCASE, "group" TEXT COLLATE NOCASE, operation_id TEXT NOT NULL,
    etag TEXT NOT NULL, created TEXT NOT NULL, updated TEXT NOT NULL, status TEXT NOT NULL, substatus TEXT,
    device_id TEXT, assigned_hub TEXT, error_code INTEGER, error_message TEXT
) STRICT;
"""
_COLUMNS = ("kind", "enrollment_id", "etag", "created", "updated")


class Enrollments:
    """Of one kind: the groups, or those of individual devices."""

    def __init__(self, database: Database, kind: Kind) -> None:
        self._db = database
        self._kind = kind

    def get(self, enrollment_id: str) -> Enrollment | None:
        row = self._db.row("SELECT * FROM enrollment WHERE kind = ? AND enrollment_id = ?", [self._kind, enrollment_id])
        return _read(row) if row else None

    def page(self, *, after: str = "", limit: int = -1) -> list[Enrollment]:
        """In the order of their ids, those behind `after`; all of them unless there is a limit."""
        rows = self._db.rows(
            "SELECT * FROM enrollment WHERE kind = ? AND enrollment_id > ? ORDER BY enrollment_id LIMIT ?",
            [self._kind, after, limit],
        )
        return [_read(row) for row in rows]

    def put(self, enrollment: Enrollment) -> None:
        values = dataclasses.asdict(enrollment)
        columns = {name: values.pop(name) for name in _COLUMNS}
        self._db.put("enrollment", {**columns, "rest": json.dumps(values)})

    def delete(self, enrollment_id: str) -> None:
        self._db.run("DELETE FROM enrollment WHERE kind = ? AND enrollment_id = ?", [self._kind, enrollment_id])

    def clear(self) -> None:
        self._db.run("DELETE FROM enrollment WHERE kind = ?", [self._kind])


class Registrations:
    def __init__(self, database: Database) -> None:
        self._db = database

    def get(self, registration_id: str) -> Registration | None:
        row = self._db.row("SELECT * FROM registration WHERE registration_id = ?", [registration_id])
        return _read_registration(row) if row else None

    def of_group(self, group: str, *, after: str = "", limit: int) -> list[Registration]:
        rows = self._db.rows(
            'SELECT * FROM registration WHERE "group" = ? AND registration_id > ? ORDER BY registration_id LIMIT ?',
            [group, after, limit],
        )
        return [_read_registration(row) for row in rows]

    def put(self, registration: Registration) -> None:
        values = dataclasses.asdict(registration)
        self._db.put("registration", {'"group"': values.pop("group"), **values})

    def delete(self, registration_id: str) -> None:
        self._db.run("DELETE FROM registration WHERE registration_id = ?", [registration_id])

    def clear(self) -> None:
        self._db.run("DELETE FROM registration")


def _read(row: sqlite3.Row) -> Enrollment:
    rest = json.loads(row["rest"])
    return Enrollment(
        kind=row["kind"],
        enrollment_id=row["enrollment_id"],
        etag=row["etag"],
        created=dt.datetime.fromisoformat(row["created"]),
        updated=dt.datetime.fromisoformat(row["updated"]),
        attestation=Attestation(**rest.pop("attestation")),
        hubs=tuple(rest.pop("hubs")),
        **rest,
    )


def _read_registration(row: sqlite3.Row) -> Registration:
    values = dict(row)
    for name in ("created", "updated"):
        values[name] = dt.datetime.fromisoformat(values[name])
    return Registration(**values)
