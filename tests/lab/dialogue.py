"""A device's side of MQTT, byte by byte and at its own pace: what no SDK would do, too."""

import contextlib
import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.clients import Lab, packet, publish_packet, text, tls, username

Files = tuple[Path, Path]


@dataclass(frozen=True)
class Told:
    """A PUBLISH from the hub."""

    topic: str
    payload: bytes
    qos: int
    again: bool
    packet_id: int

    @property
    def json(self) -> Any:
        return json.loads(self.payload)


class Dialogue:
    def __init__(self, connection: ssl.SSLSocket) -> None:
        self.connection = connection
        self.session_present = False

    def read(self) -> tuple[int, bytes]:
        """The next packet's first byte and body. Raises EOFError at the end, TimeoutError after a while of silence."""
        first, length = self._exactly(1)[0], 0
        for shift in range(0, 28, 7):
            byte = self._exactly(1)[0]
            length |= (byte & 0x7F) << shift
            if not byte & 0x80:
                break
        return first, self._exactly(length)

    def told(self) -> Told:
        first, body = self.read()
        assert first >> 4 == 3, (first, body)
        size = int.from_bytes(body[:2], "big")
        rest = body[2 + size :]
        number = int.from_bytes(rest[:2], "big") if first & 6 else 0
        payload = rest[2:] if first & 6 else rest
        return Told(body[2 : 2 + size].decode(), payload, first >> 1 & 3, bool(first & 8), number)

    def subscribe(self, *topics: str, qos: int = 1) -> list[int]:
        self.connection.sendall(packet(0x82, b"\x00\x09" + b"".join(text(topic) + bytes((qos,)) for topic in topics)))
        first, body = self.read()
        assert (first, body[:2]) == (0x90, b"\x00\x09")
        return list(body[2:])

    def publish(self, topic: str, payload: bytes = b"", *, qos: int = 0) -> None:
        self.connection.sendall(publish_packet(topic, payload, qos=qos))

    def acknowledge(self, told: Told) -> None:
        self.connection.sendall(packet(0x40, told.packet_id.to_bytes(2, "big")))

    def ping(self) -> None:
        """Returns when the hub has done all that was sent before."""
        self.connection.sendall(b"\xc0\x00")
        assert self.read() == (0xD0, b"")

    def is_told_nothing(self) -> bool:
        self.ping()
        self.connection.settimeout(0.2)
        try:
            return not self.connection.recv(1)
        except TimeoutError:
            return True
        finally:
            self.connection.settimeout(5)

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self.connection.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data


@contextlib.contextmanager
def connected(
    lab: Lab, device_id: str, files: Files, *, clean: bool = True, will: tuple[str, bytes] | None = None
) -> Iterator[Dialogue]:
    flags = 0x80 | clean << 1 | (0x0C if will else 0)
    last = text(will[0]) + len(will[1]).to_bytes(2, "big") + will[1] if will else b""
    body = text("MQTT") + bytes((4, flags)) + b"\x00\x3c" + text(device_id) + last + text(username(lab, device_id))
    with tls(lab, files) as connection:
        dialogue = Dialogue(connection)
        connection.sendall(packet(0x10, body))
        first, answer = dialogue.read()
        assert (first, answer[1]) == (0x20, 0)
        dialogue.session_present = bool(answer[0])
        yield dialogue


def inbox(device_id: str) -> str:
    return f"devices/{device_id}/messages/devicebound/#"


def send(lab: Lab, device_id: str, body: str, **more: Any) -> tuple[int, Any]:
    """A message to the device, by the lab's own way. Status and answer."""
    secrets = json.loads((lab.running.folder / "secrets.json").read_text())
    headers = {"Authorization": f"Bearer {secrets['control_token']}"}
    sent = {"deviceId": device_id, "body": body, **more}
    status, _, answer = lab.request("POST", "/lab/commands", body=sent, headers=headers)
    return status, answer
