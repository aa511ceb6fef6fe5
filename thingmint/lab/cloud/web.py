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

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from thingmint.lab.cloud.door import Door, Greeting, shake
from thingmint.lab.cloud.faults.handshakes import certificate_for
from thingmint.lab.cloud.faults.kinds import Point
from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.mqtt.packets import LARGEST_PACKET
from thingmint.lab.cloud.mqtt.trust import Contexts, Handshake, broken


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
                timeout_keep_alive=30,
                timeout_graceful_shutdown=2,
            )
        )
        self._hub = hub
        self._context = context

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

        await self._through(Door(self._hub, "https", serve_one, self._held), listener)

    async def admit_devices(self, listener: socket.socket) -> None:
        """The devices' door: a certificate may be shown, and counts as it does on 8883; the application finds it."""

        contexts = Contexts(self._hub, certificate=ssl.CERT_OPTIONAL)

        async def serve_one(accepted: socket.socket) -> None:
            if server := await certificate_for(self._hub, Point.DEVICE_HANDSHAKE, accepted):
                handshake = Handshake(self._hub, contexts, server)
                await self._shake(accepted, handshake, {"handshake": handshake})

        await self._through(Door(self._hub, "https (devices)", serve_one, self._held), listener)

    async def admit_plain(self, listener: socket.socket, *, most: int) -> None:
        """A door without TLS, for what does not leave the machine."""

        async def serve_one(accepted: socket.socket) -> None:
            protocol = _Protocol(self.config, self.server_state, {})
            await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, accepted)

        await self._through(Door(self._hub, "page", serve_one, self._held, most), listener)

    async def _through(self, door: Door, listener: socket.socket) -> None:
        try:
            await door.serve(listener)
        finally:
            await door.close()

    async def _shake(self, accepted: socket.socket, greeting: Greeting, state: dict[str, Any]) -> None:
        protocol = _Protocol(self.config, self.server_state, state)
        await shake("https", accepted, greeting, protocol)

    def _held(self) -> int:
        return len(self.server_state.connections)


class _Protocol(H11Protocol):
    """uvicorn's own; what it is given as state reaches the application as scope["state"]."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # theirs is, too
        self.app_state["transport"] = transport
        super().connection_made(transport)
        # uvicorn waits for the next request for so long, and for the first one for ever.
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)


@dataclass(frozen=True)
class _Unasked:
    """The greeting of a client that is asked for no certificate."""

    hub: Hub
    context: ssl.SSLContext

    def explain(self, error: Exception) -> str:
        return broken("it", error)

    def refuse(self, why: str, *, door: str) -> None:
        self.hub.refused("a client", why, door=door)
