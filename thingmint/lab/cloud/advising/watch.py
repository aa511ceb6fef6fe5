"""Watch: what a trial needs of the devices' door: which connections are open, whose they are, and that they can be ended."""

import socket
import time

from thingmint.lab.advice.seen import KEEP_THE_CONNECTION, Stage, What
from thingmint.lab.cloud.advising.sighting import Sighting
from thingmint.lab.cloud.advising.trial import Trial
from thingmint.lab.cloud.faults.faults import Faults, Source
from thingmint.lab.cloud.faults.kinds import Fault, Point

LEASE_SECONDS = 6.0
"""A trial that nobody asks about for so long is over: whoever began it was killed. It asks ten times a second."""
SILENT_SECONDS = 3.0
"""After so long another trial may take its place."""
_ASLEEP_SECONDS = 2.0  # between two looks at it: then this machine slept, and whoever asks slept as well


class Watch:
    """At most one trial at a time. While it runs, it takes the place of chaos."""

    def __init__(self, faults: Faults) -> None:
        self.trial: Trial | None = None
        self.last: Trial | None = None
        """The one before, which was over at `ended`."""
        self.ended = 0.0
        self.faults = faults
        self._before: Source | None = None
        self.looked = time.monotonic()
        self._open: set[Sighting] = set()
        self._count = 0

    def begin(self, device: str, not_the_hub: frozenset[str]) -> Trial:
        """In the place of one that nobody asks about. Without `device`, the one that is connected, or connects next."""
        self.end()
        there = sorted(self._open, key=lambda one: one.number)
        connected = [one.device for one in there if one.inside]
        chosen = device or (connected[-1] if connected else "")
        trial = self.trial = Trial(chosen, not_the_hub, self.faults.journal.write)
        self._before, self.faults.source = self.faults.source, trial
        for one in there:
            one.join(trial)
        return trial

    def play(self, stage: Stage) -> None:
        assert self.trial is not None  # noqa: S101 - the caller has looked
        self.trial.play(stage)
        if stage not in KEEP_THE_CONNECTION:
            for one in self._of_device():
                if stage is not Stage.FRESH or one.of_before:
                    one.end()

    def end(self) -> None:
        """The lab is itself again; the device's connections are ended, since their streams may have been left silent."""
        if self.trial is None:
            return
        try:
            self.trial.end_stage()
            for one in self._of_device():
                one.end()
        finally:
            self.last, self.ended = self.trial, time.monotonic()
            self.faults.source, self.trial, self._before = self._before, None, None

    @property
    def silence(self) -> float:
        """For how many seconds nobody has asked about the trial."""
        return time.monotonic() - self.trial.asked if self.trial else 0.0

    def expire(self) -> bool:
        """End a trial that was left alone; whether there was one. To be called several times within _ASLEEP_SECONDS."""
        now = time.monotonic()
        if self.trial and now - self.looked > _ASLEEP_SECONDS:
            self.trial.asked = now
        self.looked = now
        left = self.silence > LEASE_SECONDS
        if left:
            self.end()
        return left

    @property
    def connected(self) -> bool:
        """Whether the device on trial is let in, now."""
        return any(one.inside for one in self._of_device())

    def watches(self, device_id: str) -> bool:
        """Whether it is connected where a trial sees it."""
        return any(one.entered and one.device == device_id for one in self._open)

    def draw(self, point: Point, name: str, sighting: Sighting | None) -> Fault | None:
        """Chaos knows a client by the name in its certificate; a trial the device that was let in, where it sees it."""
        if self.trial:
            name = sighting.device if sighting and sighting.entered else ""
        return self.faults.draw(point, name)

    def opened(self, accepted: socket.socket) -> Sighting:
        self._count += 1
        sighting = Sighting(self, self._count, _address(accepted))
        self._open.add(sighting)
        sighting.note(What.OPENED)
        return sighting

    def forget(self, sighting: Sighting) -> None:
        self._open.discard(sighting)

    def _of_device(self) -> list[Sighting]:
        return [one for one in self._open if self.trial and self.trial.device and one.device == self.trial.device]


def _address(accepted: socket.socket) -> str:
    """Of the other side; empty where it has gone already."""
    try:
        return str(accepted.getpeername()[0])
    except OSError:
        return ""
