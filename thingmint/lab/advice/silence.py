"""The case of a hub that falls silent on an open connection."""

import math

from thingmint.lab.advice import cures
from thingmint.lab.advice.course import Course
from thingmint.lab.advice.seen import What
from thingmint.lab.advice.verdict import Verdict, failed, not_seen, passed, warned

_ENDS = frozenset({What.DISCONNECT, What.CLOSED, What.OPENED})
# MQTT 3.1.1, 3.1.2.10, lets a client ask within each keep-alive, a server wait for one and a half of them, and leaves
# open how long a client waits for PINGRESP. Eclipse Paho waits for one keep-alive more, and here so may everybody.
_ASKS, _WAITS = 1.5, 1.0


def notices_silence(course: Course) -> Verdict | None:
    """On the open connection nothing was answered any more.

    A device may send DISCONNECT at any time, and for any reason: that it noticed, this does not tell.
    """
    keep_alive = course.keep_alive
    if keep_alive == 0:
        return failed("It asked for no keep-alive: it never notices a hub that is gone.", cures.KEEP_ALIVE)
    if keep_alive is not None and keep_alive > course.patience:
        return _longer(f"Its keep-alive of {keep_alive} s is longer than was waited for", keep_alive)
    ended = next((one for one in course.since if one.what in _ENDS), None)
    if ended and ended.what is What.DISCONNECT:
        return not_seen(
            f"It ended the connection by DISCONNECT after {ended.at - course.began:.1f} s, as it may at any time: "
            "whether it noticed the silence, that does not tell."
        )
    if ended and ended.what is What.CLOSED and not ended.flag:
        return failed("It fell silent itself, and the hub ended the connection.", cures.KEEP_ALIVE)
    if ended and (back := course.first(What.CONNECT)):
        return _noticed(ended.at - course.began, keep_alive, back.at - ended.at)
    if not course.over:
        return None
    if ended:
        return failed("It noticed, and did not connect again.", cures.RETURN)
    deaf = f"It did not notice for {course.patience:g} s"
    if keep_alive is not None and _in_time(keep_alive) > course.patience:
        return _longer(f"{deaf}, which its keep-alive of {keep_alive} s allows", keep_alive)
    pings = len(course.all(What.PING))
    return failed(f"{deaf}: {pings} pings stayed without an answer.", cures.KEEP_ALIVE)


def _in_time(keep_alive: int) -> float:
    return (_ASKS + _WAITS) * keep_alive


def _longer(told: str, keep_alive: int) -> Verdict:
    return not_seen(f"{told}: --patience {math.ceil(_in_time(keep_alive) * 1.2)} shows it.")


def _noticed(after: float, keep_alive: int | None, back: float) -> Verdict:
    told = f"It noticed after {after:.1f} s, and connected again {back:.1f} s later"
    if keep_alive is None:
        return passed(f"{told}.")
    limit = _in_time(keep_alive)
    if after <= limit:
        return passed(f"{told} (its keep-alive is {keep_alive} s: in time up to {limit:g} s).")
    return warned(
        f"{told}: {after - limit:.1f} s too late for its keep-alive of {keep_alive} s (in time up to {limit:g} s).",
        cures.KEEP_ALIVE,
    )
