"""The CA certificates of one service: the hub's, or those of the provisioning service."""

import dataclasses
import datetime as dt
import sqlite3
from typing import Literal

from thingmint.lab.cloud.records import CaCertificate
from thingmint.lab.cloud.store.database import Database

SCHEMA = """
CREATE TABLE certificate (
    owner TEXT NOT NULL, name TEXT NOT NULL COLLATE NOCASE, der BLOB NOT NULL, created TEXT NOT NULL,
    updated TEXT NOT NULL, etag TEXT NOT NULL, verified INTEGER NOT NULL, verification_code TEXT,
    PRIMARY KEY (owner, name)
) STRICT;
"""
Owner = Literal["hub", "provisioning"]


class Certificates:
    def __init__(self, database: Database, owner: Owner) -> None:
        self._db = database
        self._owner = owner

    def all(self) -> list[CaCertificate]:
        return [
            _read(row)
            for row in self._db.rows("SELECT * FROM certificate WHERE owner = ? ORDER BY name", [self._owner])
        ]

    def verified(self) -> dict[bytes, str]:
        """DER → name of those whose possession was proven: they vouch for devices."""
        return {one.der: one.name for one in self.all() if one.verified}

    def get(self, name: str) -> CaCertificate | None:
        row = self._db.row("SELECT * FROM certificate WHERE owner = ? AND name = ?", [self._owner, name])
        return _read(row) if row else None

    def put(self, certificate: CaCertificate) -> None:
        self._db.put("certificate", {"owner": self._owner, **dataclasses.asdict(certificate)})

    def delete(self, name: str) -> None:
        self._db.run("DELETE FROM certificate WHERE owner = ? AND name = ?", [self._owner, name])

    def clear(self) -> None:
        self._db.run("DELETE FROM certificate WHERE owner = ?", [self._owner])


def _read(row: sqlite3.Row) -> CaCertificate:
    return CaCertificate(
        name=row["name"],
        der=row["der"],
        created=dt.datetime.fromisoformat(row["created"]),
        updated=dt.datetime.fromisoformat(row["updated"]),
        etag=row["etag"],
        verified=bool(row["verified"]),
        verification_code=row["verification_code"],
    )
