"""Hub: the state that HTTPS and MQTT share, and the one way in which a change reaches open connections."""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field

from thingmint.lab.cloud.advising.watch import Watch
from thingmint.lab.cloud.faults.faults import Faults
from thingmint.lab.cloud.journal import Journal
from thingmint.lab.cloud.store.store import Store
from thingmint.lab.state import LabFolder, LabSecrets, Role


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
