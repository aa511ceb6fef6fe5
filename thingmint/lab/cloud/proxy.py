"""An HTTP CONNECT proxy with one destination: clients use the hub's real name and port, and reach the lab."""

import asyncio
import contextlib
import socket

from thingmint.lab.cloud.hub import Hub

_LARGEST_HEAD = 8_192
_HEAD_SECONDS = 10.0
_CHUNK = 65_536


class ConnectProxy:
    def __init__(self, hub: Hub, destination: str, port: int) -> None:
        self._hub = hub
        self._destination = destination.casefold()
        self._port = port

    async def serve(self, listener: socket.socket) -> None:
        server = await asyncio.start_server(self._serve_one, sock=listener, limit=_LARGEST_HEAD)
        try:
            await server.serve_forever()
        finally:
            server.close()  # not `async with`: from Python 3.12 on that waits for each client to leave

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._hub.touch()
        try:
            async with asyncio.timeout(_HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            # RFC 9112, 3: method, target, version
            words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
            if len(words) != 3 or words[0] != "CONNECT" or words[1].casefold() != self._destination:
                self._hub.journal.write(
                    f"proxy: refused {' '.join(words[:2])[:200]!r}: it leads to {self._destination} only"
                )
                writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                await writer.drain()
                return
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._port)
            try:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))
            finally:
                inner_writer.close()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            self._hub.journal.write("proxy: refused a connection that sent no whole request")
        except OSError:
            pass  # either side hung up
        finally:
            writer.close()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Until the source ends; then the sink is told. drain() holds a fast side back."""
    with contextlib.suppress(OSError):
        while data := await source.read(_CHUNK):
            sink.write(data)
            await sink.drain()
    with contextlib.suppress(OSError, RuntimeError):
        sink.close()
