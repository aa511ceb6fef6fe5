"""Cases of messages: the device's own that get lost, and those that a session would keep for it."""

from collections import Counter

from thingmint.lab.advice import cures
from thingmint.lab.advice.course import Course
from thingmint.lab.advice.seen import Seen, What
from thingmint.lab.advice.verdict import Verdict, failed, not_seen, passed, warned

_LATER = 5  # new messages, and one more for each that was lost: among them what was lost would have come
# By so many others, and so many after it, a message that says the same as the lost one is told from a state that returns.
_OTHERS, _OTHERS_AFTER = 4, 2
_ENOUGH = 3  # messages at QoS 0 that show that it sends no others


def sends_again(course: Course) -> Verdict | None:
    """A message's PUBACK did not come, and the connection broke.

    MQTT 3.1.1, 4.4: in a session that goes on, the message comes again with DUP and its packet id. In another session it
    is told by what it says, where the device says nothing twice.
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
    unproven = [one for one in lost if not any(_is_again(one, other) for other in later)]
    if not unproven:
        return passed("It sent the message again, marked as a duplicate, after it had connected again.")
    fresh = [one for one in later if not one.flag]
    if _alike(course, lost, unproven):
        enough = len(fresh) >= len(lost) + _LATER or course.over
        return not_seen("Its messages are alike: whether the lost one came again, nothing tells.") if enough else None
    said = [one.words for one in later]
    if all(one.words in said for one in unproven):
        return _by_words(course, lost, max(said.index(one.words) for one in unproven), later)
    new = [one for one in fresh if one.words not in {other.words for other in lost}]
    if len(new) >= len(lost) + _LATER:
        return failed("It lost a message at QoS 1: it did not send again what was not acknowledged.", cures.KEEP)
    return _unfinished(course, lost, len(new)) if course.over else None


def _by_words(course: Course, lost: list[Seen], last: int, later: list[Seen]) -> Verdict | None:
    """What was lost seems to have come again, up to the `last` one of those: others tell whether all that it says is new."""
    others = {one.words for one in _first_hand(course, lost)} - {one.words for one in lost}
    if len(others) >= _OTHERS and len({one.words for one in later[last + 1 :]} & others) >= _OTHERS_AFTER:
        return passed("It sent the message again, which is known by what it says, after it had connected again.")
    if not course.over:
        return None
    return not_seen(
        "A message came again, or another one that says the same: so few messages do not tell (a longer --patience does)."
    )


def _unfinished(course: Course, lost: list[Seen], new: int) -> Verdict:
    """What was lost has not come again, nor enough else to be sure that it does not come."""
    waited = course.began + course.patience - lost[-1].at
    if waited < course.patience / 2:
        return not_seen(
            f"It sent a message so late that only {waited:.1f} s were left (a longer --patience leaves more)."
        )
    if not any(one.what is What.CONNECT and one.at > lost[-1].at for one in course.since):
        if course.doubt:
            return course.missed("It did not come back to send the message again")
        return failed("It lost a message at QoS 1: it did not come back to send it again.", cures.KEEP)
    return not_seen(
        f"Of what was lost not all had come again when it had sent {new} more messages (a longer --patience shows more)."
    )


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


def _alike(course: Course, lost: list[Seen], unproven: list[Seen]) -> bool:
    """Whether the device says something twice, so that a message is not known by what it says."""
    first_hand = _first_hand(course, lost)
    words = [one.words for one in unproven]
    before = {one.words for one in first_hand if one.at < lost[-1].at}
    most = max(Counter(one.words for one in first_hand).values(), default=0)
    return most > 1 or len(set(words)) < len(words) or bool(before & set(words))


def _first_hand(course: Course, lost: list[Seen]) -> list[Seen]:
    """Its other messages of the trial that arrived, for all that the device knows: it had no reason to send them twice."""
    acknowledged = {(one.connection, one.packet) for one in course.seen if one.what is What.PUBACK}
    return [
        one
        for one in course.seen
        if one.what is What.PUBLISH
        and not one.flag
        and one not in lost
        and (not one.number or (one.connection, one.packet) in acknowledged)
    ]


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
