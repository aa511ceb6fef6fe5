"""What the lab saw of a device under trial, as data: each connection, handshake and packet with its moment."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Stage(StrEnum):
    """How the lab behaves towards the device, from one moment to the next."""

    NORMAL = "normal"
    FRESH = "fresh"  # normal; a connection of before the trial is ended
    REFUSING = "refusing"  # every connection is reset
    BUSY = "busy"  # CONNACK 3
    MUTE = "mute"  # no CONNACK
    EXPIRED = "expired"
    WRONG_HOST = "wrong-host"
    STRANGER = "stranger"  # a server certificate of a CA that nobody knows
    OTHER_ROOT = "other-root"  # a server certificate of the second trusted root
    FORGETFUL = "forgetful"  # one message is stored, and the connection broken instead of its PUBACK
    SILENT = "silent"  # nothing is answered on the connection that is open
    DESIRED = "desired"  # its twin's telemetryInterval is changed
    CALLED = "called"  # its method led is called


KEEP_THE_CONNECTION = frozenset({Stage.NORMAL, Stage.FORGETFUL, Stage.SILENT, Stage.DESIRED, Stage.CALLED})
"""Stages that begin with the connection that is there; the others end it."""


class What(StrEnum):
    STAGE = "stage"  # the lab took on another stage: `words`
    OVERFLOW = "overflow"  # more than `number` events in the stage: of the rest, none but what is asked for is noted
    THERE = "there"  # a device that was connected before the trial; `words` and `number` as at GREETED
    OPENED = "opened"  # TCP
    SHOWN = "shown"  # a server certificate: `words`, empty for the hub's own
    BROKEN_OFF = "broken-off"  # the handshake failed: `words`, and the alert `number` that the client sent (0: none)
    GREETED = "greeted"  # the handshake is done: `words`, `number` certificates
    ELSEWHERE = "elsewhere"  # the connection is for the provisioning service: nothing more of it is noted
    LET_IN = "let-in"  # the hub takes its CONNECT, as the device `device`; what it is answered is CONNACK's
    CONNECT = "connect"  # `number` is its keep-alive, `flag` whether it wants a clean session
    CONNACK = "connack"  # `number` is the code
    PUBLISH = "publish"  # telemetry: `number` is the QoS, `words` a digest of topic and payload, `flag` its DUP
    PUBACK = "puback"
    PING = "ping"
    DESIRED = "desired"  # the service wants the interval `number`
    REPORTED = "reported"  # the device reports the interval `words`, as JSON; empty: something else
    ANSWERED = "answered"  # a call of its method, with the status `number`; `flag`: it takes calls, now
    UNASKED = "unasked"  # nothing could be asked of it: `words` say why
    DISCONNECT = "disconnect"  # the device's packet of that name
    CLOSED = "closed"  # `flag`: by the device, and not by the lab


@dataclass(frozen=True, slots=True)
class Seen:
    at: float
    """Seconds since the trial began."""
    what: What
    connection: int = 0
    """Connections are counted through the trial."""
    device: str = ""
    """Whose connection it is: as whom the hub let it in, or would by the certificate of a good handshake."""
    words: str = ""
    number: int = 0
    flag: bool = False
    peer: str = ""
    """The IP address of the other side, of THERE and OPENED."""
    packet: int = 0
    """The packet id, of PUBLISH (at QoS 1) and PUBACK."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Seen":
        return cls(**{**values, "what": What(values["what"])})
