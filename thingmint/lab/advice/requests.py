"""Cases of what the service asks of a device: a desired property, and a direct method."""

import json

from thingmint.lab.advice import cures
from thingmint.lab.advice.course import Course
from thingmint.lab.advice.seen import What
from thingmint.lab.advice.verdict import Verdict, failed, passed, warned

_UNKNOWN = (404, 405, 501)  # what HTTP, whose numbers IoT Hub's examples use, has for it: RFC 9110, 15.5 and 15.6


def obeys(course: Course) -> Verdict | None:
    """Its twin's telemetryInterval was changed; a device that takes it over reports it back."""
    wanted = next((one.number for one in course.all(What.DESIRED)), None)
    if wanted is not None and any(_interval(one.words) == wanted for one in course.all(What.REPORTED)):
        return passed(f"It took over the desired telemetryInterval of {wanted} s, and reported it back.")
    if not course.over:
        return None
    return warned(
        "It did not report the desired telemetryInterval back: it does not use it, or lost it.", cures.DESIRED
    )


def answers(course: Course) -> Verdict | None:
    """Its method `led` was called."""
    answered = next(iter(course.all(What.ANSWERED)), None)
    if answered is None:
        return failed("It did not answer the call of its method led.", cures.METHOD) if course.over else None
    if not answered.flag:
        return warned("It takes no calls: it has not subscribed to $iothub/methods/POST/#.", cures.METHOD)
    told = f"It answered the call of its method led with status {answered.number}"
    if 200 <= answered.number < 300:
        return passed(f"{told}.")
    if answered.number in _UNKNOWN:
        return warned(
            f"{told}: it knows no such method, and says so; how it answers one of its own was not seen.", cures.LED
        )
    return failed(f"{told}: the call went wrong in it.", cures.STATUS)


def _interval(report: str) -> object:
    try:
        values = json.loads(report)
    except ValueError:
        return None
    return values.get("telemetryInterval") if isinstance(values, dict) else None
