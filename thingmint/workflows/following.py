"""events: what devices send, as it arrives, until Ctrl-C."""

import contextlib
import json
from collections.abc import Callable
from datetime import datetime

from thingmint.errors import InputError
from thingmint.ids import DeviceId
from thingmint.session import Session
from thingmint.shell import ended_by_signals
from thingmint.workflows import targets

Tell = Callable[[str, datetime, str, dict[str, str]], None]
"""Device, time, body, properties."""


def events(session: Session, *, imei: str | None = None, as_json: bool = False) -> None:
    """Of all devices, or of one. Ctrl-C is its ordinary end."""
    chosen = None if imei is None else DeviceId.parse(imei)
    if targets.dry(session, f"follow the events of {chosen or 'all devices'}"):
        return

    def tell(device_id: str, at: datetime, body: str, properties: dict[str, str]) -> None:
        if chosen is not None and device_id != chosen.text:
            return
        if as_json:  # an object a line: there is no end that a list could have
            event = {"deviceId": device_id, "enqueuedTime": at.isoformat(), "body": body, "properties": properties}
            session.console.result(json.dumps(event, ensure_ascii=False))
        else:
            session.console.result(f"{at:%Y-%m-%d %H:%M:%S}  {device_id}  {_line(body)}")

    with contextlib.suppress(KeyboardInterrupt), ended_by_signals():
        if session.settings.target == "lab":
            targets.announce(session)
            lab = targets.open_lab(session)
            _say_that_it_follows(session, chosen)
            lab.follow(chosen.text if chosen else "", tell)
        else:
            _on_azure(session, chosen, tell)
    session.console.say("no longer following")


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
    endpoint.follow(
        target, source, lambda event: tell(event.device_id, event.received_at, event.body, event.properties)
    )


def _say_that_it_follows(session: Session, chosen: DeviceId | None) -> None:
    whose = str(chosen) if chosen else "all devices"
    session.console.say(f"following what {whose} will send; Ctrl-C ends it")


def _line(body: str) -> str:
    """On one line, and without what would drive a terminal."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in body)
