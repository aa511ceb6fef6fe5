"""Course: what was seen of one device from the moment a stage began, ready to be judged."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from thingmint.lab.advice.seen import Seen, Stage, What


def of_device(seen: Sequence[Seen], device: str) -> tuple[Seen, ...]:
    """Without the connections that another device's certificate was shown on."""
    others = {one.connection for one in seen if one.device not in {"", device}}
    return tuple(one for one in seen if one.connection not in others)


@dataclass(frozen=True)
class Course:
    """`seen` is all of the trial so far, of this device; `over` tells that no more is waited for."""

    seen: tuple[Seen, ...]
    stage: Stage
    patience: float
    over: bool

    @cached_property
    def began(self) -> float:
        stages = [one.at for one in self.seen if one.what is What.STAGE and one.words == self.stage]
        return stages[-1] if stages else 0.0

    @cached_property
    def since(self) -> tuple[Seen, ...]:
        """From the moment the stage began."""
        stages = [n for n, one in enumerate(self.seen) if one.what is What.STAGE and one.words == self.stage]
        return self.seen[stages[-1] + 1 :] if stages else ()

    @cached_property
    def new(self) -> tuple[Seen, ...]:
        """What belongs to connections that were opened in the stage."""
        opened = {one.connection for one in self.all(What.OPENED)}
        return tuple(one for one in self.since if one.connection in opened)

    def all(self, *what: What) -> list[Seen]:
        return [one for one in self.since if one.what in what]

    def first(self, *what: What) -> Seen | None:
        return next((one for one in self.new if one.what in what), None)

    @property
    def keep_alive(self) -> int | None:
        """What the CONNECT asked for that was the latest when the stage began."""
        connects = [one.number for one in self.seen if one.what is What.CONNECT and one.at <= self.began]
        return connects[-1] if connects else None
