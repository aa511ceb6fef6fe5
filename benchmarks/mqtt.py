"""An MQTT client for measuring: the cheapest there is in Python, so that a server is measured and not its client."""

import asyncio
import ssl
from dataclasses import dataclass
from pathlib import Path

IN_FLIGHT = 100
BODY = b'{"temperature":25.1,"timestamp":%08d}'


@dataclass(frozen=True)
class Server:
    port: int
    process: int
    host: str  # what its certificate is for, and user names begin with
    ca: Path
    devices: Path  # the folder of keys and chains


class Client(asyncio.Protocol):
    """Counts acknowledgements, and sends what they make room for."""

    def __init__(self, server: Server, device_id: str) -> None:
        loop = asyncio.get_running_loop()
        self._server = server
        self._device_id = device_id
        self._transport: asyncio.Transport
        self._let_in: asyncio.Future[None] = loop.create_future()
        self._finished: asyncio.Future[None] = loop.create_future()
        self._packets: list[bytes] = []
        self._sent = self._acknowledged = 0  # packets, bytes

    @classmethod
    async def connected(cls, server: Server, device_id: str) -> "Client":
        loop = asyncio.get_running_loop()
        context = ssl.create_default_context(cafile=str(server.ca))
        context.maximum_version = ssl.TLSVersion.TLSv1_2  # what the devices speak
        context.load_cert_chain(server.devices / f"{device_id}.chain.pem", server.devices / f"{device_id}.key")
        _, client = await loop.create_connection(
            lambda: cls(server, device_id), "127.0.0.1", server.port, ssl=context, server_hostname=server.host
        )
        await client._let_in  # noqa: SLF001 - our own
        return client

    async def send(self, number: int) -> None:
        """Publish so many at QoS 1, some of them in flight; returns when the last is acknowledged."""
        topic = field(f"devices/{self._device_id}/messages/events/")
        ids = (index % 65_535 + 1 for index in range(number))
        self._packets = [packet(0x32, topic + one.to_bytes(2, "big") + BODY % index) for index, one in enumerate(ids)]
        self._more()
        await self._finished

    def close(self) -> None:
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        username = f"{self._server.host}/{self._device_id}/?api-version=2019-10-01"
        body = field("MQTT") + b"\x04\x82\x07\x08" + field(self._device_id) + field(username)
        transport.write(packet(0x10, body))

    def data_received(self, data: bytes) -> None:
        if not self._let_in.done():
            assert data[:2] == b"\x20\x02"
            assert data[3] == 0, f"CONNACK {data[3]}"
            self._let_in.set_result(None)
            return
        self._acknowledged += len(data)  # nothing but PUBACKs of four bytes comes
        self._more()

    def connection_lost(self, _error: Exception | None) -> None:
        for waiting in (self._let_in, self._finished):
            if not waiting.done():
                waiting.set_exception(ConnectionResetError(self._device_id))
                waiting.exception()  # where nobody waits for it, it is no news

    def _more(self) -> None:
        done = self._acknowledged // 4
        end = min(done + IN_FLIGHT, len(self._packets))
        if end > self._sent:
            self._transport.write(b"".join(self._packets[self._sent : end]))
            self._sent = end
        elif done == len(self._packets) and not self._finished.done():
            self._finished.set_result(None)


def field(text: str) -> bytes:
    return len(text).to_bytes(2, "big") + text.encode()


def packet(first: int, body: bytes) -> bytes:
    length, encoded = len(body), bytearray()
    while True:
        length, low = divmod(length, 128)
        encoded.append(low | (0x80 if length else 0))
        if not length:
            return bytes((first, *encoded)) + body
