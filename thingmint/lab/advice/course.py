"""Course: what was seen of one device from the moment a stage began, ready to be judged."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from thingmint.lab.advice.evidence import Evidence
from thingmint.lab.advice.seen import Seen, Stage, What
from thingmint.lab.advice.verdict import Verdict, not_seen


@dataclass(frozen=True)
class Course:
    """`evidence` is of all of the trial so far; `now` in seconds since it began; `over` tells that no more is waited for."""

    evidence: Evidence
    stage: Stage
    patience: float
    now: float
    over: bool

    def at(self, stage: Stage) -> "Course":
        """The same device in an earlier stage, which is over."""
        return replace(self, stage=stage, over=True)

    @property
    def seen(self) -> tuple[Seen, ...]:
        """Of the device, in the whole trial."""
        return self.evidence.seen

    @cached_property
    def began(self) -> float:
        stages = [one.at for one in self.seen if one.what is What.STAGE and one.words == self.stage]
        return stages[-1] if stages else 0.0

    @cached_property
    def since(self) -> tuple[Seen, ...]:
        """Of the device, in the stage."""
        return tuple(filter(self.evidence.is_own, self._everything))

    @cached_property
    def _everything(self) -> Sequence[Seen]:
        everything = self.evidence.everything
        marks = [n for n, one in enumerate(everything) if one.what is What.STAGE and one.words == self.stage]
        if not marks:
            return ()
        later = everything[marks[-1] + 1 :]
        return tuple(itertools.takewhile(lambda one: one.what is not What.STAGE, later))

    @cached_property
    def new(self) -> tuple[Seen, ...]:
        """What belongs to connections that were opened in the stage."""
        opened = {one.connection for one in self.all(What.OPENED)}
        return tuple(one for one in self.since if one.connection in opened)

    def all(self, *what: What) -> list[Seen]:
        return [one for one in self.since if one.what in what]

    def first(self, *what: What) -> Seen | None:
        return next((one for one in self.new if one.what in what), None)

    @cached_property
    def doubt(self) -> str:
        """Why connections of the stage are not put down to the device; empty where there are none."""
        return self.evidence.doubt({one.connection for one in self._everything if one.what is What.OPENED})

    def missed(self, told: str) -> Verdict:
        """Nothing was seen of the device, as `told` says without its full stop: and why, where there was somebody."""
        return not_seen(f"{told}; {self.doubt}." if self.doubt else f"{told}.")

    @property
    def unasked(self) -> str:
        """Why the service could not ask in the stage what it would have; empty if it could, or could later."""
        asked = [one for one in self._everything if one.what in {What.UNASKED, What.DESIRED, What.ANSWERED}]
        return asked[-1].words if asked and asked[-1].what is What.UNASKED else ""

    @property
    def overflow(self) -> int:
        """The number of events after which no more were noted; 0 if all were."""
        return next((one.number for one in self._everything if one.what is What.OVERFLOW), 0)

    @property
    def keep_alive(self) -> int | None:
        """What the CONNECT asked for that was the latest when the stage began."""
        connects = [one.number for one in self.seen if one.what is What.CONNECT and one.at <= self.began]
        return connects[-1] if connects else None
