"""Hub: the state that HTTPS and MQTT share, and the one way in which a change reaches open connections."""

import datetime as dt
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Protocol

from thingmint.lab.cloud.advising.watch import Watch
from thingmint.lab.cloud.faults.faults import Faults
from thingmint.lab.cloud.feed import Feed
from thingmint.lab.cloud.journal import Journal, printable
from thingmint.lab.cloud.store.store import Store
from thingmint.lab.state import LabFolder, LabSecrets, Role

_DEVICES_DOORS = ("mqtt", "provisioning service")


class Line(Protocol):
    """A device's open connection, as the service's side sees it."""

    def objection(self) -> str | None:
        """Why this device may not be connected, now; None if it may."""

    def end(self, reason: str) -> None:
        """The device lost its right."""

    def give_way(self) -> None:
        """To another connection of the same device."""

    def desired_changed(self, change: dict[str, Any], version: int) -> None:
        """Tell the device, where it wants to know."""

    def deliver(self) -> None:
        """Something waits in the device's queue."""

    @property
    def in_flight(self) -> Collection[int]:
        """The sequences of what was sent to it from its queue, and is not acknowledged."""

    @property
    def takes_calls(self) -> bool: ...

    async def call(self, method: str, payload: bytes, seconds: float) -> tuple[int, bytes]:
        """Status and payload of the device's answer. Raises TimeoutError, or ConnectionError where it goes away."""


@dataclass
class Hub:
    folder: LabFolder
    role: Role
    secrets: LabSecrets
    store: Store
    journal: Journal
    faults: Faults
    watch: Watch
    https_port: int
    touch: Callable[[], None]  # something happened: the lab is not idle
    stop: Callable[[], None]
    lines: dict[str, Line] = field(default_factory=dict)  # device id → its connection
    feed: Feed = field(default_factory=Feed)  # for those who watch
    _listeners: list[Callable[[], None]] = field(default_factory=list)

    def stands(self) -> bool:
        """Whether the hub was made, and not deleted since: else nobody answers under its name."""
        kept = self.store.resources.get("hub", self.role.hub)
        return kept is not None and kept.answers(dt.datetime.now(dt.UTC))

    def absence(self) -> str:
        """Why nobody answers under the hub's name; empty where the hub does."""
        return "" if self.stands() else f"there is no hub {self.role.hub}: it is not made yet, or is deleted"

    def when_changed(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)

    def changed(self) -> None:
        """Devices or CAs changed: open connections are judged anew, at once."""
        for listener in self._listeners:
            listener()
        self.feed.stirred()

    def refused(self, who: str, why: str, *, door: str, device: bool = False) -> None:
        """Somebody is turned away, a device or a program: log and page tell it with the same words. Nothing secret may
        stand in them. Through some doors only devices come."""
        who, why = printable(who), printable(why)
        self.journal.write(f"{door}: refused {who}: {why}")
        self.feed.refused(who, why, device=device or door in _DEVICES_DOORS)
