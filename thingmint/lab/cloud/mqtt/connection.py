"""One MQTT connection, from CONNECT to its end: what is the same for every client. Who it is, and what it may say, is the
subclass's: a device of the hub, or one that registers."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable

from thingmint.lab.cloud.faults.streams import BrokenOnPurpose
from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.mqtt import packets
from thingmint.lab.cloud.mqtt.packets import (
    Connect,
    Disconnect,
    MalformedPacketError,
    Packet,
    PingReq,
    PubAck,
    Publish,
    Subscribe,
    Unsubscribe,
)
from thingmint.lab.cloud.mqtt.streams import Stream
from thingmint.lab.cloud.mqtt.trust import Handshake

_CONNECT_SECONDS = 10.0
_WRITE_SECONDS = 10.0
_MOST_UNSENT = 1_000_000  # bytes for a client that does not read them
# https://learn.microsoft.com/azure/iot/iot-mqtt-connect-to-iot-hub: the longest keep-alive, 29:45 minutes
_LONGEST_SILENCE = 1785.0


class Over(Exception):  # noqa: N818
    """The connection ends; the reason goes to the log, empty where there is nothing to tell."""


class Connection(ABC):
    """What a packet does is done at once; the answers wait in `_outgoing` until the packets that came together are done."""

    def __init__(self, hub: Hub, handshake: Handshake, stream: Stream) -> None:
        self._hub = hub
        self._handshake = handshake
        self._stream = stream
        self._buffer = bytearray()
        self._outgoing = bytearray()
        self._flushing: asyncio.Task[None] | None = None
        self._said_goodbye = False
        self.device_id = ""  # until it is let in

    @property
    def entitled(self) -> bool:
        """Whether a client that was let in has shown a right to be connected: it may stay, and the lab with it."""
        return True

    async def run(self, enter: Callable[["Connection"], None]) -> None:
        try:
            connect = await self._first()
            code, reason = self._verdict(connect)
            if code:
                self._outgoing += packets.connack(code)
                await self._flush()
                raise Over(f"{reason} (CONNACK {code})")
            self.device_id = connect.client_id
            enter(self)
            self._touch()
            self._say(self._welcome())
            self._admit(connect)
            # 3.1.2.10: one and a half times the keep-alive
            silence = min(connect.keep_alive * 1.5, _LONGEST_SILENCE) if connect.keep_alive else _LONGEST_SILENCE
            deadline = time.monotonic() + silence
            while True:
                done, end = self._take_all()
                await self._flush()
                if end:
                    raise end
                if done:
                    self._touch()
                    deadline = time.monotonic() + silence  # a drop of bytes now and then does not extend it
                else:
                    await self._fill(deadline)
        except Over as over:
            if str(over) and self.device_id:
                self._refused(f"connection closed: {over}")
            elif str(over):
                self._handshake.refuse(str(over), door="mqtt")
            else:
                self._say("disconnected")
        except MalformedPacketError as error:
            self._hub.journal.write(f"mqtt: closed {self._name()}: malformed packet: {error}")
        except TimeoutError:
            self._hub.journal.write(f"mqtt: closed {self._name()}: it was silent, or did not read, for too long")
        except BrokenOnPurpose:
            self._hub.journal.write(f"mqtt: the connection of {self._name()} is over: the lab broke it on purpose")
        except (asyncio.IncompleteReadError, OSError):
            if self.device_id:
                self._say("went away without a DISCONNECT")
        finally:
            if self._flushing:
                self._flushing.cancel()
            if self.device_id:
                self._part()

    def end(self, reason: str) -> None:
        """From outside: the reader wakes up and finds the connection closed."""
        self._refused(f"connection closed: {reason}")
        self._stream.abort()

    def give_way(self) -> None:
        self._say("connection closed: another connection of the same device took over")
        self._stream.abort()

    def objection(self) -> str | None:
        """Why this client may not be connected, now; None if it may."""
        return None

    # --- the subclass's part -----------------------------------------------------------------------------------

    @abstractmethod
    def _verdict(self, connect: Connect) -> tuple[int, str]:
        """The CONNACK's code, and the reason of a refusal."""

    @abstractmethod
    def _welcome(self) -> str:
        """What the log says of one that was let in."""

    def _admit(self, _connect: Connect) -> None:
        self._outgoing += packets.connack(packets.ACCEPTED)

    @abstractmethod
    def _publish(self, packet: Publish) -> None:
        """A message came."""

    def _acknowledged(self, packet_id: int) -> None:  # noqa: B027 - not every subclass has a use for it
        """Of a message to the client."""

    @abstractmethod
    def _subscribe(self, topic: str, qos: int) -> int:
        """SUBACK's code for one topic."""

    def _subscribed(self) -> None:  # noqa: B027 - as above
        """Once the answer to a SUBSCRIBE is on its way."""

    def _unsubscribe(self, topic: str) -> None:  # noqa: B027 - as above
        """The answer is the same, whether it was subscribed or not (3.11)."""

    def _part(self) -> None:  # noqa: B027 - as above
        """The connection of a client that was let in is over."""

    # --- packets -----------------------------------------------------------------------------------------------

    def _take_all(self) -> tuple[int, Exception | None]:
        """Whole packets of the buffer, as long as their answers are not too much: how many, and what ended the connection."""
        done = 0
        try:
            while len(self._outgoing) <= _MOST_UNSENT and (packet := packets.take(self._buffer)) is not None:
                done += 1
                self._handle(packet)
        except (Over, MalformedPacketError) as end:
            return done, end
        return done, None

    def _handle(self, packet: Packet) -> None:
        match packet:
            case Publish():
                self._publish(packet)
            case PubAck(packet_id=packet_id):
                self._acknowledged(packet_id)
            case Subscribe(packet_id=packet_id, topics=topics):
                self._outgoing += packets.suback(packet_id, [self._subscribe(topic, qos) for topic, qos in topics])
                self._subscribed()
            case Unsubscribe(packet_id=packet_id, topics=topics):
                for topic in topics:
                    self._unsubscribe(topic)
                self._outgoing += packets.unsuback(packet_id)
            case PingReq():
                self._outgoing += packets.PINGRESP
            case Disconnect():
                self._said_goodbye = True
                raise Over("")
            case Connect():  # 3.1.0-2
                raise Over("it sent a second CONNECT")

    # --- bytes -------------------------------------------------------------------------------------------------

    async def _first(self) -> Connect:
        deadline = time.monotonic() + _CONNECT_SECONDS
        while (packet := packets.take(self._buffer)) is None:
            await self._fill(deadline)
        if not isinstance(packet, Connect):
            raise Over("its first packet is no CONNECT")
        if packet.protocol != "MQTT":
            raise Over(f"it speaks the protocol {packet.protocol[:20]!r}, not MQTT")
        if packet.will and packet.will.qos == 2:
            raise Over("its will is of QoS 2, which the service does not know")
        return packet

    async def _fill(self, deadline: float) -> None:
        async with asyncio.timeout(deadline - time.monotonic()):
            data = await self._stream.read()
        if not data:
            raise ConnectionResetError
        self._buffer += data

    async def _flush(self) -> None:
        while self._outgoing:
            data, self._outgoing = bytes(self._outgoing), bytearray()
            async with asyncio.timeout(_WRITE_SECONDS):
                await self._stream.send(data)

    def _flush_soon(self) -> None:
        """For what is said from outside: nobody there waits for this client to read."""
        if len(self._outgoing) > _MOST_UNSENT:
            self.end("it does not read what it is sent")
        elif self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush_or_end())

    async def _flush_or_end(self) -> None:
        try:
            await self._flush()
        except (TimeoutError, OSError):
            self._stream.abort()

    def _touch(self) -> None:
        if self.entitled:
            self._hub.touch()

    def _refused(self, why: str) -> None:
        self._hub.refused(self._name(), why, door="mqtt")

    def _say(self, text: str) -> None:
        self._hub.journal.write(f"device {self.device_id!r} {text}")

    def _name(self) -> str:
        return f"device {self.device_id!r}" if self.device_id else self._handshake.who
