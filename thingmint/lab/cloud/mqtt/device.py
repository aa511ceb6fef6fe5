"""A device's connection to its hub: the fixed set of topics that IoT Hub knows.

https://learn.microsoft.com/azure/iot/iot-mqtt-connect-to-iot-hub
"""

import asyncio
import itertools
import re
from collections.abc import Collection
from typing import Any

from thingmint.lab.cloud import chain
from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.mqtt import packets, topics, twins
from thingmint.lab.cloud.mqtt.connection import Connection, Over
from thingmint.lab.cloud.mqtt.packets import Connect, Publish
from thingmint.lab.cloud.mqtt.streams import Stream
from thingmint.lab.cloud.mqtt.topics import CALLS, DESIRED, TWIN_ANSWERS
from thingmint.lab.cloud.mqtt.trust import Handshake
from thingmint.lab.cloud.registry.identities import valid_id
from thingmint.lab.cloud.wire import now

_CALL_ANSWERED = re.compile(r"\$iothub/methods/res/(-?\d{1,9})/\?\$rid=([0-9a-f]{1,8})", re.ASCII)


class DeviceConnection(Connection):
    def __init__(self, hub: Hub, handshake: Handshake, stream: Stream) -> None:
        super().__init__(hub, handshake, stream)
        self._events = self._inbox = ""  # its own topics
        self._will: Publish | None = None
        self._keeps_session = False
        self._session_present = False
        self._subscriptions: dict[str, int] = {}
        self._heard: list[tuple[bytes, dict[str, str]]] = []  # of the packets that are being taken
        self._unacknowledged: dict[int, int] = {}  # packet id → the queued message's sequence
        self._rids = itertools.count(1)
        self._calls: dict[str, asyncio.Future[tuple[int, bytes]]] = {}

    # --- CONNECT -----------------------------------------------------------------------------------------------

    def _verdict(self, connect: Connect) -> tuple[int, str]:
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

    def objection(self) -> str | None:
        return self._object(self.device_id)

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

    def _welcome(self) -> str:
        return f"connected, vouched for by {', '.join(self._handshake.vouchers()) or 'its thumbprint'}"

    def _admit(self, connect: Connect) -> None:
        self._events, self._inbox = topics.events(self.device_id), topics.inbox(self.device_id)
        if connect.will and topics.properties_of(connect.will.topic, self._events) is None:
            self._refused(f"its will for {connect.will.topic[:200]!r}, which is no topic of its own")
        else:
            self._will = connect.will
        sessions = self._hub.store.sessions
        kept = None if connect.clean_session else sessions.get(self.device_id)
        self._keeps_session, self._session_present = not connect.clean_session, kept is not None
        if kept is None:
            sessions.forget(self.device_id)
        self._subscriptions = kept or {}
        self._remember()
        self._outgoing += packets.connack(packets.ACCEPTED, session_present=self._session_present)
        self._fill_outgoing()

    def _part(self) -> None:
        for call in self._calls.values():
            if not call.done():
                call.set_exception(ConnectionResetError())
        if self._will and not self._said_goodbye and self.objection() is None:
            properties = topics.properties_of(self._will.topic, self._events) or {}
            properties["iothub-MessageType"] = "Will"
            (kept,) = self._hub.store.heard(self.device_id, [(self._will.payload, properties)], now())
            self._hub.feed.heard(kept)
            self._say(f"message {kept.sequence} received: its will")

    # --- from the device ---------------------------------------------------------------------------------------

    def _take_all(self) -> tuple[int, Exception | None]:
        # One commit for all that came together; the answers leave after it: what is acknowledged, is kept.
        with self._hub.store.transaction():
            result = super()._take_all()
            if self._heard:
                kept = self._hub.store.heard(self.device_id, self._heard, now())
                size = sum(len(message.body) for message in kept)
                numbers = f"message {kept[0].sequence}"
                if len(kept) > 1:
                    numbers = f"messages {kept[0].sequence} to {kept[-1].sequence}"
                self._say(f"{numbers} received: {size} bytes")
                for message in kept:
                    self._hub.feed.heard(message)
                self._heard.clear()
        return result

    def _publish(self, packet: Publish) -> None:
        if packet.qos == 2:
            raise Over("it published with QoS 2, which IoT Hub does not know")
        properties = topics.properties_of(packet.topic, self._events)
        if properties is not None:
            if packet.retain:
                properties["mqtt-retain"] = "true"  # as the service marks it; it retains nothing
            self._heard.append((packet.payload, properties))
        elif question := twins.Question.of(packet.topic):
            self._answer(question, packet.payload)
        elif answered := _CALL_ANSWERED.fullmatch(packet.topic):
            self._returned(answered[2], int(answered[1]), packet.payload)
        else:
            raise Over(f"it published to {packet.topic[:200]!r}, which is no topic of its own")
        if packet.qos == 1:
            self._outgoing += packets.puback(packet.packet_id)

    def _answer(self, question: twins.Question, payload: bytes) -> None:
        answer = twins.answer(self._hub, self.device_id, question, payload)
        if answer.refusal:
            self._refused(answer.refusal)
        elif question.reports:
            self._say("reported properties")
        if TWIN_ANSWERS in self._subscriptions:
            self._outgoing += packets.publish(answer.topic, answer.body, 0)
        else:
            self._say(f"asked for its twin and is not told: it has not subscribed to {TWIN_ANSWERS}")

    def _returned(self, rid: str, status: int, payload: bytes) -> None:
        call = self._calls.get(rid)
        if call is None or call.done():
            self._say(f"answered a call {rid} that nobody waits for (any more)")
        else:
            call.set_result((status, payload))

    def _acknowledged(self, packet_id: int) -> None:
        sequence = self._unacknowledged.pop(packet_id, None)
        if sequence is not None:
            self._hub.store.commands.completed(sequence, now())
            self._say(f"took the message {sequence} from its queue")

    def _subscribe(self, topic: str, qos: int) -> int:
        if topic not in (self._inbox, TWIN_ANSWERS, DESIRED, CALLS):
            self._refused(f"the subscription to {topic[:200]!r}: IoT Hub has no such topic for it")
            return packets.SUBSCRIPTION_FAILED
        self._subscriptions[topic] = min(qos, 1)
        return min(qos, 1)

    def _subscribed(self) -> None:
        self._remember()
        self._fill_outgoing()

    def _unsubscribe(self, topic: str) -> None:
        if self._subscriptions.pop(topic, None) is not None:
            self._remember()

    def _remember(self) -> None:
        if self._keeps_session:
            self._hub.store.sessions.put(self.device_id, self._subscriptions)

    # --- to the device -----------------------------------------------------------------------------------------

    def desired_changed(self, change: dict[str, Any], version: int) -> None:
        if DESIRED in self._subscriptions:
            self._outgoing += packets.publish(*twins.notification(change, version), 0)
            self._flush_soon()

    def deliver(self) -> None:
        with self._hub.store.transaction():
            self._fill_outgoing()
        self._flush_soon()

    @property
    def in_flight(self) -> Collection[int]:
        return self._unacknowledged.values()

    def _fill_outgoing(self) -> None:
        """With what waits in the queue, and was not sent on this connection yet."""
        quality = self._subscriptions.get(self._inbox)
        if quality is None:
            return
        commands = self._hub.store.commands
        for command in commands.waiting(self.device_id, now(), self.in_flight):
            if command.sequence in self.in_flight:
                continue
            # The same at each delivery, as 4.4 wants it. All queues share their sequences: two of one may be 65,535 apart.
            packet_id = command.sequence % 65_535 + 1
            while packet_id in self._unacknowledged:
                packet_id = packet_id % 65_535 + 1
            again = self._session_present and command.deliveries > 0
            topic = topics.command(command)
            if quality:
                self._unacknowledged[packet_id] = command.sequence
                self._outgoing += packets.publish(topic, command.body, packet_id, again=again)
                commands.delivered(command.sequence)
            else:
                self._outgoing += packets.publish(topic, command.body, 0)
                commands.completed(command.sequence, now())

    @property
    def takes_calls(self) -> bool:
        return CALLS in self._subscriptions

    async def call(self, method: str, payload: bytes, seconds: float) -> tuple[int, bytes]:
        rid = f"{next(self._rids):x}"
        answer = self._calls[rid] = asyncio.get_running_loop().create_future()
        try:
            self._outgoing += packets.publish(f"$iothub/methods/POST/{method}/?$rid={rid}", payload, 0)
            self._flush_soon()
            self._say(f"is asked for its method {method!r}")
            async with asyncio.timeout(seconds):
                status, body = await answer
            self._say(f"answered the call of {method!r}: {status}")
            return status, body
        finally:
            del self._calls[rid]
