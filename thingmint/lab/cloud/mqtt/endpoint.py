"""The devices' endpoint: keeps one connection for each device, over TLS or websockets, and ends those that lost their right."""

import asyncio
import contextlib
import socket
from collections.abc import Callable

from thingmint.lab.advice.seen import What
from thingmint.lab.cloud.advising.sighting import NotedGreeting, Sighting
from thingmint.lab.cloud.door import OUTSIDE, Door, most_connections, shake
from thingmint.lab.cloud.faults.handshakes import certificate_for
from thingmint.lab.cloud.faults.kinds import Point
from thingmint.lab.cloud.faults.streams import Unreliable
from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.mqtt.connection import Connection
from thingmint.lab.cloud.mqtt.device import DeviceConnection
from thingmint.lab.cloud.mqtt.streams import Stream, TlsStream
from thingmint.lab.cloud.mqtt.trust import Contexts, Handshake
from thingmint.lab.cloud.provisioning.session import Registering
from thingmint.lab.cloud.wire import now

# Connected to register, at a time: of one device that an enrollment is for, and of all that none is for.
_MOST_OF_ONE, _MOST_STRANGERS = 4, 64


class MqttEndpoint:
    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._contexts = Contexts(hub)
        self._registering: dict[Registering, None] = {}  # the oldest first
        self._tasks: set[asyncio.Task[None]] = set()  # of the connections that came another way
        hub.when_changed(self._recheck)

    async def serve(self, listener: socket.socket, *, outside: bool = False) -> None:
        """`outside`: for devices of a network, who take no places from those of this machine. Strangers come, too: the
        lab is not idle for a device that it lets in, and no sooner."""
        name, most = ("mqtt (outside)", max(1, most_connections() // OUTSIDE)) if outside else ("mqtt", None)
        door = Door(
            self._hub, name, lambda accepted: self._serve_one(accepted, door.keep), most=most, wakes=not outside
        )
        try:
            await door.serve(listener)
        finally:
            await door.close()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def converse(self, handshake: Handshake, stream: Stream) -> None:
        """MQTT on a stream that another listener accepted, until either side ends it."""
        # A task of its own, so that close() can end it, and its end is none of the caller's exceptions.
        task = asyncio.create_task(self._run(handshake, stream, lambda: None))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.wait([task])

    async def _serve_one(self, accepted: socket.socket, keep: Callable[[], None]) -> None:
        with self._hub.watch.opened(accepted) as sighting:
            await self._serve_seen(accepted, sighting, keep)

    async def _serve_seen(self, accepted: socket.socket, sighting: Sighting, keep: Callable[[], None]) -> None:
        server = await certificate_for(self._hub, Point.DEVICE_HANDSHAKE, accepted)
        if server is None:
            return
        sighting.note(What.SHOWN, "" if server == self._hub.folder.server_key else server.stem)
        handshake = Handshake(self._hub, self._contexts, server)
        stream = TlsStream()
        transport = await shake("mqtt", accepted, NotedGreeting(handshake, sighting), stream.protocol)
        if transport is None:
            return
        handshake.over(transport.get_extra_info("ssl_object"))
        stream.opened(transport)
        sighting.greeted(handshake, transport)
        try:
            await self._run(handshake, sighting.stream(stream), keep, sighting)
        finally:
            stream.abort()
            with contextlib.suppress(OSError):
                await stream.closed()

    async def _run(
        self, handshake: Handshake, stream: Stream, keep: Callable[[], None], sighting: Sighting | None = None
    ) -> None:
        """`keep` is called when the client has shown a right to be connected."""
        if self._hub.faults.source:
            stream = Unreliable(stream, lambda point: self._hub.watch.draw(point, handshake.name, sighting))
        connection = (Registering if handshake.for_provisioning else DeviceConnection)(self._hub, handshake, stream)
        try:
            await connection.run(lambda entered: self._enter(entered, handshake, keep, sighting))
        except Exception as error:  # noqa: BLE001 - one connection's bug must neither pass unseen nor end the lab
            self._hub.journal.write(f"mqtt: failed on a connection: {type(error).__name__}: {error}")
        finally:
            self._leave(connection)

    def _enter(
        self, connection: Connection, handshake: Handshake, keep: Callable[[], None], sighting: Sighting | None
    ) -> None:
        """The client is let in; older connections may have to give way."""
        if connection.entitled:
            keep()
        if isinstance(connection, Registering):
            self._enter_to_register(connection)
        elif isinstance(connection, DeviceConnection):
            self._enter_device(connection, handshake)
            if sighting:
                sighting.let_in(connection.device_id)

    def _enter_device(self, connection: DeviceConnection, handshake: Handshake) -> None:
        older = self._hub.lines.get(connection.device_id)
        if older:
            older.give_way()
        self._hub.lines[connection.device_id] = connection
        self._hub.store.devices.set_connected(connection.device_id, connected=True, at=now())
        self._hub.feed.showed(connection.device_id, handshake.shown, vouchers=handshake.vouchers())

    def _enter_to_register(self, connection: Registering) -> None:
        rivals = [one for one in self._registering if one.rivals(connection)]
        most = _MOST_OF_ONE if connection.entitled else _MOST_STRANGERS
        if len(rivals) >= most:
            del self._registering[rivals[0]]
            rivals[0].end(f"it gave way to a newer one: {most} like it are connected to register")
        self._registering[connection] = None

    def _leave(self, connection: Connection) -> None:
        if isinstance(connection, Registering):
            self._registering.pop(connection, None)
        elif isinstance(connection, DeviceConnection) and self._hub.lines.get(connection.device_id) is connection:
            del self._hub.lines[connection.device_id]
            self._hub.store.devices.set_connected(connection.device_id, connected=False, at=now())
            self._hub.feed.stirred()

    def _recheck(self) -> None:
        for line in list(self._hub.lines.values()):
            reason = line.objection()
            if reason:
                line.end(reason)
