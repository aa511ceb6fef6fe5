"""One device's MQTT connection, from CONNECT to its end: the fixed set of topics that IoT Hub knows."""

import asyncio
import re
from collections.abc import Callable
from urllib.parse import unquote

from thingmint.lab.cloud import chain
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
from thingmint.lab.cloud.registry.identities import valid_id
from thingmint.lab.cloud.wire import now

_CONNECT_SECONDS = 10.0
_WRITE_SECONDS = 10.0
# https://learn.microsoft.com/azure/iot/iot-mqtt-connect-to-iot-hub: the longest keep-alive, 29:45 minutes
_LONGEST_SILENCE = 1785.0
_NOT_DONE = re.compile(r"\$iothub/(twin|methods)/")


class Over(Exception):  # noqa: N818
    """The connection ends; the reason goes to the log, empty where there is nothing to tell."""


class Connection:
    def __init__(self, hub: Hub, handshake: Handshake, stream: Stream) -> None:
        self._hub = hub
        self._handshake = handshake
        self._stream = stream
        self._buffer = bytearray()
        self.device_id = ""  # until it is let in

    async def run(self, enter: Callable[["Connection"], None]) -> None:
        try:
            connect = await self._receive(_CONNECT_SECONDS)
            if not isinstance(connect, Connect):
                raise Over("its first packet is no CONNECT")
            if connect.protocol != "MQTT":
                raise Over(f"it speaks the protocol {connect.protocol[:20]!r}, not MQTT")
            code, reason = self._verdict(connect)
            if code:
                await self._send(packets.connack(code))
                raise Over(f"{reason} (CONNACK {code})")
            self.device_id = connect.client_id
            enter(self)
            self._say(self._welcome())
            if connect.has_will:
                self._say("has a will, which is not done by the lab yet")
            await self._send(packets.connack(packets.ACCEPTED))
            # 3.1.2.10: one and a half times the keep-alive
            silence = min(connect.keep_alive * 1.5, _LONGEST_SILENCE) if connect.keep_alive else _LONGEST_SILENCE
            while True:
                await self._handle(await self._receive(silence))
        except Over as over:
            if str(over) and self.device_id:
                self._hub.refused(self._name(), f"connection closed: {over}", door="mqtt")
            elif str(over):
                self._handshake.refuse(str(over), door="mqtt")
            else:
                self._say("disconnected")
        except MalformedPacketError as error:
            self._hub.journal.write(f"mqtt: closed {self._name()}: malformed packet: {error}")
        except TimeoutError:
            self._hub.journal.write(f"mqtt: closed {self._name()}: it was silent, or did not read, for too long")
        except (asyncio.IncompleteReadError, OSError):
            if self.device_id:
                self._say("went away without a DISCONNECT")

    def end(self, reason: str) -> None:
        """From outside, of a device that lost its right: the reader wakes up and finds the connection closed."""
        self._hub.refused(self._name(), f"connection closed: {reason}", door="mqtt")
        self._stream.abort()

    def give_way(self) -> None:
        self._say("connection closed: another connection of the same device took over")
        self._stream.abort()

    def objection(self) -> str | None:
        """Why this device may not be connected, now; None if it may."""
        return self._object(self.device_id)

    def _welcome(self) -> str:
        return f"connected, vouched for by {', '.join(self._handshake.vouchers()) or 'its thumbprint'}"

    # --- CONNECT -----------------------------------------------------------------------------------------------

    def _verdict(self, connect: Connect) -> tuple[int, str]:
        """The CONNACK's code, and the reason of a refusal."""
        if connect.level != 4:  # 3.1.2.2
            return packets.BAD_PROTOCOL, f"it speaks MQTT of protocol level {connect.level}, not 4 (3.1.1)"
        device_id = connect.client_id
        if not valid_id(device_id):
            return packets.BAD_CLIENT_ID, f"its client id {device_id[:140]!r} is no valid device id"
        # {host}/{device}/?api-version=…&DeviceClientType=…
        host, _, rest = (connect.username or "").partition("/")
        named, _, query = rest.partition("/?")
        if host.casefold() != self._hub.role.hub_host.casefold():
            return packets.BAD_USERNAME, f"its username names the host {host[:80]!r}, not {self._hub.role.hub_host}"
        if named != device_id or "api-version=" not in query:
            return packets.BAD_USERNAME, f"its username is not {{host}}/{device_id}/?api-version=…"
        objection = self._object(device_id)
        return (packets.NOT_AUTHORIZED, objection) if objection else (packets.ACCEPTED, "")

    def _object(self, device_id: str) -> str | None:
        leaf = self._handshake.leaf
        if leaf is None:
            return "it showed no certificate that can be read"
        if absence := self._hub.absence():
            return absence
        device = self._hub.store.devices.get(device_id)
        if device is None:
            return f"the device {device_id!r} is not registered"
        if device.status != "enabled":
            return f"the device {device_id!r} is disabled"
        authentication = device.authentication
        if authentication.type == "selfSigned":
            if not authentication.has_thumbprint(chain.thumbprints(leaf)):
                return f"its certificate has none of the thumbprints registered for {device_id!r}"
            return None
        if authentication.type != "certificateAuthority":
            return f"the device {device_id!r} is registered for {authentication.type}, not for X.509 certificates"
        name = chain.common_name(leaf.subject)
        if name != device_id:
            return f"its certificate's CN {name!r} is not the device id {device_id!r}"
        if not self._handshake.vouchers():
            return "no verified CA certificate of the hub stands above its certificate (any more)"
        return None

    # --- packets -----------------------------------------------------------------------------------------------

    async def _handle(self, packet: Packet) -> None:
        match packet:
            case Publish():
                await self._publish(packet)
            case Subscribe(packet_id=packet_id, topics=topics):
                await self._send(packets.suback(packet_id, [self._subscribe(topic, qos) for topic, qos in topics]))
            case Unsubscribe(packet_id=packet_id):
                await self._send(packets.unsuback(packet_id))
            case PingReq():
                await self._send(packets.PINGRESP)
            case Disconnect():
                raise Over("")
            case PubAck():
                pass  # of a message to the device: the lab sends none yet
            case Connect():  # 3.1.0-2
                raise Over("it sent a second CONNECT")

    async def _publish(self, packet: Publish) -> None:
        if packet.qos == 2:
            raise Over("it published with QoS 2, which IoT Hub does not know")
        events = f"devices/{self.device_id}/messages/events"
        if packet.topic == events or packet.topic.startswith(events + "/"):
            properties = _properties(packet.topic[len(events) + 1 :])
            if packet.retain:
                properties["mqtt-retain"] = "true"  # as the service marks it; it retains nothing
            message = self._hub.store.heard(self.device_id, packet.payload, properties, now())
            self._hub.feed.heard(message)
            self._say(f"message {message.sequence} received: {len(packet.payload)} bytes")
        elif _NOT_DONE.match(packet.topic):
            self._say(f"published to {packet.topic[:100]!r}: not done by the lab yet")
        else:
            raise Over(f"it published to {packet.topic[:200]!r}, which is no topic of its own")
        if packet.qos == 1:
            await self._send(packets.puback(packet.packet_id))  # the store has committed

    def _subscribe(self, topic: str, qos: int) -> int:
        known = (
            f"devices/{self.device_id}/messages/devicebound/#",
            "$iothub/twin/res/#",
            "$iothub/twin/PATCH/properties/desired/#",
            "$iothub/methods/POST/#",
        )
        if topic in known:
            return min(qos, 1)
        why = f"the subscription to {topic[:200]!r}: IoT Hub has no such topic for it"
        self._hub.refused(self._name(), why, door="mqtt")
        return packets.SUBSCRIPTION_FAILED

    # --- helpers -----------------------------------------------------------------------------------------------

    async def _receive(self, seconds: float) -> Packet:
        """The next packet. The time is for all of it: a drop of bytes now and then does not extend it."""
        async with asyncio.timeout(seconds):
            while True:
                packet = packets.take(self._buffer)
                if packet is not None:
                    self._hub.touch()
                    return packet
                data = await self._stream.read()
                if not data:
                    raise ConnectionResetError
                self._buffer += data

    async def _send(self, data: bytes) -> None:
        async with asyncio.timeout(_WRITE_SECONDS):
            await self._stream.send(data)

    def _say(self, text: str) -> None:
        self._hub.journal.write(f"device {self.device_id!r} {text}")

    def _name(self) -> str:
        return f"device {self.device_id!r}" if self.device_id else self._handshake.who


def _properties(bag: str) -> dict[str, str]:
    """The property bag behind the topic: URL-encoded names and values, `$.mid` and the like among them."""
    pairs = (part.partition("=") for part in bag.rstrip("/").split("&") if part)
    return {unquote(name): unquote(value) for name, _, value in pairs}  # "+" is a plus here: no form encoding
