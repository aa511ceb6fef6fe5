"""What the hub remembers of a device's MQTT session while it is away: what it subscribed to. Its queue is in commands."""

import json

from thingmint.lab.cloud.store.database import Database

SCHEMA = """
CREATE TABLE session (device_id TEXT PRIMARY KEY, subscriptions TEXT NOT NULL) STRICT;
CREATE TRIGGER session_over AFTER DELETE ON device BEGIN DELETE FROM session WHERE device_id = OLD.device_id; END;
"""


class Sessions:
    def __init__(self, database: Database) -> None:
        self._db = database

    def get(self, device_id: str) -> dict[str, int] | None:
        """Topic filter → QoS; None without a session."""
        row = self._db.row("SELECT subscriptions FROM session WHERE device_id = ?", [device_id])
        return dict(json.loads(row["subscriptions"])) if row else None

    def put(self, device_id: str, subscriptions: dict[str, int]) -> None:
        self._db.put("session", {"device_id": device_id, "subscriptions": json.dumps(subscriptions)})

    def forget(self, device_id: str) -> None:
        self._db.run("DELETE FROM session WHERE device_id = ?", [device_id])
