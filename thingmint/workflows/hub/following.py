"""events: what devices send, as it arrives, until Ctrl-C."""

import contextlib
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from thingmint.errors import InputError
from thingmint.ids import DeviceId
from thingmint.lab import body
from thingmint.session import Session
from thingmint.shell import ended_by_signals
from thingmint.workflows import targets

if TYPE_CHECKING:
    from thingmint.lab.control import RunningLab

Tell = Callable[[str, datetime, bytes, dict[str, str]], None]
"""Device, time, body, properties."""


def events(session: Session, *, imei: str | None = None, as_json: bool = False) -> None:
    """Of all devices, or of one. Ctrl-C is its ordinary end."""
    chosen = None if imei is None else DeviceId.parse(imei)
    if targets.dry(session, f"follow the events of {chosen or 'all devices'}"):
        return

    session.console.require_output()

    def tell(device_id: str, at: datetime, data: bytes, properties: dict[str, str]) -> None:
        if chosen is not None and device_id != chosen.text:
            return
        if as_json:  # an object a line: there is no end that a list could have
            event = {
                "deviceId": device_id,
                "enqueuedTime": at.isoformat(),
                **body.written(data),
                "properties": properties,
            }
            session.console.result_json(event, line=True)
        else:
            session.console.result(f"{at:%Y-%m-%d %H:%M:%S}  {device_id}  {_line(body.shown(data))}")

    with contextlib.suppress(KeyboardInterrupt), ended_by_signals():
        if session.settings.target == "lab":
            _on_lab(session, chosen, tell)
        else:
            _on_azure(session, chosen, tell)
    session.console.say("no longer following")


def _on_lab(session: Session, chosen: DeviceId | None, tell: Tell) -> None:
    from thingmint.lab.heard import Follower, Heard

    def heard(one: Heard) -> None:
        tell(one.device_id, one.received_at, one.data, one.properties)

    def missed(number: int) -> None:
        session.console.warn(
            f"missed {number} {'message' if number == 1 else 'messages'}: the lab keeps them no longer"
        )

    lab = _lab(session, chosen)
    _say_that_it_follows(session, chosen)
    lab.follow(chosen.text if chosen else "", Follower(heard, missed, look=session.console.require_output))


def _lab(session: Session, chosen: DeviceId | None) -> "RunningLab":
    """Raises InputError for a device that the hub does not know: it would be waited for without end."""
    if chosen is None:
        targets.announce(session)
        return targets.open_lab(session)
    hub = targets.open_hub(session)
    if hub.registry.get(chosen.text) is None:
        raise InputError(
            f"there is no device {chosen} on {hub.target.hub}.",
            things_to_try=["see which there are: invoke devices", f"register it: invoke device --imei {chosen}"],
        )
    assert hub.lab is not None  # noqa: S101 - the target is the lab
    return hub.lab


def _on_azure(session: Session, chosen: DeviceId | None, tell: Tell) -> None:
    from thingmint.hub import events as endpoint

    endpoint.require_extra()
    if session.settings.azure.auth == "connection-string":
        raise InputError(
            "the hub's events are read by a key that a sign-in fetches, and azure.auth is connection-string.",
            things_to_try=["azure.auth: identity, and az login"],
        )
    target, credential, _lab = targets.sign_in(session)
    source = endpoint.endpoint(target, credential)
    _say_that_it_follows(session, chosen)

    def heard(event: endpoint.Event | None) -> None:
        session.console.require_output()
        if event:
            tell(event.device_id, event.received_at, event.body, event.properties)

    endpoint.follow(target, source, heard)


def _say_that_it_follows(session: Session, chosen: DeviceId | None) -> None:
    whose = str(chosen) if chosen else "all devices"
    session.console.say(f"following what {whose} will send; Ctrl-C ends it")


def _line(text: str) -> str:
    """On one line, and without what would drive a terminal."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)
