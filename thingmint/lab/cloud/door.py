"""The way in for every TLS connection of the lab: accepted, bounded in number, and made safe before anything is read."""

import asyncio
import contextlib
import socket
from asyncio import sslproto
from collections.abc import Awaitable, Callable

from thingmint.lab.cloud.greeting import Greeting
from thingmint.lab.cloud.hub import Hub

_HANDSHAKE_SECONDS = 10.0
_SHUTDOWN_SECONDS = 3.0  # for the client's part of the goodbye
_MOST_CONNECTIONS = 1_500  # where the system allows as many
OUTSIDE = 4  # so much smaller is the door to a network
# Of the web's doors together, of MQTT's, two of the proxy's (each way through it has two descriptors), and the outside one's.
_SHARES = 4 + 1 / OUTSIDE
_SPARE = 192  # descriptors: up to 64 for the page, and for listeners, files, and connections that are just being ended

# asyncio keeps a read buffer of this size for each TLS connection: 256 kB, if it is let. Telemetry is no faster with more.
sslproto.SSLProtocol.max_size = 2_048


def most_connections() -> int:
    """At each door. Raises the process's limit of open files as far as it may, where the system has one."""
    try:
        import resource
    except ImportError:  # Windows: sockets are no files there
        return _MOST_CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = int(_MOST_CONNECTIONS * _SHARES) + _SPARE
    allowed = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    if allowed > soft != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return share(max(soft, allowed) if soft != resource.RLIM_INFINITY else wanted)


def share(descriptors: int) -> int:
    """Of a process that may have so many: all doors can be full, and there is still one to open a file with."""
    return min(_MOST_CONNECTIONS, max(1, int((descriptors - _SPARE) / _SHARES)))


class Door:
    """`serve_one` takes an accepted socket; `held` counts the connections that live on after it has returned.

    A connection has no claim to its place until its task calls `keep`. Where the door is full, the oldest of those gives
    way to a newer one; before them one that `oust` ends, of those that live on. So nobody keeps others out by saying
    nothing. `wakes`: whoever comes keeps the lab from ending as idle.
    """

    def __init__(
        self,
        hub: Hub,
        name: str,
        serve_one: Callable[[socket.socket], Awaitable[None]],
        held: Callable[[], int] = lambda: 0,
        most: int | None = None,
        oust: Callable[[], bool] = lambda: False,
        *,
        wakes: bool = True,
    ) -> None:
        self._hub = hub
        self._name = name
        self._serve_one = serve_one
        self._held = held
        self._most = most_connections() if most is None else most
        self._oust = oust
        self._wakes = wakes
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[asyncio.Task[None], socket.socket] = {}  # those without a claim, the oldest first
        self._ousted: set[asyncio.Task[None]] = set()

    async def serve(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listener)
            except OSError as error:  # no descriptor left: the next one may find some
                self._hub.journal.write(f"{self._name}: cannot accept a connection: {error.strerror}")
                await asyncio.sleep(0.2)
                continue
            if self._wakes:
                self._hub.touch()
            if not await self._has_place():
                self._hub.refused("a connection", f"{self._most} are open already", door=self._name)
                accepted.close()
                continue
            task = asyncio.create_task(self._guarded(accepted))
            self._tasks.add(task)
            self._waiting[task] = accepted
            task.add_done_callback(self._forget)

    def keep(self) -> None:
        """The connection whose task calls has shown its right to its place."""
        if task := asyncio.current_task():
            self._waiting.pop(task, None)

    async def close(self) -> None:
        await asyncio.sleep(0)  # each has begun then, and closes what it was given
        tasks = {*self._tasks, *self._ousted}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._waiting.pop(task, None)
        self._ousted.discard(task)

    async def _has_place(self) -> bool:
        if len(self._tasks) + self._held() < self._most:
            return True
        if not self._oust():
            if not self._waiting:
                return False
            oldest, accepted = next(iter(self._waiting.items()))
            self._forget(oldest)
            self._ousted.add(oldest)
            with contextlib.suppress(OSError):
                accepted.shutdown(socket.SHUT_RDWR)  # whoever reads from it finds it ended
        self._hub.refused(
            "a connection", "it had no claim to its place yet, and gave way to a newer one", door=self._name
        )
        await asyncio.sleep(0)  # its descriptor is free then
        return True

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
    shaking = asyncio.ensure_future(
        asyncio.get_running_loop().connect_accepted_socket(
            lambda: protocol,
            accepted,
            ssl=greeting.context,
            ssl_handshake_timeout=_HANDSHAKE_SECONDS,
            ssl_shutdown_timeout=_SHUTDOWN_SECONDS,
        )
    )
    try:
        transport, _ = await asyncio.shield(shaking)
    except asyncio.CancelledError:
        # Cancelled before its first step, a handshake would leave its connection open: it finds an ended one instead.
        with contextlib.suppress(OSError):
            accepted.shutdown(socket.SHUT_RDWR)
        for done in await asyncio.gather(shaking, return_exceptions=True):
            if not isinstance(done, BaseException):
                done[0].abort()
        raise
    except (OSError, TimeoutError) as error:
        accepted.close()
        greeting.refuse(greeting.explain(error), door=name)
        return None
    return transport
