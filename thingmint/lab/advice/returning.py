"""Cases of coming back: whether, and with which waits in between."""

import itertools
from collections.abc import Sequence

from thingmint.lab.advice import cures
from thingmint.lab.advice.course import Course
from thingmint.lab.advice.seen import What
from thingmint.lab.advice.verdict import Verdict, failed, not_seen, passed, warned

WATCHED = 4
"""Attempts after which the waits between them tell enough."""
_HAMMERING_SECONDS = 1.0  # for all these waits
_GROWTH = 1.5
_EVEN = 1.3  # the longest wait against the shortest: what a network alone makes of equal ones
_EXACT = 0.01


def backs_off(course: Course) -> Verdict | None:
    """Each connection was reset."""
    return _waits(course, [one.at for one in course.all(What.OPENED)], "its connection was ended")


def bears_a_busy_hub(course: Course) -> Verdict | None:
    """Each CONNECT was answered by CONNACK 3."""
    return _waits(course, [one.at for one in course.all(What.CONNECT)], "the hub was busy", first=1)


def retries_connect(course: Course) -> Verdict | None:
    """No CONNECT was answered."""
    asked = course.first(What.CONNECT)
    if asked is None:
        return not_seen(f"It sent no CONNECT within {course.patience:g} s.") if course.over else None
    later = [one for one in course.since if one.at > asked.at]
    ended = next((one for one in later if one.what is What.CLOSED and one.connection == asked.connection), None)
    again = next((one for one in later if one.what is What.OPENED), None)
    waits_for_ever = "It went on waiting for a CONNACK that never came"
    if ended and not ended.flag and (again is None or again.at > ended.at):
        return failed(f"{waits_for_ever}, until the hub ended the connection.", cures.CONNACK)
    if again:
        return passed(f"It gave up after {again.at - asked.at:.1f} s, and tried again.")
    if not course.over:
        return None
    if ended:
        return failed("It gave up waiting for a CONNACK, and did not try again.", cures.RETURN)
    return failed(f"{waits_for_ever}, for {course.patience:g} s.", cures.CONNACK)


def _waits(course: Course, attempts: Sequence[float], why: str, first: int = 0) -> Verdict | None:
    """`first` attempts are the beginning, and no return. The other waits are from one attempt to the next."""
    if len(attempts) < WATCHED and not course.over:
        return None
    if len(attempts) <= first:
        if first and not attempts:
            return not_seen(f"It sent no CONNECT within {course.patience:g} s.")
        return failed(f"It did not come back within {course.patience:g} s after {why}.", cures.RETURN)
    moments = attempts if first else [course.began, *attempts]
    waits = [later - earlier for earlier, later in itertools.pairwise(moments)]
    told = ", ".join(f"{wait:.1f}" for wait in waits)
    if len(waits) < WATCHED - 1:
        return warned(
            f"It came back after {told} s; whether it backs off, so few attempts do not show (a longer --patience does)."
        )
    if sum(waits) < _HAMMERING_SECONDS:
        return failed(f"It hammers: {len(waits)} attempts in {sum(waits):.1f} s after {why}.", cures.BACK_OFF)
    if max(waits[1:]) < _EVEN * min(waits[1:]):
        return warned(f"It comes back evenly, after {told} s: a whole fleet would knock together.", cures.BACK_OFF)
    if waits[-1] < _GROWTH * waits[0]:
        return warned(f"It comes back after {told} s: the waits do not grow.", cures.BACK_OFF)
    ratios = [later / earlier for earlier, later in itertools.pairwise(waits)]
    if max(ratios) - min(ratios) < _EXACT * max(ratios):
        return warned(f"It backs off, after {told} s, but without a random part.", cures.BACK_OFF)
    return passed(f"It backs off: it came back after {told} s.")
