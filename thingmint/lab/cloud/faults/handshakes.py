"""Faults of TLS: drawn when the client has said whom it wants, before anything is answered."""

import asyncio
import contextlib
import os
import socket
import ssl
import struct
from pathlib import Path

from thingmint.lab.cloud.faults.kinds import Kind, Point
from thingmint.lab.cloud.hub import Hub

_PATIENCE_SECONDS = 10.0
_LOOK_SECONDS, _MOST_LOOK_SECONDS = 0.005, 0.2  # where nobody tells of what arrived
_HEADER, _HANDSHAKE = 5, 22  # of a TLS record: RFC 8446, 5.1
_MOST_HELLO = 16_384


async def certificate_for(hub: Hub, point: Point, accepted: socket.socket) -> Path | None:
    """The server certificate to show on this connection; None where it was reset.

    An operator's client that asks for no name is left alone: control.py speaks to 127.0.0.1, and so may a browser that
    looks at the lab. A device that asks for none means the hub.
    """
    name = await _wanted(accepted) if hub.faults.source else ""
    if hub.faults.source and not name and point is Point.DEVICE_HANDSHAKE:
        name = hub.role.hub_host
    fault = hub.faults.draw(point, name) if name else None
    if fault is None:
        return hub.folder.server_key
    if fault.kind is Kind.RESET:
        reset(accepted)
        return None
    return hub.folder.faulty_server(fault.kind.name)


def reset(accepted: socket.socket) -> None:
    """Close it so that the client's side gets a reset, and no end of a conversation."""
    linger = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    accepted.close()


async def _wanted(accepted: socket.socket) -> str:
    """The name in the client's first message, which stays to be read; empty if there is none."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            hello = await _arrived(accepted, _HEADER)
            if len(hello) >= _HEADER and hello[0] == _HANDSHAKE:
                length = int.from_bytes(hello[3:_HEADER], "big")
                hello = await _arrived(accepted, min(_HEADER + length, _MOST_HELLO))
            return _name(hello)
    except (OSError, TimeoutError):
        return ""  # whoever reads next finds the same, and tells of it


async def _arrived(accepted: socket.socket, least: int) -> bytes:
    """What stays to be read, as soon as it is so many bytes; fewer where the client ended before."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    try:
        loop.add_reader(accepted, ready.set)
    except NotImplementedError:  # asyncio's loop on Windows
        return await _looked_for(accepted, least)
    try:
        # So that a part of it wakes nobody; an end still does.
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, least)
        await ready.wait()
        return accepted.recv(_MOST_HELLO, socket.MSG_PEEK)
    finally:
        loop.remove_reader(accepted)
        with contextlib.suppress(OSError):  # it was reset
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)


async def _looked_for(accepted: socket.socket, least: int) -> bytes:
    """The same from time to time. Here an end counts alone where nothing came before it."""
    pause = _LOOK_SECONDS
    while True:
        with contextlib.suppress(BlockingIOError):
            found = accepted.recv(_MOST_HELLO, socket.MSG_PEEK)
            if not found or len(found) >= least:
                return found
        await asyncio.sleep(pause)
        pause = min(2 * pause, _MOST_LOOK_SECONDS)


def _name(hello: bytes) -> str:
    """OpenSSL itself reads it, in a connection that leads nowhere."""
    names: list[str] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = lambda _connection, name, _context: names.append(name or "")
    incoming = ssl.MemoryBIO()
    incoming.write(hello)
    with contextlib.suppress(ssl.SSLError):  # it has no certificate, or wants more
        context.wrap_bio(incoming, ssl.MemoryBIO(), server_side=True).do_handshake()
    return names[0] if names else ""
