"""What the page shows, as plain values: of much, the newest, with a count. No key, token or code is in here."""

from collections.abc import Iterable
from dataclasses import dataclass

from thingmint.lab import body
from thingmint.lab.cloud.feed import Refused
from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.journal import printable
from thingmint.lab.cloud.records import AuthenticationType, Device, Message
from thingmint.lab.page import papers, trust
from thingmint.lab.page.papers import Paper
from thingmint.lab.page.sides import Sides, sides
from thingmint.lab.page.trust import Node

MOST_DEVICES = 100
MOST_LINES = 30
_LONGEST_BODY = 400

_AUTHENTICATION: dict[AuthenticationType, str] = {
    "certificateAuthority": "by CA",
    "selfSigned": "by thumbprint",
    "sas": "by key",
}


@dataclass(frozen=True)
class Lab:
    hub: str
    host: str
    stands: bool  # False: the hub is not made yet, or is deleted
    devices: int
    connected: int
    authorities: int
    verified: int
    mischief: str  # what it does wrong on purpose, as a sentence; empty: nothing


@dataclass(frozen=True)
class Row:
    """A device. Moments are empty where there was none."""

    device: str
    connected: bool
    enabled: bool
    authentication: str
    active: str
    expires: str
    expired: bool


@dataclass(frozen=True)
class Devices:
    total: int
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Line:
    """A message or a refusal."""

    number: int
    at: str
    who: str
    text: str
    more: str = ""


@dataclass(frozen=True)
class Picture:
    """Each field is sent by itself, when it changed."""

    lab: Lab
    trust: tuple[Node, ...]
    sides: Sides | None
    devices: Devices
    telemetry: tuple[Line, ...]
    refusals: tuple[Line, ...]  # of devices
    requests: tuple[Line, ...]  # of programs, refused


def picture(hub: Hub, chosen: str) -> Picture:
    """`chosen`: whose handshake is shown; empty for the device that was active last."""
    recent = hub.store.devices.recent(MOST_DEVICES)
    total, connected = hub.store.devices.count()
    authorities = hub.store.hub_certificates.all()
    subject = chosen or next((one.device_id for one in recent), "")
    rows = [_row(hub, one) for one in recent]
    return Picture(
        Lab(
            hub.role.hub,
            hub.role.hub_host,
            hub.stands(),
            total,
            connected,
            len(authorities),
            sum(one.verified for one in authorities),
            _mischief(hub),
        ),
        trust.tree(hub, recent),
        sides(hub, subject) if subject else None,
        Devices(total, tuple(sorted(rows, key=lambda row: (not row.connected, row.device)))),  # none jumps at a message
        tuple(_heard(one) for one in list(hub.feed.messages)[: -MOST_LINES - 1 : -1]),
        _refused(hub.feed.refusals),
        _refused(hub.feed.requests),
    )


def _mischief(hub: Hub) -> str:
    """A trial takes the place of chaos."""
    if trial := hub.watch.trial:
        whose = f"of device {printable(trial.device)} " if trial.device else ""
        return f"A trial {whose}is under way (invoke advise): this lab misbehaves on purpose."
    return f"This lab misbehaves on purpose: --chaos {hub.role.chaos}" if hub.role.chaos else ""


def _row(hub: Hub, device: Device) -> Row:
    shown = hub.feed.shown.get(device.device_id)
    leaf = papers.load(shown.certificates[0]) if shown and shown.certificates else None
    paper = Paper.of(leaf) if leaf else None
    return Row(
        device.device_id,
        device.connected,
        device.status == "enabled",
        _AUTHENTICATION[device.authentication.type],
        device.last_activity.isoformat() if device.last_activity else "",
        paper.until if paper else "",
        bool(paper and paper.expired),
    )


def _refused(kept: Iterable[Refused]) -> tuple[Line, ...]:
    newest = list(kept)[: -MOST_LINES - 1 : -1]
    return tuple(Line(one.number, one.at.isoformat(), one.who, one.why) for one in newest)


def _heard(message: Message) -> Line:
    enough = message.body[: 4 * _LONGEST_BODY]  # so many bytes are no fewer characters than are shown
    text = printable(body.shown(enough))
    whole = len(enough) == len(message.body) and len(text) <= _LONGEST_BODY
    cut = text if whole else f"{text[:_LONGEST_BODY]}… ({len(message.body)} bytes)"
    properties = ", ".join(f"{name}={value}" for name, value in message.properties.items())
    return Line(
        message.sequence,
        message.received_at.isoformat(),
        message.device_id,
        cut,
        printable(properties)[:_LONGEST_BODY],
    )
