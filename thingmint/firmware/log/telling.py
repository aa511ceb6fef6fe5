"""Conclusions in sentences: what is proven, what failed, and what a log without either may lack."""

from collections.abc import Iterator

from thingmint.firmware.log.conclusions import Conclusions, Heard

_REGISTERED = {
    "home": "Registered in the home network.",
    "roaming": "Registered, roaming.",
    "yes": "Registered in a network.",
    "lost": "Registered in no network any more.",
}
_ANSWERED = (
    "A server answered, which is no proof: `MQTT mqtt_client connected` is printed before the answer is looked at."
)
_UNSEEN = "Events were sent, and the log does not show the connection that they went over: it begins later, or lines are missing."


def sentences(found: Conclusions) -> Iterator[str]:
    """What the log proves, in the order in which it happens."""
    if found.registration:
        yield _REGISTERED[found.registration]
    if found.host:
        yield f"{found.host} was resolved to {found.address}." if found.address else f"{found.host} was not resolved."
    elif found.address:
        yield f"The server's address is {found.address}."
    if found.family:
        yield f"The device speaks {found.family}."
    if found.embedded:
        yield f"That is a NAT64 address: prefix {found.embedded.prefix}, and {found.embedded.ipv4} in it."
    if found.connections:
        yield f"Connected to the hub{_times(found.connections)}."
        if found.overcome:
            yield f"{_count(found.overcome, 'failed attempt')} before that came to a good end."
    elif found.answered and not found.failures:
        yield _ANSWERED
    if found.events:
        yield f"{_count(found.events, 'event')} sent."
        if not found.connections:
            yield _UNSEEN
    if found.disconnects:
        yield f"Disconnected{_times(found.disconnects)}{', and connected again' if found.connected else ''}."
    for one in found.lost:
        yield f"Why a connection ended{_times(one.times)}: {one.cause.says}"
    if found.reboots:
        yield f"Rebooted{_times(found.reboots)}."
    if found.dropped:
        yield f"{_count(found.dropped, 'message')} dropped by the log itself: what is missing here may have happened."


def failure(found: Conclusions) -> str:
    """Why the device did not reach the hub, or that nothing says so."""
    if found.failures:
        again = " again" if found.connections else ""
        first, *others = found.failures
        told = f"the device did not reach the hub{again}: {_often(first)}"
        return "\n".join([told, *(f"before that: {_often(one)}" for one in others)])
    if not found.size:
        return "the log is empty: nothing was concluded."
    if found.at_client:
        return "nothing was concluded: this device runs the AT client, which connects to no hub."
    if not found.zephyr:
        return "nothing was concluded: no line of this is one of Zephyr's log."
    return "nothing was concluded: the log shows neither a connection to the hub nor a failure."


def things_to_try(found: Conclusions) -> tuple[str, ...]:
    if found.failures:
        return found.failures[0].cause.things_to_try
    if found.at_client:
        return ("flash the application: azure_iot_hub, or your own",)
    if not found.size:
        return ("switch the device off and on while this runs", "a board has two ports: the log is on the first")
    if not found.zephyr:
        return (
            "is this the device's log, at 115200 baud? A board has two ports: the log is on the first",
            "a log that was saved by a terminal program has to be text",
        )
    more = ("lines were dropped: a larger CONFIG_LOG_BUFFER_SIZE",) if found.dropped else ()
    return (
        "read from the start: switch the device off and on while this runs",
        *more,
        "is it Nordic's azure_iot_hub sample, or one with the same library? Others print other lines",
        "log more: CONFIG_MQTT_HELPER_LOG_LEVEL_DBG=y",
    )


def _often(one: Heard) -> str:
    return one.cause.says if one.times == 1 else f"{one.cause.says} ({one.times} times)"


def _times(number: int) -> str:
    return "" if number == 1 else f" {number} times"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
