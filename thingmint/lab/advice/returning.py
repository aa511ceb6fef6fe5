"""Cases of coming back: whether, and with which waits in between."""

import math
from collections.abc import Sequence

from thingmint.lab.advice import cures
from thingmint.lab.advice.course import Course
from thingmint.lab.advice.seen import Seen, Stage, What
from thingmint.lab.advice.verdict import Verdict, failed, not_seen, passed, warned

_WATCHED = 4
"""Waits that tell something at all, where the time was too short for more."""
_COMPARED = 5
"""Waits that tell whether they grow, and whether they are the same the next time."""
_HAMMERING = 4.0
"""Attempts a second."""
_MOST = 7
"""Waits that are waited for where the first ones do not tell whether they grow."""
# Of waits that double, each says by itself how long the first may have been. They grow if the longest is 5 times the
# longest of these; or, where a limit is reached soon, if the second is 1.4 times the first, and all others that of the
# second. Of 20,000 devices each that were simulated, with 5 to 7 waits, these pass: with waits of 0 to 10 s by chance
# 4.6 %, of 5 to 15 s 0.1 %; with doubled ones and full jitter 99.8 %, up to a limit of 8 s 94 %, with equal jitter or 20 %
# of it all; with decorrelated jitter 73 %.
_GROWTH, _STEP = 5.0, 1.4
_EVEN = 1.3  # the longest wait against the shortest: what a network alone makes of equal ones
# Jitter is what makes the second time another than the first. What libraries recommend moves a wait by at least a fifth
# (https://github.com/grpc/grpc/blob/master/doc/connection-backoff.md: 20 % to each side; by half and more:
# https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), a clock and a scheduler by much less than
# these. Five waits of a device that moves them by 20 % are all within them one time in a hundred.
_SAME, _SAME_SECONDS = 0.05, 0.05
_HIDING = 0.1  # of the longest wait: a network that takes longer hides what is random in it

# For a CONNACK a client may wait as long as for a PINGRESP (silence.py), and a minute at most.
_KEEP_ALIVES, _MOST_FAIR = 2.5, 60.0


def backs_off(course: Course) -> Verdict | None:
    """Each connection was reset."""
    attempts = course.all(What.OPENED)
    if len(attempts) < _COMPARED and not course.over:
        return None
    if not attempts:
        return _stayed_away(course, "its connection was ended")
    waits = [*_waits(course, attempts).values()]
    if _may_grow_yet(course, waits):
        return None
    return _uneasy(waits, "its connection was ended") or passed(f"It backs off: it came back after {_told(waits)} s.")


def bears_a_busy_hub(course: Course) -> Verdict | None:
    """Each CONNECT was answered by CONNACK 3. Its waits are compared with those of the time before."""
    asked = {one.connection for one in course.all(What.CONNECT)}
    attempts = [one for one in course.all(What.OPENED) if one.connection in asked]
    if len(attempts) < _COMPARED and not course.over:
        return None
    if not attempts:
        return course.missed(_no_connect(course))
    later = _waits(course, attempts)
    waits = [*later.values()]
    if _may_grow_yet(course, waits):
        return None
    if uneasy := _uneasy(waits, "the hub was busy"):
        return uneasy
    before = course.at(Stage.REFUSING)
    earlier = _waits(before, before.all(What.OPENED))
    pairs = [(earlier[number], later[number]) for number in earlier.keys() & later.keys()]
    delay = _network_delay(course)
    if any(abs(one - other) > _SAME * max(one, other) + max(_SAME_SECONDS, delay) for one, other in pairs):
        return passed(f"It tries again, after {_told(waits)} s: not the same waits as in back-off.")
    if len(pairs) < _COMPARED and not course.over:
        return None
    backs_off = f"It tries again, after {_told(waits)} s"
    if len(pairs) < _WATCHED:
        return warned(
            f"{backs_off}; whether its waits have a random part, so few do not show (a longer --patience does)."
        )
    if delay > _HIDING * max(waits):
        return warned(
            f"{backs_off}; whether its waits have a random part, its network hides, where a handshake takes {delay:.1f} s."
        )
    return warned(f"{backs_off}, the same waits as in back-off: they have no random part.", cures.BACK_OFF)


