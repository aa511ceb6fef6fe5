"""Cases of what the service asks of a device: a desired property, and a direct method."""

import json

from thingmint.lab.advice import cures
from thingmint.lab.advice.course import Course
from thingmint.lab.advice.seen import What
from thingmint.lab.advice.verdict import Verdict, failed, passed, warned

# What Nordic's sample knows: https://github.com/nrfconnect/sdk-nrf/tree/main/samples/net/azure_iot_hub
PROPERTY, METHOD = "telemetryInterval", "led"
_LONGEST_INTERVAL = 1024  # characters of JSON; an acknowledgement with its description in words is much shorter
_UNKNOWN = (404, 405, 501)  # what HTTP, whose numbers IoT Hub's examples use, has for it: RFC 9110, 15.5 and 15.6


def interval_in(report: bytes) -> str:
    """The interval that a device reports, as JSON; empty where it reports none."""
    try:
        values = json.loads(report)
        interval = json.dumps(values[PROPERTY]) if isinstance(values, dict) and PROPERTY in values else ""
    except (ValueError, RecursionError):
        return ""
    return interval if len(interval) <= _LONGEST_INTERVAL else ""


def obeys(course: Course) -> Verdict | None:
    """Its twin's telemetryInterval was changed; a device that takes it over reports it back.

    As the value alone, or as an acknowledgement with `value` and the status `ac`:
    https://learn.microsoft.com/azure/iot/concepts-convention#writable-properties
    """
    wanted = next((one.number for one in course.all(What.DESIRED)), None)
    reports = [_report(one.words) for one in course.all(What.REPORTED)]
    if wanted is not None and any(value == wanted and _went_well(status) for value, status in reports):
        return passed(f"It took over the desired {PROPERTY} of {wanted} s, and reported it back.")
    if not course.over:
        return None
    refused = next((status for _, status in reports if not _went_well(status)), None)
    if refused is not None:
        return warned(
            f"It acknowledged the desired {PROPERTY} with status {refused}: it does not use it.", cures.DESIRED
        )
    return warned(f"It did not report the desired {PROPERTY} back: it does not use it, or lost it.", cures.DESIRED)


def answers(course: Course) -> Verdict | None:
    """Its method `led` was called; where it took no calls at first, as soon as it did."""
    answered = next((one for one in course.all(What.ANSWERED) if one.flag), None)
    if answered is None:
        if not course.over:
            return None
        if course.all(What.ANSWERED):
            return warned("It takes no calls: it has not subscribed to $iothub/methods/POST/#.", cures.METHOD)
        return failed(f"It did not answer the call of its method {METHOD}.", cures.METHOD)
    told = f"It answered the call of its method {METHOD} with status {answered.number}"
    if 200 <= answered.number < 300:
        return passed(f"{told}.")
    if answered.number in _UNKNOWN:
        return warned(
            f"{told}: it knows no such method, and says so; how it answers one of its own was not seen.", cures.LED
        )
    return failed(f"{told}: the call went wrong in it.", cures.STATUS)


def _report(interval: str) -> tuple[object, object]:
    """The value, and the status where it is an acknowledgement that has one."""
    found = json.loads(interval) if interval else None
    return (found.get("value"), found.get("ac")) if isinstance(found, dict) else (found, None)


def _went_well(status: object) -> bool:
    return status is None or (isinstance(status, int) and 200 <= status < 300)
