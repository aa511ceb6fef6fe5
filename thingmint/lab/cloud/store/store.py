"""The lab's memory: a room for each kind of record, all in one file."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from thingmint.lab.cloud.records import Message
from thingmint.lab.cloud.store import certificates, commands, devices, enrollments, messages, resources, sessions, twins
from thingmint.lab.cloud.store.certificates import Certificates
from thingmint.lab.cloud.store.commands import Commands
from thingmint.lab.cloud.store.database import Database
from thingmint.lab.cloud.store.devices import Devices
from thingmint.lab.cloud.store.enrollments import Enrollments, Registrations
from thingmint.lab.cloud.store.messages import Messages
from thingmint.lab.cloud.store.resources import Resources
from thingmint.lab.cloud.store.sessions import Sessions
from thingmint.lab.cloud.store.twins import Twins

# Devices first: the triggers of others stand on them.
_ROOMS = (devices, certificates, commands, enrollments, messages, resources, sessions, twins)
_SCHEMA = "".join(room.SCHEMA for room in _ROOMS)


class Store:
    """Raises ToolError where the file cannot be used."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path, _SCHEMA, devices.AT_START + commands.AT_START)
        self.transaction = self._database.transaction
        self.close = self._database.close
        self.hub_certificates = Certificates(self._database, "hub")
        self.provisioning_certificates = Certificates(self._database, "provisioning")
        self.devices = Devices(self._database)
        self.messages = Messages(self._database)
        self.groups = Enrollments(self._database, "group")
        self.individuals = Enrollments(self._database, "individual")
        self.registrations = Registrations(self._database)
        self.resources = Resources(self._database)
        self.twins = Twins(self._database)
        self.sessions = Sessions(self._database)
        self.commands = Commands(self._database)

    def heard(self, device_id: str, messages: Sequence[tuple[bytes, dict[str, str]]], at: dt.datetime) -> list[Message]:
        """Bodies and properties of the device's messages, which was active with them. Returns what is kept of them."""
        with self.transaction():
            kept = self.messages.add(device_id, messages, at)
            self.devices.set_active(device_id, at)
        return kept