def retries_connect(course: Course) -> Verdict | None:
    """No CONNECT was answered."""
    asked = course.first(What.CONNECT)
    if asked is None:
        return course.missed(_no_connect(course)) if course.over else None
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
    if course.patience < (fair := min(_KEEP_ALIVES * asked.number or _MOST_FAIR, _MOST_FAIR)):
        return not_seen(
            f"It waited for a CONNACK for {course.patience:g} s, as it may: --patience {math.ceil(1.2 * fair)} shows more."
        )
    return failed(f"{waits_for_ever}, for {course.patience:g} s.", cures.CONNACK)


def hammers(course: Course) -> Verdict | None:
    """Of a stage in which too much happened to see the rest."""
    attempts = course.all(What.OPENED)
    seconds = course.since[-1].at - course.began if course.since else 0.0
    if len(attempts) > _COMPARED and len(attempts) > _HAMMERING * seconds:
        return failed(f"It hammers: {len(attempts)} attempts in {seconds:.1f} s.", cures.BACK_OFF)
    return None


def _no_connect(course: Course) -> str:
    return f"It sent no CONNECT within {course.patience:g} s"


def _stayed_away(course: Course, why: str) -> Verdict:
    if course.doubt:
        return course.missed(f"It was not seen to come back within {course.patience:g} s")
    return failed(f"It did not come back within {course.patience:g} s after {why}.", cures.RETURN)


def _waits(course: Course, attempts: Sequence[Seen]) -> dict[int, float]:
    """By the attempt that each led to: from the end of a connection, so that no handshake counts.

    A device that was away when the stage began has no wait before its first attempt.
    """
    ends = course.all(What.CLOSED)
    before = (
        max((end.at for end in ends if end.at <= one.at and end.connection != one.connection), default=None)
        for one in attempts
    )
    return {
        number: one.at - end for number, (one, end) in enumerate(zip(attempts, before, strict=True)) if end is not None
    }


def _uneasy(waits: Sequence[float], why: str) -> Verdict | None:
    """What is wrong with these waits by themselves."""
    if len(waits) < _WATCHED - 1:
        told = f"after {_told(waits)} s" if waits else "once"
        return warned(
            f"It came back {told}; whether it backs off, so few attempts do not show (a longer --patience does)."
        )
    if len(waits) > _HAMMERING * sum(waits):
        return failed(f"It hammers: {len(waits)} attempts in {sum(waits):.1f} s after {why}.", cures.BACK_OFF)
    if _even(waits):
        return warned(
            f"It comes back evenly, after {_told(waits)} s: a whole fleet would knock together.", cures.BACK_OFF
        )
    if not _grow(waits):
        return warned(f"It comes back after {_told(waits)} s: the waits do not clearly grow.", cures.BACK_OFF)
    return None


def _even(waits: Sequence[float]) -> bool:
    return max(waits[1:]) < _EVEN * min(waits[1:])


def _grow(waits: Sequence[float]) -> bool:
    doubled_from = max(wait / 2**number for number, wait in enumerate(waits))
    if max(waits) >= _GROWTH * doubled_from:
        return True
    first, second, *others = waits[:_COMPARED]
    return second >= _STEP * first and min(others) >= _STEP * second


def _may_grow_yet(course: Course, waits: Sequence[float]) -> bool:
    return not course.over and _WATCHED - 1 <= len(waits) < _MOST and not (_even(waits) or _grow(waits))


def _told(waits: Sequence[float]) -> str:
    return ", ".join(f"{wait:.1f}" for wait in waits)


def _network_delay(course: Course) -> float:
    """What a handshake of the device takes at least: some turns there and back."""
    opened = {one.connection: one.at for one in course.seen if one.what is What.OPENED}
    took = [
        one.at - opened[one.connection] for one in course.seen if one.what is What.GREETED and one.connection in opened
    ]
    return min(took, default=0.0)
