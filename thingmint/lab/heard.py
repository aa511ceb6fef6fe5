"""What the lab's hub heard from devices, read from outside: all of it, or as it comes."""

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass

from thingmint.lab import body
from thingmint.lab.requests import gone, request, secrets_of
from thingmint.lab.state import LabFolder

_LOOK_SECONDS = 0.25


@dataclass(frozen=True)
class Heard:
    """One message that the lab's hub received and kept."""

    sequence: int
    device_id: str
    received_at: dt.datetime
    data: bytes
    properties: dict[str, str]

    @property
    def body(self) -> str:
        """The data for people: as it is, where it is text."""
        return body.shown(self.data)


@dataclass(frozen=True)
class Follower:
    """Who follows: what is called with a message, with how many the lab did not keep until they were asked for, and at each look."""

    tell: Callable[[Heard], None]
    missed: Callable[[int], None]
    look: Callable[[], None]


@dataclass(frozen=True)
class _Page:
    """One answer. `before`: how many messages came before its first, those included that are no longer kept."""

    messages: list[Heard]
    before: int
    more: bool


def telemetry(lab: LabFolder, port: int, device_id: str, *, after: int, newest: bool) -> list[Heard]:
    """With a higher sequence than `after`, however many answers that takes. Raises HubError where the lab does not answer."""
    page = _ask(lab, port, device_id, after, newest=newest)
    found = page.messages
    while page.more:
        page = _ask(lab, port, device_id, found[-1].sequence)
        found += page.messages
    return found


def follow(lab: LabFolder, port: int, device_id: str, follower: Follower) -> None:
    """From now on, until something is raised: HubError where the lab does not answer (any more)."""
    page = _ask(lab, port, device_id, 0, newest=True)
    last = page.messages[-1].sequence if page.messages else 0
    known = page.before + len(page.messages)
    while True:
        page = _ask(lab, port, device_id, last)
        if page.before > known:
            follower.missed(page.before - known)
        known = page.before + len(page.messages)
        for heard in page.messages:
            last = heard.sequence
            follower.tell(heard)
        follower.look()
        if not page.more:
            time.sleep(_LOOK_SECONDS)


def _ask(lab: LabFolder, port: int, device_id: str, after: int, *, newest: bool = False) -> _Page:
    from urllib.parse import urlencode

    query = urlencode({"device": device_id, "after": after, **({"newest": 1} if newest else {})})
    try:
        answer = request(lab, port, secrets_of(lab), "GET", f"/lab/telemetry?{query}")
    except (OSError, ValueError) as error:
        raise gone(lab, error) from None
    messages = [
        Heard(
            message["sequence"],
            message["deviceId"],
            dt.datetime.fromisoformat(message["receivedAt"]),
            body.read(message),
            message["properties"],
        )
        for message in answer["messages"]
    ]
    return _Page(messages, answer["before"], answer["more"])
