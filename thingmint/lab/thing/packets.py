"""MQTT 3.1.1 from the device's side: what it sends, and what a hub answers. Numbers in comments are the standard's.

http://docs.oasis-open.org/mqtt/mqtt/v3.1.1/os/mqtt-v3.1.1-os.html
"""

from dataclasses import dataclass

CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP = 2, 3, 4, 9, 13
PINGREQ, DISCONNECT = b"\xc0\x00", b"\xe0\x00"


@dataclass(frozen=True)
class Packet:
    """One of the hub's packets: the fields that a device looks at."""

    kind: int
    code: int = 0  # of a CONNACK
    packet_id: int = 0
    topic: str = ""
    payload: bytes = b""


def connect(client_id: str, username: str, *, keep_alive: int, clean: bool) -> bytes:
    flags = 0x80 | (0x02 if clean else 0)  # a user name, no password
    return _packet(
        0x10, _text("MQTT") + bytes((4, flags)) + keep_alive.to_bytes(2, "big") + _text(client_id) + _text(username)
    )


def publish(topic: str, payload: bytes, *, packet_id: int = 0, again: bool = False) -> bytes:
    """At QoS 1, or at QoS 0 where the packet id is 0."""
    number = packet_id.to_bytes(2, "big") if packet_id else b""
    first = 0x30 | (0x02 if packet_id else 0) | (0x08 if again else 0)
    return _packet(first, _text(topic) + number + payload)


def puback(packet_id: int) -> bytes:
    return _packet(0x40, packet_id.to_bytes(2, "big"))


def subscribe(packet_id: int, *topics: str) -> bytes:
    return _packet(0x82, packet_id.to_bytes(2, "big") + b"".join(_text(topic) + b"\x01" for topic in topics))


def take(buffer: bytearray) -> Packet | None:
    """Remove the first whole packet from `buffer`; None if more bytes are needed."""
    length = start = 0
    for index in range(1, 5):  # 2.2.3: seven bits a byte
        if len(buffer) <= index:
            return None
        length |= (buffer[index] & 0x7F) << (7 * (index - 1))
        if not buffer[index] & 0x80:
            start = index + 1
            break
    if not start or len(buffer) < start + length:
        return None
    first, body = buffer[0], bytes(buffer[start : start + length])
    del buffer[: start + length]
    kind = first >> 4
    if kind == CONNACK:
        return Packet(kind, code=body[1])
    if kind == PUBLISH:
        end = 2 + int.from_bytes(body[:2], "big")
        numbered = first & 0x06
        packet_id = int.from_bytes(body[end : end + 2], "big") if numbered else 0
        return Packet(
            kind, packet_id=packet_id, topic=body[2:end].decode(), payload=body[end + (2 if numbered else 0) :]
        )
    return Packet(kind, packet_id=int.from_bytes(body[:2], "big"))


def _text(value: str) -> bytes:
    return len(value.encode()).to_bytes(2, "big") + value.encode()


def _packet(first: int, body: bytes) -> bytes:
    length, encoded = len(body), bytearray()
    while True:
        length, low = divmod(length, 128)
        encoded.append(low | (0x80 if length else 0))
        if not length:
            return bytes((first, *encoded)) + body
