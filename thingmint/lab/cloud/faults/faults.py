"""Faults: asked at each point whether something goes wrong there; by itself, nothing ever does."""

from collections import deque
from typing import Protocol

from thingmint.lab.cloud.faults.kinds import Fault, Point
from thingmint.lab.cloud.journal import Journal

_REMEMBERED = 100


class Source(Protocol):
    """Who decides: a seed (`seeded.Seeded`), or a plan for one device."""

    def draw(self, point: Point, who: str) -> Fault | None: ...


class Faults:
    """`source` may be exchanged while the lab runs. Without one a draw costs nothing."""

    def __init__(self, journal: Journal, source: Source | None = None) -> None:
        self.journal = journal
        self.source = source
        self._struck: deque[str] = deque(maxlen=_REMEMBERED)

    def draw(self, point: Point, who: str) -> Fault | None:
        """What goes wrong at this point, for the caller to carry out; it is in the log already."""
        fault = self.source.draw(point, who) if self.source else None
        if fault:
            self.journal.write(f"chaos: {fault.kind.value}: {who}" + (f", {fault.told}" if fault.told else ""))
            self._struck.append(who)
        return fault

    def struck(self, who: str) -> bool:
        """Whether something went wrong for `who` lately, while the lab misbehaves: what it does then may follow from that."""
        return self.source is not None and who in self._struck
