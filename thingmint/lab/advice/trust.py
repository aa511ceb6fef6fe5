"""Cases of TLS: whom the device trusts, and what it shows."""

from collections.abc import Callable

from thingmint.lab.advice import cures
from thingmint.lab.advice.course import Course
from thingmint.lab.advice.seen import Seen, What
from thingmint.lab.advice.verdict import Verdict, failed, not_seen, passed, warned

_TWICE = 2  # handshakes: in which a device may try one root after the other; and that a network does not lose by chance
_GRACE_PART, _MOST_GRACE_SECONDS = 0.25, 10.0
"""Of patience: so long a refusal waits for the device to show, by a handshake of its own, that it was somebody else's."""


def connects(course: Course) -> Verdict | None:
    """Its connection of before was ended, or it was waited for."""
    done = next((one for one in course.seen if one.what is What.CONNACK), None)  # its first one of the trial
    if done and done.number == 0:
        shook = next(one for one in course.seen if one.what is What.GREETED and one.connection == done.connection)
        return passed(f"It connected by {_showed(shook)}.")
    there = [one for one in course.seen if one.what is What.THERE and one.device == course.evidence.device]
    if there:
        return passed(f"It was connected when this began, by {_showed(there[-1])}.")
    if not course.over:
        return None
    if done:
        return failed(f"It was not let in (CONNACK {done.number}): lab/lab.log says why.", cures.CREDENTIALS)
    if broken := course.first(What.BROKEN_OFF):
        return failed(f"The TLS handshake failed: {broken.words}.", cures.CREDENTIALS)
    return course.missed(f"It did not connect within {course.patience:g} s")


def _showed(shook: Seen) -> str:
    return f"{shook.words}, and showed {shook.number} certificate{'' if shook.number == 1 else 's'}"


def _refuses(course: Course, accepted: str, cure: str) -> Verdict | None:
    """A pass wants a certificate alert: a connection that ends in any other way may have ended for any other reason.

    Which alert is left to the device: libraries differ in what they call a certificate for another host.
    """
    at_the_bad_one = _at_another_certificate(course)
    if any(one.what is What.CONNECT for one in at_the_bad_one):
        return failed(f"It accepted {accepted}, and went on as if nothing were wrong.", cure)
    if greeted := {one.connection for one in at_the_bad_one if one.what is What.GREETED}:
        if any(one.what is What.CLOSED and one.flag and one.connection in greeted for one in at_the_bad_one):
            return warned(f"It completed the handshake with {accepted}, and ended the connection before CONNECT.", cure)
        return failed(f"It accepted {accepted}, and said no more.", cure) if course.over else None
    return _broken_off(course, at_the_bad_one, lambda alert: passed(f"It broke the handshake off ({alert.words})."))


def _broken_off(
    course: Course, there: list[Seen], by_alert: Callable[[Seen], Verdict], *, may_follow: bool = False
) -> Verdict | None:
    """What handshakes tell that were broken off `there`.

    With an alert, what `by_alert` makes of it; without, nothing for certain. A device that `may_follow` with a handshake
    that succeeds has two, and without an alert all its time.
    """
    broken = [one for one in there if one.what is What.BROKEN_OFF]
    if not broken:
        return _no_attempt(course) if course.over else None
    grace = min(_GRACE_PART * course.patience, _MOST_GRACE_SECONDS)
    if not course.over and course.now - broken[0].at < grace:
        return None
    alerts = [one for one in broken if one.number]
    if alerts and (course.over or len(alerts) >= (_TWICE if may_follow else 1)):
        return by_alert(alerts[-1])
    if len(broken) >= _TWICE and (course.over or not may_follow):
        return warned(
            f"It ended {len(broken)} handshakes, by no certificate alert ({broken[-1].words}): it seems to refuse.",
            cures.ALERT,
        )
    if course.over:
        return not_seen(f"It ended one handshake, by no certificate alert ({broken[0].words}): so may a network.")
    return None


def _at_another_certificate(course: Course) -> list[Seen]:
    """What is of connections on which the hub showed another certificate than its own."""
    shown = {one.connection for one in course.new if one.what is What.SHOWN and one.words}
    return [one for one in course.new if one.connection in shown]


def refuses_expired(course: Course) -> Verdict | None:
    return _refuses(course, "an expired server certificate", cures.DATE)


def refuses_wrong_host(course: Course) -> Verdict | None:
    return _refuses(course, "a server certificate for another host", cures.HOST)


def refuses_stranger(course: Course) -> Verdict | None:
    return _refuses(course, "a server certificate of a CA that it does not know", cures.VERIFY)


def follows_chain(course: Course) -> Verdict | None:
    at_the_second_root = _at_another_certificate(course)
    if any(one.what is What.CONNECT for one in at_the_second_root):
        return passed("It connected again: it trusts the second root, too.")

    def by_alert(alert: Seen) -> Verdict:
        return failed(f"It did not reconnect after a chain change ({alert.words}).", cures.SECOND_ROOT)

    return _broken_off(course, at_the_second_root, by_alert, may_follow=True)


def _no_attempt(course: Course) -> Verdict:
    return course.missed(f"It made no attempt to connect within {course.patience:g} s")
