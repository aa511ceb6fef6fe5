"""What an MQTT connection needs of whatever carries it, and the plain carrier: bytes over TLS."""

import asyncio
from typing import Protocol

_LIMIT = 65_536


class Stream(Protocol):
    """Bytes there and back. MQTT packets begin and end anywhere in them."""

    async def read(self) -> bytes:
        """What came next; nothing at the end. Raises MalformedPacketError where the carrier was used wrongly."""
        ...

    async def send(self, data: bytes) -> None:
        """Returns when the client's side takes more."""
        ...

    def abort(self) -> None: ...


class TlsStream:
    def __init__(self) -> None:
        self._reader = asyncio.StreamReader(limit=_LIMIT)
        self.protocol = asyncio.StreamReaderProtocol(self._reader)
        self._writer: asyncio.StreamWriter

    def opened(self, transport: asyncio.Transport) -> None:
        self._writer = asyncio.StreamWriter(transport, self.protocol, self._reader, asyncio.get_running_loop())

    async def read(self) -> bytes:
        return await self._reader.read(_LIMIT)

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def abort(self) -> None:
        self._writer.transport.abort()

    async def closed(self) -> None:
        await self._writer.wait_closed()
