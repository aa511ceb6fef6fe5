"""Chaos: faults that follow from a seed alone, so that a bad day can be had again."""

import hashlib
from collections import Counter
from collections.abc import Mapping

from thingmint.lab.chaos import Chaos
from thingmint.lab.cloud.faults.kinds import AT, Fault, Kind, Point

_LONGEST_NAME = 300  # clients choose it
_AMOUNTS: Mapping[Kind, tuple[float, float]] = {
    Kind.SLOW: (0.1, 1.5),
    Kind.DROPPED: (0.0, 1.0),
    Kind.SILENT: (1.0, 2.0),  # in the end the connection breaks, as it would if a server hung
    Kind.THROTTLED: (0.5, 2.0),
    Kind.UNAVAILABLE: (0.5, 2.0),
    Kind.HIDDEN: (1.0, 3.0),
}


class Seeded:
    """Each draw follows from the seed, the point, who asks, and how often that was before: from no clock and no order.

    One generator for all would give other faults as soon as two clients' requests came in another order.
    """

    def __init__(self, chaos: Chaos) -> None:
        self._chaos = chaos
        self._drawn: Counter[tuple[Point, str]] = Counter()

    def draw(self, point: Point, who: str) -> Fault | None:
        key = (point, who.casefold()[:_LONGEST_NAME])
        self._drawn[key] += 1
        number = self._drawn[key]
        # A digest, and not hash(): that differs from process to process.
        text = f"{self._chaos.seed}\n{point.name}\n{number}\n{key[1]}".encode("utf-8", "backslashreplace")
        digest = hashlib.sha256(text).digest()
        happens, which, much = (int.from_bytes(digest[at : at + 8], "big") / 2**64 for at in (0, 8, 16))
        if happens >= self._chaos.rate:
            return None
        kinds = AT[point]
        kind = kinds[int(which * len(kinds))]
        least, most = _AMOUNTS.get(kind, (0.0, 0.0))
        return Fault(kind, least + much * (most - least), f"seed={self._chaos.seed}, draw {number}")
