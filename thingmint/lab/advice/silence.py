"""The case of a hub that falls silent on an open connection."""

from thingmint.lab.advice import cures
from thingmint.lab.advice.course import Course
from thingmint.lab.advice.seen import What
from thingmint.lab.advice.verdict import Verdict, failed, not_seen, passed


def notices_silence(course: Course) -> Verdict | None:
    """On the open connection nothing was answered any more."""
    keep_alive = course.keep_alive
    if keep_alive == 0:
        return failed("It asked for no keep-alive: it never notices a hub that is gone.", cures.KEEP_ALIVE)
    if keep_alive is not None and 2 * keep_alive > course.patience:
        return not_seen(
            f"Its keep-alive of {keep_alive} s is longer than was waited for: --patience {3 * keep_alive} shows it."
        )
    ended = next((one for one in course.since if one.what in {What.CLOSED, What.OPENED}), None)
    if ended and ended.what is What.CLOSED and not ended.flag:
        return failed("It fell silent itself, and the hub ended the connection.", cures.KEEP_ALIVE)
    if ended and (back := course.first(What.CONNECT)):
        return passed(
            f"It noticed after {ended.at - course.began:.1f} s (its keep-alive is {keep_alive} s), "
            f"and connected again {back.at - ended.at:.1f} s later."
        )
    if not course.over:
        return None
    if ended:
        return failed("It noticed, and did not connect again.", cures.RETURN)
    pings = len(course.all(What.PING))
    return failed(
        f"It did not notice for {course.patience:g} s: {pings} pings stayed without an answer.", cures.KEEP_ALIVE
    )
