"""MQTT 3.1.1 packets, bytes to values and back: the part that a hub needs. Pure; numbers in comments are the standard's.

http://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html
"""

from collections.abc import Sized
from dataclasses import dataclass, field

LARGEST_PACKET = 262_144  # 256 kB: a message's largest size at IoT Hub
LONGEST_TEXT = 65_535  # 1.5.3: its length has two bytes
MOST_TOPICS = 64  # of one SUBSCRIBE or UNSUBSCRIBE: IoT Hub knows four, and each stranger is a line of the log


class MalformedPacketError(Exception):
    """Bytes that are no MQTT 3.1.1 packet, or one a client must not send."""


@dataclass(frozen=True)
class Connect:
    protocol: str
    level: int
    client_id: str
    keep_alive: int
    clean_session: bool
    will: "Publish | None"  # what the hub is to publish for a client that goes away without a DISCONNECT
    username: str | None
    password: bytes | None = field(repr=False)


@dataclass(frozen=True)
class Publish:
    topic: str
    payload: bytes
    qos: int
    retain: bool
    packet_id: int  # 0 at QoS 0
    again: bool = False  # DUP


@dataclass(frozen=True)
class Subscribe:
    packet_id: int
    topics: tuple[tuple[str, int], ...]  # filter, requested QoS


@dataclass(frozen=True)
class Unsubscribe:
    packet_id: int
    topics: tuple[str, ...]


@dataclass(frozen=True)
class PubAck:
    packet_id: int


@dataclass(frozen=True)
class PingReq:
    pass


@dataclass(frozen=True)
class Disconnect:
    pass


Packet = Connect | Publish | Subscribe | Unsubscribe | PubAck | PingReq | Disconnect


def take(buffer: bytearray) -> Packet | None:
    """Remove the first whole packet from `buffer`; None if more bytes are needed. Raises MalformedPacketError."""
    if buffer:
        _require_flags(buffer[0])  # at once: whoever speaks another protocol is not waited for
    length = 0
    for index in range(4):  # 2.2.3: the remaining length, seven bits a byte, in at most four bytes
        if len(buffer) < index + 2:
            return None
        byte = buffer[index + 1]
        length |= (byte & 0x7F) << (7 * index)
        if not byte & 0x80:
            break
    else:
        raise MalformedPacketError("the remaining length has more than four bytes")
    start = index + 2
    if start + length > LARGEST_PACKET:
        raise MalformedPacketError(f"the packet has {start + length} bytes, and {LARGEST_PACKET} are the limit")
    if len(buffer) < start + length:
        return None
    first, body = buffer[0], bytes(buffer[start : start + length])
    del buffer[: start + length]
    return _decode(first >> 4, first & 0x0F, body)


def _require_flags(first: int) -> None:
    kind, flags = first >> 4, first & 0x0F
    # 2.2.2: the flags are free for PUBLISH alone
    if kind != 3 and flags != (2 if kind in (8, 10) else 0):
        raise MalformedPacketError(f"a packet of type {kind} with the flags {flags}")


def _decode(kind: int, flags: int, body: bytes) -> Packet:
    reader = _Reader(body)
    packet: Packet
    if kind == 3:
        packet = _publish(flags, reader)
    elif kind == 1:
        packet = _connect(reader)
    elif kind == 4:
        packet = PubAck(reader.number())
    elif kind == 8:
        packet = _subscribe(reader)
    elif kind == 10:
        packet = _unsubscribe(reader)
    elif kind == 12:
        packet = PingReq()
    elif kind == 14:
        packet = Disconnect()
    else:
        raise MalformedPacketError(f"a packet of type {kind}, which a device does not send to IoT Hub")
    if reader.more:
        raise MalformedPacketError("bytes are left over behind the packet's last field")
    return packet


def _connect(reader: "_Reader") -> Connect:
    protocol, level, flags, keep_alive = reader.text(), reader.byte(), reader.byte(), reader.number()
    if flags & 0x01:  # 3.1.2.3: reserved
        raise MalformedPacketError("CONNECT with its reserved flag set")
    client_id = reader.text()
    will = None
    if flags & 0x04:
        will = Publish(reader.text(), reader.data(), (flags >> 3) & 3, bool(flags & 0x20), 0)
        if will.qos == 3:  # 3.1.2.6
            raise MalformedPacketError("CONNECT with a will of QoS 3")
    elif flags & 0x38:  # 3.1.2.6, 3.1.2.7: QoS and retain of a will that is not there
        raise MalformedPacketError("CONNECT with flags of a will, but no will")
    if flags & 0xC0 == 0x40:  # 3.1.2-22
        raise MalformedPacketError("CONNECT with a password, but no user name")
    username = reader.text() if flags & 0x80 else None
    password = reader.data() if flags & 0x40 else None
    return Connect(protocol, level, client_id, keep_alive, bool(flags & 0x02), will, username, password)


