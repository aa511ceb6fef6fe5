"""The way in for clients that use the services' real names and ports: an HTTP CONNECT and SOCKS5 proxy, to the lab alone."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping

from thingmint.lab.cloud.door import Door
from thingmint.lab.cloud.hub import Hub

_LARGEST_HEAD = 8_192
_HEAD_SECONDS = 10.0
_DRAIN_SECONDS = 30.0
_CHUNK = 65_536
_VERSIONS = ("HTTP/1.1", "HTTP/1.0")
# RFC 1928, 3 to 6
_SOCKS = 5
_NO_AUTHENTICATION, _NO_METHOD = 0, 0xFF
_CONNECT = 1
_IPV4, _NAME, _IPV6 = 1, 3, 4
_GRANTED, _FAILED, _NOT_ALLOWED, _NO_SUCH_COMMAND, _NO_SUCH_ADDRESS = 0, 1, 2, 7, 8


class _Refused(Exception):  # noqa: N818
    """The request is declined: the reason goes to the log."""


class Proxy:
    """`doors` says which port of this machine stands behind each name and port, e.g. login.microsoftonline.com:443."""

    def __init__(self, hub: Hub, doors: Mapping[str, int]) -> None:
        self._hub = hub
        self._doors = {place.casefold(): port for place, port in doors.items()}

    async def serve(self, listener: socket.socket) -> None:
        door = Door(self._hub, "proxy", lambda accepted: self._serve_one(accepted, door.keep))
        try:
            await door.serve(listener)
        finally:
            await door.close()

    async def _serve_one(self, accepted: socket.socket, keep: Callable[[], None]) -> None:
        reader, writer = await asyncio.open_connection(sock=accepted, limit=_LARGEST_HEAD)
        try:
            async with asyncio.timeout(_HEAD_SECONDS):
                first = await reader.readexactly(1)
                port = await (self._socks(reader, writer) if first[0] == _SOCKS else self._http(first, reader, writer))
            keep()
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))
            finally:
                inner_writer.close()
        except _Refused as refused:
            self._hub.refused(str(refused), "the proxy leads to the lab's own services only", door="proxy")
            with contextlib.suppress(OSError):
                await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            self._hub.refused("a connection", "it sent no whole request", door="proxy")
        except OSError:
            pass  # either side hung up
        finally:
            writer.close()

    async def _http(self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        """The port behind a CONNECT, answered. RFC 9112, 3: method, target, version."""
        head = first + await reader.readuntil(b"\r\n\r\n")
        words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
        asked = len(words) == 3 and words[0] == "CONNECT" and words[2] in _VERSIONS
        port = self._doors.get(words[1].casefold()) if asked else None
        if port is None:
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            # Nothing but method and target: the path of a plain request may hold a secret.
            raise _Refused(repr(" ".join(words[:2]).partition("?")[0][:200]))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        return port

    async def _socks(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        """The port behind a SOCKS5 request (RFC 1928), answered. Names are resolved here: SOCKS5h, as clients call it."""
        methods = await reader.readexactly((await reader.readexactly(1))[0])
        if _NO_AUTHENTICATION not in methods:
            writer.write(bytes([_SOCKS, _NO_METHOD]))
            raise _Refused("a SOCKS client that wants to sign in")
        writer.write(bytes([_SOCKS, _NO_AUTHENTICATION]))
        version, command, _, kind = await reader.readexactly(4)
        if version != _SOCKS:
            writer.write(_socks_answer(_FAILED))
            raise _Refused(f"a SOCKS request of version {version}")
        if kind == _NAME:
            host = (await reader.readexactly((await reader.readexactly(1))[0])).decode("latin-1")
        elif kind in (_IPV4, _IPV6):
            family, length = (socket.AF_INET, 4) if kind == _IPV4 else (socket.AF_INET6, 16)
            host = socket.inet_ntop(family, await reader.readexactly(length))
        else:
            writer.write(_socks_answer(_NO_SUCH_ADDRESS))
            raise _Refused(f"a SOCKS address of type {kind}")
        place = f"{host}:{int.from_bytes(await reader.readexactly(2), 'big')}"
        port = self._doors.get(place.casefold())
        if command != _CONNECT or port is None:
            writer.write(_socks_answer(_NO_SUCH_COMMAND if command != _CONNECT else _NOT_ALLOWED))
            raise _Refused(f"{place!r} by SOCKS (is the name resolved at home? use socks5h)")
        writer.write(_socks_answer(_GRANTED))
        return port


def _socks_answer(code: int) -> bytes:
    """With the address 0.0.0.0:0, which a client of CONNECT has no use for."""
    return bytes([_SOCKS, code, 0, _IPV4]) + bytes(6)


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Until the source ends; then the sink is told. drain() holds a fast side back; one that reads nothing is cut off."""
    try:
        while data := await source.read(_CHUNK):
            sink.write(data)
            async with asyncio.timeout(_DRAIN_SECONDS):
                await sink.drain()
    except TimeoutError:
        sink.transport.abort()  # close() would wait for it as well
    except OSError:
        pass
    with contextlib.suppress(OSError, RuntimeError):
        sink.close()
