"""The points at which the lab may misbehave, and what may happen at each."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Point(Enum):
    """Where a fault may strike. `who`, in the comments, is what a draw is told beside the point."""

    # TLS, before it begins. who: the host that the client asks for, since it is not known yet itself
    SERVICE_HANDSHAKE = "the TLS handshake of an operator's client"
    DEVICE_HANDSHAKE = "the TLS handshake of a device"
    # HTTPS, before a request is looked at. who: method and path
    READ = "a request that reads"
    CREATE = "a PUT without an etag"
    CHANGE = "a request that changes or deletes, without an etag"
    MATCH = "a request that names the etag of what it changes"
    # MQTT, before an answer is sent. who: the common name of the device's certificate
    CONNACK = "the answer to CONNECT, where it is yes"
    SUBACK = "the answer to SUBSCRIBE"
    PUBACK = "the answer to a message of QoS 1, which is stored already"
    PINGRESP = "the answer to a keep-alive"
    # Provisioning over MQTT, before it is looked at. who: the registration id
    REGISTRATION = "a device's request to the provisioning service"


class Kind(Enum):
    """What happens, as the log tells it."""

    # TLS
    RESET = "reset the connection before TLS began"
    OTHER_CA = "showed a server certificate of another CA"
    EXPIRED = "showed an expired server certificate of the lab's CA"
    WRONG_HOST = "showed a server certificate of the lab's CA for another host"
    SECOND_ROOT = "showed a server certificate of the lab's second root"
    # HTTPS, before the request is carried out
    THROTTLED = "answered 429 with Retry-After"
    THROTTLED_UNNAMED = "answered 429 without Retry-After"
    FAILED = "answered 500"
    UNAVAILABLE = "answered 503 with Retry-After"
    UNAVAILABLE_UNNAMED = "answered 503 without Retry-After"
    STALE = "took the etag for stale"
    CUT = "broke the connection before the request was carried out"
    HALF_CLOSED = "closed its half of the connection instead of an answer"
    # HTTPS, after it was carried out
    LOST = "carried the request out, and broke the connection instead of an answer"
    CUT_SHORT = "broke the connection in the middle of the answer"
    SLOW = "answered late"
    HIDDEN = "created it, and does not show it to the next reads"
    # MQTT
    REFUSED = "answered CONNACK 3, server unavailable"
    DROPPED = "let the device in, and broke the connection soon after"
    SILENT = "left out the answer"
    BROKEN = "broke the connection instead of an answer"


_ANY_ANSWER = (
    Kind.THROTTLED,
    Kind.THROTTLED_UNNAMED,
    Kind.FAILED,
    Kind.UNAVAILABLE,
    Kind.UNAVAILABLE_UNNAMED,
    Kind.CUT,
    Kind.HALF_CLOSED,
    Kind.CUT_SHORT,
    Kind.SLOW,
)
AT: Mapping[Point, tuple[Kind, ...]] = {
    # A control client and a browser with the lab's page come the same way as an operator's client: a reset is all.
    Point.SERVICE_HANDSHAKE: (Kind.RESET,),
    Point.DEVICE_HANDSHAKE: (Kind.RESET, Kind.OTHER_CA, Kind.EXPIRED, Kind.WRONG_HOST),
    Point.READ: _ANY_ANSWER,
    Point.CREATE: (*_ANY_ANSWER, Kind.LOST, Kind.HIDDEN),
    Point.CHANGE: (*_ANY_ANSWER, Kind.LOST),
    Point.MATCH: (*_ANY_ANSWER, Kind.LOST, Kind.STALE),
    Point.CONNACK: (Kind.REFUSED, Kind.DROPPED, Kind.SILENT, Kind.BROKEN, Kind.SLOW),
    Point.SUBACK: (Kind.SILENT, Kind.BROKEN, Kind.SLOW),
    Point.PUBACK: (Kind.SILENT, Kind.BROKEN, Kind.SLOW),
    Point.PINGRESP: (Kind.SILENT, Kind.BROKEN, Kind.SLOW),
    Point.REGISTRATION: (Kind.THROTTLED, Kind.FAILED, Kind.SILENT),
}
"""What may happen at each point. A plan for one device takes from here, too, and SECOND_ROOT: most clients know one root."""


@dataclass(frozen=True)
class Fault:
    """One fault, to be carried out by whoever drew it.

    `amount` is, for SLOW and DROPPED, how many seconds later; for SILENT, after how many seconds the connection ends
    (0: never); for THROTTLED and UNAVAILABLE, the seconds of Retry-After; for HIDDEN, how many reads miss it.
    """

    kind: Kind
    amount: float = 0.0
    told: str = ""
    """Where it comes from, for the log: "seed=7, draw 12"."""
