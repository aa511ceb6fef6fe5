"""What a log proves: frozen, and the same for a terminal, for JSON and for a test."""

from dataclasses import dataclass
from typing import Any

from thingmint.firmware.log.causes import Cause


@dataclass(frozen=True)
class Embedded:
    """How a NAT64 address is read: the network's prefix, and the IPv4 address of the server behind it."""

    prefix: str
    ipv4: str


@dataclass(frozen=True)
class Heard:
    """A cause, and how often the log tells of it."""

    cause: Cause
    times: int

    def as_json(self) -> dict[str, Any]:
        cause = self.cause
        return {
            "cause": cause.name, "says": cause.says, "times": self.times, "thingsToTry": list(cause.things_to_try),
        }  # fmt: skip


@dataclass(frozen=True)
class Conclusions:
    """`failures` are those that nothing after them has overcome, the one that explains most first."""

    size: int = 0  # bytes that were read
    zephyr: bool = False  # there was a line of Zephyr's log
    at_client: bool = False  # there was the AT client's greeting
    reboots: int = 0
    dropped: int = 0
    registration: str = ""  # "home", "roaming", "yes" (the log does not say where), "lost"; "": nothing about it
    family: str = ""  # "IPv4" or "IPv6"
    host: str = ""
    address: str = ""
    embedded: Embedded | None = None
    answered: bool = False  # "MQTT mqtt_client connected": no proof by itself
    connections: int = 0
    connected: bool = False  # at the end of the log
    events: int = 0
    disconnects: int = 0
    lost: tuple[Heard, ...] = ()  # why connections that stood ended
    failures: tuple[Heard, ...] = ()
    overcome: int = 0  # failures that a connection followed

    @property
    def reached(self) -> bool:
        """The device reached the hub, and no later attempt failed."""
        return self.connections > 0 and not self.failures

    def as_json(self) -> dict[str, Any]:
        return {
            "reached": self.reached,
            "registration": self.registration or None,
            "family": self.family or None,
            "host": self.host or None,
            "address": self.address or None,
            "nat64": {"prefix": self.embedded.prefix, "ipv4": self.embedded.ipv4} if self.embedded else None,
            "connections": self.connections,
            "connectedAtTheEnd": self.connected,
            "eventsSent": self.events,
            "disconnects": self.disconnects,
            "disconnectCauses": [one.as_json() for one in self.lost],
            "failures": [one.as_json() for one in self.failures],
            "failuresOvercome": self.overcome,
            "reboots": self.reboots,
            "messagesDropped": self.dropped,
        }
