"""The way in for every TLS connection of the lab: accepted, bounded in number, and made safe before anything is read."""

import asyncio
import socket
import ssl
from asyncio import sslproto
from collections.abc import Awaitable, Callable
from typing import Protocol

from thingmint.lab.cloud.hub import Hub

_HANDSHAKE_SECONDS = 10.0
_SHUTDOWN_SECONDS = 3.0  # for the client's part of the goodbye
_MOST_CONNECTIONS = 1_500  # at each door, where the system allows as many
_DESCRIPTORS_EACH = 3  # a connection's own, and two where it comes through the proxy

# asyncio keeps a read buffer of this size for each TLS connection: 256 kB, if it is let. A TLS record holds 16 kB at most.
sslproto.SSLProtocol.max_size = 16_384


def most_connections() -> int:
    """At each door. Raises the process's limit of open files as far as it may, where the system has one."""
    try:
        import resource
    except ImportError:  # Windows: sockets are no files there
        return _MOST_CONNECTIONS
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_CONNECTIONS * _DESCRIPTORS_EACH * 2
    allowed = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return min(_MOST_CONNECTIONS, max(soft, allowed) // _DESCRIPTORS_EACH)


class Greeting(Protocol):
    """One connection's TLS, and words for the log where it fails. mqtt.trust.Handshake is one."""

    @property
    def context(self) -> ssl.SSLContext: ...

    def explain(self, error: Exception) -> str: ...

    def refuse(self, why: str, *, door: str) -> None: ...


class Door:
    """`serve_one` takes an accepted socket; `held` counts the connections that live on after it has returned."""

    def __init__(
        self,
        hub: Hub,
        name: str,
        serve_one: Callable[[socket.socket], Awaitable[None]],
        held: Callable[[], int] = lambda: 0,
        most: int | None = None,
    ) -> None:
        self._hub = hub
        self._name = name
        self._serve_one = serve_one
        self._held = held
        self._most = most_connections() if most is None else most
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listener)
            except OSError as error:  # no descriptor left: the next one may find some
                self._hub.journal.write(f"{self._name}: cannot accept a connection: {error.strerror}")
                await asyncio.sleep(0.2)
                continue
            self._hub.touch()
            if len(self._tasks) + self._held() >= self._most:
                self._hub.refused("a connection", f"{self._most} are open already", door=self._name)
                accepted.close()
                continue
            task = asyncio.create_task(self._guarded(accepted))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _guarded(self, accepted: socket.socket) -> None:
        try:
            await self._serve_one(accepted)
        except Exception as error:  # noqa: BLE001 - one connection's bug must neither pass unseen nor end the lab
            self._hub.journal.write(f"{self._name}: failed on a connection: {type(error).__name__}: {error}")
            accepted.close()


async def shake(
    name: str, accepted: socket.socket, greeting: Greeting, protocol: asyncio.Protocol
) -> asyncio.Transport | None:
    """TLS on an accepted socket, for `protocol`. None where it fails: the reason is in the log then."""
    loop = asyncio.get_running_loop()
    try:
        transport, _ = await loop.connect_accepted_socket(
            lambda: protocol,
            accepted,
            ssl=greeting.context,
            ssl_handshake_timeout=_HANDSHAKE_SECONDS,
            ssl_shutdown_timeout=_SHUTDOWN_SECONDS,
        )
    except (OSError, TimeoutError) as error:
        accepted.close()
        greeting.refuse(greeting.explain(error), door=name)
        return None
    return transport
