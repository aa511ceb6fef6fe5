"""What the subscription holds: resource groups, the hub, the provisioning service; and which accounts were opened."""

import contextlib
import dataclasses
import datetime as dt
import json
import sqlite3
from pathlib import Path

from thingmint.lab.cloud.records import Resource, ResourceKind
from thingmint.lab.cloud.store.database import Database

SCHEMA = """
CREATE TABLE resource (
    kind TEXT NOT NULL, name TEXT NOT NULL COLLATE NOCASE, resource_group TEXT NOT NULL,
    location TEXT NOT NULL, etag TEXT NOT NULL, created TEXT NOT NULL, ready TEXT NOT NULL,
    doing TEXT NOT NULL, tags TEXT NOT NULL, sku TEXT NOT NULL, properties TEXT NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT;
CREATE TABLE account (names TEXT PRIMARY KEY) STRICT;
"""
_AS_JSON = ("tags", "sku", "properties")


class Resources:
    def __init__(self, database: Database) -> None:
        self._db = database

    def get(self, kind: ResourceKind, name: str) -> Resource | None:
        row = self._db.row("SELECT * FROM resource WHERE kind = ? AND name = ?", [kind, name])
        return _read(row) if row else None

    def all(self, kind: ResourceKind) -> list[Resource]:
        return [_read(row) for row in self._db.rows("SELECT * FROM resource WHERE kind = ? ORDER BY name", [kind])]

    def put(self, resource: Resource) -> None:
        values = dataclasses.asdict(resource)
        values |= {name: json.dumps(values[name]) for name in _AS_JSON}
        values["resource_group"] = values.pop("group")
        self._db.put("resource", values)

    def delete(self, kind: ResourceKind, name: str) -> None:
        self._db.run("DELETE FROM resource WHERE kind = ? AND name = ?", [kind, name])

    def is_opened(self, names: str) -> bool:
        return self._db.row("SELECT 1 FROM account WHERE names = ?", [names]) is not None

    def open(self, names: str) -> None:
        """From now on what is missing under these names was deleted, or never made: it is not made anew at a start."""
        self._db.put("account", {"names": names})


def standing(path: Path) -> set[tuple[str, str]]:
    """Kind and name in lower case of all that a lab's database holds, for who is not its server. Raises sqlite3.Error."""
    with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
        return {(kind, name.casefold()) for kind, name in db.execute("SELECT kind, name FROM resource")}


def _read(row: sqlite3.Row) -> Resource:
    values = dict(row)
    values |= {name: json.loads(values[name]) for name in _AS_JSON}
    values |= {name: dt.datetime.fromisoformat(values[name]) for name in ("created", "ready")}
    return Resource(group=values.pop("resource_group"), **values)
