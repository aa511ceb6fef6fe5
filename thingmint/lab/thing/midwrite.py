"""What strikes in the middle of one write: bytes that get lost, a link that drops, a reboot, an answer that never comes."""

from enum import Enum, auto

from thingmint.lab.thing.faults import Faults

_COMMAND = b"AT%CMNG=0"
_DROP_AT = 60  # inside a PEM's first line


class Event(Enum):
    UNPLUG = auto()
    REBOOT = auto()


class MidWrite:
    """Watches the host's buffer grow. Each fault strikes once, in the write that `at_write` names."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._writes = 0
        self._inside = False
        self._left = faults.drop
        pending = {Event.UNPLUG: faults.unplug, Event.REBOOT: faults.reboot}
        self._pending = {event: size for event, size in pending.items() if size}

    def restart(self) -> None:
        """The host forgot its buffer."""
        self._inside = False

    def loses(self, buffer: bytearray) -> bool:
        """Whether the byte that comes now gets lost."""
        if not self._here or not self._left or len(buffer) < _DROP_AT:
            return False
        self._left -= 1
        return True

    def grew(self, buffer: bytearray) -> Event | None:
        """Called after each byte that ended no command."""
        if not self._inside and len(buffer) <= len(_COMMAND) + 1 and buffer.lstrip(b"\n").upper() == _COMMAND:
            self._inside = True
            self._writes += 1
        return self._due(len(buffer)) if self._here else None

    def ended(self) -> tuple[Event | None, bool]:
        """Called when a command is whole: what strikes before it is done, and whether its answer gets lost."""
        here, self._inside = self._here, False
        if not here:
            return None, False
        return self._due(max(self._pending.values(), default=0)), self._faults.no_answer

    @property
    def _here(self) -> bool:
        return self._inside and self._writes == self._faults.at_write

    def _due(self, size: int) -> Event | None:
        for event, at in self._pending.items():
            if size >= at:
                del self._pending[event]
                return event
        return None
