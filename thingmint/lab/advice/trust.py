"""Cases of TLS: whom the device trusts, and what it shows."""

from thingmint.lab.advice import cures
from thingmint.lab.advice.course import Course
from thingmint.lab.advice.seen import What
from thingmint.lab.advice.verdict import Verdict, failed, not_seen, passed

_FAIR = 2  # handshakes in which a device may try one root after the other


def connects(course: Course) -> Verdict | None:
    """Its connection of before was ended, or it was waited for."""
    done = next((one for one in course.seen if one.what is What.CONNACK), None)  # its first one of the trial
    if done and done.number == 0:
        shook = next(one for one in course.seen if one.what is What.GREETED and one.connection == done.connection)
        certificates = f"{shook.number} certificate{'' if shook.number == 1 else 's'}"
        return passed(f"It connected by {shook.words}, and showed {certificates}.")
    if not course.over:
        return None
    if done:
        return failed(f"It was not let in (CONNACK {done.number}): lab/lab.log says why.", cures.CREDENTIALS)
    if broken := course.first(What.BROKEN_OFF):
        return failed(f"The TLS handshake failed: {broken.words}.", cures.CREDENTIALS)
    return not_seen(f"It did not connect within {course.patience:g} s.")


def _refuses(course: Course, accepted: str, cure: str) -> Verdict | None:
    if course.first(What.CONNECT):
        return failed(f"It accepted {accepted}, and went on as if nothing were wrong.", cure)
    shook = course.first(What.GREETED)
    if shook and (course.over or course.first(What.CLOSED)):
        return failed(f"It accepted {accepted}, and ended the connection then.", cure)
    if broken := course.first(What.BROKEN_OFF):
        return passed(f"It broke the handshake off ({broken.words}).")
    return _no_attempt(course) if course.over else None


def refuses_expired(course: Course) -> Verdict | None:
    return _refuses(course, "an expired server certificate", cures.DATE)


def refuses_wrong_host(course: Course) -> Verdict | None:
    return _refuses(course, "a server certificate for another host", cures.HOST)


def refuses_stranger(course: Course) -> Verdict | None:
    return _refuses(course, "a server certificate of a CA that it does not know", cures.VERIFY)


def follows_chain(course: Course) -> Verdict | None:
    if course.first(What.CONNECT):
        return passed("It connected again: it trusts the second root, too.")
    broken = course.all(What.BROKEN_OFF)
    if len(broken) >= _FAIR or (broken and course.over):
        return failed(f"It did not reconnect after a chain change ({broken[-1].words}).", cures.SECOND_ROOT)
    return _no_attempt(course) if course.over else None


def _no_attempt(course: Course) -> Verdict:
    return not_seen(f"It made no attempt to connect within {course.patience:g} s.")