def _publish(flags: int, reader: "_Reader") -> Publish:
    qos = (flags >> 1) & 3
    if qos == 3:  # 3.3.1.2
        raise MalformedPacketError("PUBLISH with QoS 3")
    if flags & 0x08 and not qos:  # 3.3.1-2
        raise MalformedPacketError("PUBLISH at QoS 0 that is sent again (DUP)")
    topic = reader.text()
    if not topic or "+" in topic or "#" in topic:  # 3.3.2.1
        raise MalformedPacketError("PUBLISH to an empty topic or one with wildcards")
    packet_id = reader.packet_id() if qos else 0
    return Publish(topic, reader.rest(), qos, bool(flags & 1), packet_id, bool(flags & 8))


def _subscribe(reader: "_Reader") -> Subscribe:
    packet_id = reader.packet_id()
    topics = []
    while reader.more:
        topic, qos = reader.text(), reader.byte()
        if qos > 2:  # 3.8.3
            raise MalformedPacketError("SUBSCRIBE with a QoS above 2")
        topics.append((topic, qos))
    _require_number(topics, "SUBSCRIBE")
    return Subscribe(packet_id, tuple(topics))


def _unsubscribe(reader: "_Reader") -> Unsubscribe:
    packet_id = reader.packet_id()
    topics = []
    while reader.more:
        topics.append(reader.text())
    _require_number(topics, "UNSUBSCRIBE")
    return Unsubscribe(packet_id, tuple(topics))


def _require_number(topics: Sized, packet: str) -> None:
    if not topics:
        raise MalformedPacketError(f"{packet} without a topic")
    if len(topics) > MOST_TOPICS:
        raise MalformedPacketError(f"{packet} with {len(topics)} topics, and {MOST_TOPICS} are the limit")


class _Reader:
    """Fields from the front of a packet's body; each may be cut short."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    @property
    def more(self) -> bool:
        return self._at < len(self._body)

    def _take(self, count: int) -> bytes:
        piece = self._body[self._at : self._at + count]
        if len(piece) < count:
            raise MalformedPacketError("the packet ends within a field")
        self._at += count
        return piece

    def byte(self) -> int:
        return self._take(1)[0]

    def number(self) -> int:
        return int.from_bytes(self._take(2), "big")

    def packet_id(self) -> int:
        number = self.number()
        if number == 0:  # 2.3.1
            raise MalformedPacketError("the packet identifier is 0")
        return number

    def data(self) -> bytes:
        return self._take(self.number())

    def text(self) -> str:
        try:
            text = self.data().decode()
        except UnicodeDecodeError:  # 1.5.3
            raise MalformedPacketError("a text is no UTF-8") from None
        if "\0" in text:
            raise MalformedPacketError("a text holds U+0000")
        return text

    def rest(self) -> bytes:
        return self._take(len(self._body) - self._at)


# --- what the hub sends ----------------------------------------------------------------------------------------

ACCEPTED, BAD_PROTOCOL, BAD_CLIENT_ID, UNAVAILABLE, BAD_USERNAME, NOT_AUTHORIZED = range(6)  # 3.2.2.3
SUBSCRIPTION_FAILED = 0x80  # 3.9.3

PINGRESP = b"\xd0\x00"


def connack(code: int, *, session_present: bool = False) -> bytes:
    return bytes((0x20, 2, session_present, code))


def puback(packet_id: int) -> bytes:
    return b"\x40\x02" + packet_id.to_bytes(2, "big")


def publish(topic: str, payload: bytes, packet_id: int, *, again: bool = False) -> bytes:
    """At QoS 1, or at QoS 0 where the packet id is 0. `again`: it was sent before, and not acknowledged (DUP)."""
    name = topic.encode()
    body = len(name).to_bytes(2, "big") + name + (packet_id.to_bytes(2, "big") if packet_id else b"") + payload
    return bytes(((0x32 if packet_id else 0x30) | again << 3,)) + _remaining(len(body)) + body


def suback(packet_id: int, codes: list[int]) -> bytes:
    return b"\x90" + _remaining(2 + len(codes)) + packet_id.to_bytes(2, "big") + bytes(codes)


def unsuback(packet_id: int) -> bytes:
    return b"\xb0\x02" + packet_id.to_bytes(2, "big")


def _remaining(length: int) -> bytes:
    encoded = bytearray()
    while True:
        length, low = divmod(length, 128)
        encoded.append(low | (0x80 if length else 0))
        if not length:
            return bytes(encoded)
