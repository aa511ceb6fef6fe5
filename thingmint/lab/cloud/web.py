"""HTTP and websockets by uvicorn, on connections that come through doors of our own.

Two of them. Everybody's own asks for no certificate: a browser that holds one would show its user a dialogue.
The devices' leads to the same application by the names that devices use, and knows who came with which certificate.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from thingmint.lab.cloud.door import Door, most_connections, shake
from thingmint.lab.cloud.faults.handshakes import certificate_for
from thingmint.lab.cloud.faults.kinds import Point
from thingmint.lab.cloud.greeting import Greeting
from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.mqtt.packets import LARGEST_PACKET
from thingmint.lab.cloud.mqtt.trust import Contexts, Handshake, broken

_REQUEST_SECONDS = 30.0  # for all of one request, head and body


class Web(uvicorn.Server):
    """uvicorn in a loop and on sockets that are not its own: signals and listeners are the lab's business."""

    def __init__(self, hub: Hub, application: ASGIApp, context: ssl.SSLContext | None = None) -> None:
        super().__init__(
            uvicorn.Config(
                application,
                http="h11",
                ws="websockets-sansio",
                ws_max_size=LARGEST_PACKET,
                ws_per_message_deflate=False,  # memory for each device, and a small frame could unpack to a large one
                ws_ping_interval=None,  # MQTT has its own keep-alive
                lifespan="off",
                log_config=None,
                log_level="warning",
                access_log=False,  # paths and queries are nobody's business; refusals are in the journal
                server_header=False,
                proxy_headers=False,  # no proxy stands in front: X-Forwarded-For would only forge addresses for the log
                timeout_keep_alive=30,
                timeout_graceful_shutdown=2,
            )
        )
        self._hub = hub
        self._context = context
        self.waiting: dict[_Protocol, None] = {}  # for a request, or for the rest of one; the longest first

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def admit(self, listener: socket.socket) -> None:
        """Everybody's door: one context for all connections, as renewed by its owner."""
        context = self._context
        assert context  # noqa: S101 - without one there is the plain door alone

        async def serve_one(accepted: socket.socket) -> None:
            if await certificate_for(self._hub, Point.SERVICE_HANDSHAKE, accepted):
                await self._shake(accepted, _Unasked(self._hub, context), {})

        await self._through(Door(self._hub, "https", serve_one, self._held, oust=self._oust), listener)

    async def admit_devices(self, listener: socket.socket) -> None:
        """The devices' door: a certificate may be shown, and counts as it does on 8883; the application finds it."""

        contexts = Contexts(self._hub, certificate=ssl.CERT_OPTIONAL)

        async def serve_one(accepted: socket.socket) -> None:
            if server := await certificate_for(self._hub, Point.DEVICE_HANDSHAKE, accepted):
                handshake = Handshake(self._hub, contexts, server)
                await self._shake(accepted, handshake, {"handshake": handshake})

        # Devices' websockets stay: the rest of the places is for those who ask, the lab's owner among them.
        most = most_connections() * 7 // 8
        await self._through(Door(self._hub, "https (devices)", serve_one, self._held, most, self._oust), listener)

    async def admit_plain(self, listener: socket.socket, *, most: int) -> None:
        """A door without TLS, for what does not leave the machine."""

        async def serve_one(accepted: socket.socket) -> None:
            protocol = _Protocol(self, {}, "page")
            await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, accepted)

        await self._through(Door(self._hub, "page", serve_one, self._held, most, self._oust), listener)

    async def _through(self, door: Door, listener: socket.socket) -> None:
        try:
            await door.serve(listener)
        finally:
            await door.close()

    async def _shake(self, accepted: socket.socket, greeting: Greeting, state: dict[str, Any]) -> None:
        protocol = _Protocol(self, state, "https")
        await shake("https", accepted, greeting, protocol)

    def _held(self) -> int:
        return len(self.server_state.connections)

    def _oust(self) -> bool:
        oldest = next(iter(self.waiting), None)
        if oldest is None:
            return False
        oldest.rest()
        oldest.transport.abort()
        return True

    def cut(self) -> None:
        """Whoever has not said goodbye by now."""
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    def late(self, protocol: "_Protocol", door: str) -> None:
        self._hub.refused("a client", f"it sent no whole request within {_REQUEST_SECONDS:.0f} s", door=door)
        protocol.transport.abort()


class _Protocol(H11Protocol):
    """uvicorn's own; what it is given as state reaches the application as scope["state"].

    uvicorn waits for a client's next request for so long, and for the first one, or the rest of one, for ever.
    """

    def __init__(self, web: Web, state: dict[str, Any], door: str) -> None:
        super().__init__(web.config, web.server_state, state)
        self._web = web
        self._door = door
        self._idle = False  # between two requests: uvicorn's time runs
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # theirs is, too
        self.app_state["transport"] = transport
        super().connection_made(transport)
        self._look()

    def data_received(self, data: bytes) -> None:
        self._idle = False
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._idle = self.conn.their_state is h11.IDLE
        self._look()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self.rest()
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        self.rest()
        super().connection_lost(exc)

    def rest(self) -> None:
        """Nothing is waited for."""
        self._web.waiting.pop(self, None)
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _look(self) -> None:
        if self.transport.get_protocol() is not self:  # a websocket now
            return
        if self.transport.is_closing() or self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self.rest()
            return
        self._web.waiting.setdefault(self)
        if self._deadline is None and not self._idle:
            self._deadline = self.loop.call_later(_REQUEST_SECONDS, self._web.late, self, self._door)


@dataclass(frozen=True)
class _Unasked:
    """The greeting of a client that is asked for no certificate."""

    hub: Hub
    context: ssl.SSLContext

    def explain(self, error: Exception) -> str:
        return broken("it", error)

    def refuse(self, why: str, *, door: str) -> None:
        self.hub.refused("a client", why, door=door)
