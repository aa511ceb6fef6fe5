"""A device comes back: what broke is tried again on a new connection, after a pause that grows."""

import random
import time
from collections.abc import Callable
from typing import TypeVar

from thingmint.errors import PassingError

_TURNS = 4
_SHARE = 3  # silence is waited for so many times within all the seconds
_LEAST_SECONDS = 2.0  # with less, a connection that only lags would be given up
_FIRST_PAUSE_SECONDS = 0.5

_T = TypeVar("_T")


def until_through(speak: Callable[[float], _T], seconds: float, tell: Callable[[str], None]) -> _T:
    """`speak` on a connection of its own for as many seconds as it is given, again after each PassingError.

    All of it takes `seconds` at most, each turn a third: silence leaves time for another. The pauses
    double, each shortened by up to half at random, so that devices which lost one hub do not come back as one. What
    was sent before a connection broke may be heard twice, as MQTT's QoS 1 allows. `tell` is told before each pause.
    Whatever else `speak` raises ends it: a server that is not to be trusted, above all.
    """
    until, pause = time.monotonic() + seconds, _FIRST_PAUSE_SECONDS
    for _ in range(_TURNS - 1):
        try:
            return speak(_share(until, seconds))
        except PassingError as broken:
            wait = pause * random.uniform(0.5, 1)  # noqa: S311 - no secret
            if time.monotonic() + wait + _LEAST_SECONDS > until:
                raise
            tell(f"{broken.message} Again in {wait:.1f} s")
            time.sleep(wait)
            pause *= 2
    return speak(_share(until, seconds))


def _share(until: float, seconds: float) -> float:
    return min(until - time.monotonic(), max(seconds / _SHARE, _LEAST_SECONDS))
