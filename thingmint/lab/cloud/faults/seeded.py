"""Chaos: faults that follow from a seed alone, so that a bad day can be had again."""

import hashlib
from collections import Counter
from collections.abc import Mapping

from thingmint.lab.chaos import Chaos
from thingmint.lab.cloud.faults.kinds import AT, Fault, Kind, Point

MOST_ROWS = 10_000
"""So many names have a row of draws of their own; clients choose names. All others share one row at each point."""
_LONGEST_NAME = 300
_AMOUNTS: Mapping[Kind, tuple[float, float]] = {
    Kind.SLOW: (0.1, 1.5),
    Kind.DROPPED: (0.0, 1.0),
    Kind.SILENT: (1.0, 2.0),  # in the end the connection breaks, as it would if a server hung
    Kind.THROTTLED: (0.5, 2.0),
    Kind.UNAVAILABLE: (0.5, 2.0),
    Kind.HIDDEN: (1.0, 3.0),
}


class Seeded:
    """Each draw follows from the seed, the point, the name of who asks, and how often that was before: from no clock.

    Nor from the order in which different names come, as a single generator's draws would; up to MOST_ROWS names. Who
    shares a name shares a row, and there the order decides who meets what: all devices in a handshake, where nothing is
    known of them but the host that they ask for; and clients that send the same request.
    """

    def __init__(self, chaos: Chaos) -> None:
        self._chaos = chaos
        self._drawn: Counter[tuple[Point, str]] = Counter()

    def draw(self, point: Point, who: str) -> Fault | None:
        key = (point, who.casefold()[:_LONGEST_NAME])
        if key not in self._drawn and len(self._drawn) >= MOST_ROWS:
            key = (point, "")
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
