"""Cases of messages: the device's own that get lost, and those that a session would keep for it."""

from thingmint.lab.advice import cures
from thingmint.lab.advice.course import Course
from thingmint.lab.advice.seen import Seen, What
from thingmint.lab.advice.verdict import Verdict, failed, not_seen, passed, warned

_FAIR = 5  # later messages among which the lost one may be
_ENOUGH = 3  # messages at QoS 0 that show that it sends no others


def sends_again(course: Course) -> Verdict | None:
    """A message's PUBACK did not come, and the connection broke.

    MQTT 3.1.1, 4.4: in a session that goes on, the message comes again with DUP and its packet id. In another session it
    is told by what it says, if the device does not say the same all the time.
    """
    published = course.all(What.PUBLISH)
    lost = _lost(course)
    if not lost:
        if published and not any(one.number for one in published) and (len(published) >= _ENOUGH or course.over):
            return warned("It sends its messages at QoS 0: one that gets lost, nobody misses.", cures.QOS)
        if not course.over:
            return None
        return not_seen(f"It sent no message {'at QoS 1 ' if published else ''}within {course.patience:g} s.")
    later = [one for one in published if one.at >= lost[-1].at and one.connection != lost[-1].connection]
    if all(any(_is_again(one, other) for other in later) for one in lost):
        return passed("It sent the message again, marked as a duplicate, after it had connected again.")
    words = {one.words for one in lost}
    enough = len(later) >= _FAIR or course.over
    if _alike(course, lost, later):
        return not_seen("Its messages are alike: whether the lost one came again, nothing tells.") if enough else None
    if words <= {one.words for one in later}:
        return passed("It sent the message again after it had connected again.")
    if enough:
        return failed("It lost a message at QoS 1: it did not send again what was not acknowledged.", cures.KEEP)
    return None


def _lost(course: Course) -> list[Seen]:
    """Messages whose connection broke before the PUBACK, of the first connection that lost some."""
    waiting: dict[int, dict[int, Seen]] = {}  # by connection and packet id
    for one in course.since:
        if one.what is What.PUBLISH and one.number:
            waiting.setdefault(one.connection, {})[one.packet] = one
        elif one.what is What.PUBACK:
            waiting.get(one.connection, {}).pop(one.packet, None)
        elif one.what is What.CLOSED and (found := waiting.get(one.connection)):
            return list(found.values())
    return []


def _alike(course: Course, lost: list[Seen], later: list[Seen]) -> bool:
    """Whether the device says the same again and again, so that a message is not known by what it says."""
    words = {one.words for one in lost}
    before = [
        one.words for one in course.seen if one.what is What.PUBLISH and not one.flag and one not in (*lost, *later)
    ]
    said = [*before, *(one.words for one in later if one.words not in words)]
    return bool(words & set(before)) or 2 * len(set(said)) <= len(said)


def _is_again(lost: Seen, later: Seen) -> bool:
    return later.flag and (later.packet, later.words) == (lost.packet, lost.words)


def takes_up_session(course: Course) -> Verdict | None:
    connects = [one for one in course.seen if one.what is What.CONNECT]
    if not connects:
        return not_seen("It sent no CONNECT.")
    if connects[-1].flag:
        return warned(
            "It asks for a clean session: what was sent to it while it was away may be lost to it.", cures.SESSION
        )
    return passed("It takes its session up again (clean session: no).")
