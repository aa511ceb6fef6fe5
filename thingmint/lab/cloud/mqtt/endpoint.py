"""The devices' endpoint: accepts connections, keeps one for each device, ends those that lost their right."""

import asyncio
import contextlib
import socket

from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.mqtt.connection import Connection
from thingmint.lab.cloud.mqtt.trust import Handshake
from thingmint.lab.cloud.wire import now

_HANDSHAKE_SECONDS = 10.0
_MOST_CONNECTIONS = 400  # below the 1024 descriptors that a process usually has, two for a proxied connection
_STREAM_LIMIT = 65_536


class MqttEndpoint:
    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._open: dict[str, Connection] = {}  # device id → its connection
        self._tasks: set[asyncio.Task[None]] = set()
        hub.when_changed(self._recheck)

    async def serve(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, _ = await loop.sock_accept(listener)
            except OSError as error:  # no descriptor left: the next one may find some
                self._hub.journal.write(f"mqtt: cannot accept a connection: {error.strerror}")
                await asyncio.sleep(0.2)
                continue
            self._hub.touch()
            if len(self._tasks) >= _MOST_CONNECTIONS:
                self._hub.refused("a connection", f"{_MOST_CONNECTIONS} are open already", door="mqtt")
                accepted.close()
                continue
            task = asyncio.create_task(self._serve_one(accepted))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve_one(self, accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        handshake = Handshake(self._hub)
        reader = asyncio.StreamReader(limit=_STREAM_LIMIT)
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            # A context for each connection: CAs that come and go count at once, and the verdict reaches the log.
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol, accepted, ssl=handshake.context, ssl_handshake_timeout=_HANDSHAKE_SECONDS
            )
        except (OSError, TimeoutError) as error:
            accepted.close()
            handshake.refuse(handshake.explain(error))
            return
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        connection = Connection(self._hub, handshake, reader, writer)
        try:
            await connection.run(self._enter)
        except Exception as error:  # noqa: BLE001 - one connection's bug must neither pass unseen nor end the lab
            self._hub.journal.write(f"mqtt: failed on a connection: {type(error).__name__}: {error}")
        finally:
            self._leave(connection)
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _enter(self, connection: Connection) -> None:
        """The device is let in; an older connection of the same id gives way."""
        older = self._open.get(connection.device_id)
        if older:
            older.end("another connection of the same device took over")
        self._open[connection.device_id] = connection
        self._hub.store.devices.set_connected(connection.device_id, connected=True, at=now())
        self._hub.feed.stirred()

    def _leave(self, connection: Connection) -> None:
        if self._open.get(connection.device_id) is connection:
            del self._open[connection.device_id]
            self._hub.store.devices.set_connected(connection.device_id, connected=False, at=now())
            self._hub.feed.stirred()

    def _recheck(self) -> None:
        for connection in list(self._open.values()):
            reason = connection.objection()
            if reason:
                connection.end(reason)
