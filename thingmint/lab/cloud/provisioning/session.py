"""A device that registers over MQTT: its CONNECT, its request, and its questions for the outcome.

https://learn.microsoft.com/azure/iot/iot-mqtt-connect-to-iot-dps
"""

import asyncio
import json
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from thingmint.lab.cloud.faults import answers
from thingmint.lab.cloud.faults.kinds import Kind, Point
from thingmint.lab.cloud.mqtt import packets
from thingmint.lab.cloud.mqtt.connection import Connection, Over
from thingmint.lab.cloud.mqtt.packets import Connect, Publish
from thingmint.lab.cloud.provisioning.answers import BAD_FORMAT, refusal
from thingmint.lab.cloud.provisioning.enrollments import valid_id
from thingmint.lab.cloud.provisioning.judging import enrollment_of
from thingmint.lab.cloud.provisioning.registration import RETRY_AFTER, operation_json, register
from thingmint.lab.cloud.provisioning.service import absence
from thingmint.lab.cloud.wire import Refusal

# azure-iot-device gives each of the two steps 30 s, and asks for the outcome after RETRY_AFTER.
_LIFE_SECONDS = 65.0
_ANSWERS = "$dps/registrations/res/"
_ASKED = re.compile(
    r"\$dps/registrations/(?:(?P<register>PUT/iotdps-register)|GET/iotdps-get-operationstatus)"
    r"/\?\$rid=(?P<rid>[^&$/]{1,128})(?:&operationId=(?P<operation>[\w.-]{1,128}))?",
    re.ASCII,
)


class Registering(Connection):
    """The connection of one registration id; `device_id` is that id here."""

    _quality: int | None = None  # of the subscription to the answers; None until there is one
    _answered = 0
    _end_of_life: asyncio.TimerHandle | None = None

    @cached_property
    def entitled(self) -> bool:
        """Whether there was an enrollment for it when it was let in: any certificate is, that is in date."""
        try:
            return enrollment_of(self._hub, self.device_id, self._handshake.shown).status != "disabled"
        except Refusal:
            return False

    def rivals(self, other: "Registering") -> bool:
        """Whether they share a bound: of one device, or of all without an enrollment, whose ids are but claimed."""
        if not self.entitled or not other.entitled:
            return self.entitled == other.entitled
        return self.device_id.lower() == other.device_id.lower()  # registration ids have no case

    def _welcome(self) -> str:
        return "connected to register"

    def _verdict(self, connect: Connect) -> tuple[int, str]:
        if connect.level != 4:  # 3.1.2.2
            return packets.BAD_PROTOCOL, f"it speaks MQTT of protocol level {connect.level}, not 4 (3.1.1)"
        client_id, username = connect.client_id, connect.username or ""
        if not valid_id(client_id):
            return packets.BAD_CLIENT_ID, f"its client id {client_id[:140]!r} is no valid registration id"
        # {idScope}/registrations/{registrationId}/api-version=…&ClientVersion=…
        scope, _, rest = username.partition("/")
        if not rest.startswith(f"registrations/{client_id}/api-version="):
            form = f"{{idScope}}/registrations/{client_id}/api-version=…"
            return packets.BAD_USERNAME, f"its username is not {form}"
        # The code: https://github.com/Azure/azure-iot-sdk-python/issues/670
        if reason := absence(self._hub):
            return packets.UNAVAILABLE, reason
        if scope != self._hub.role.id_scope:
            return packets.UNAVAILABLE, f"its id scope {scope[:40]!r} is not the service's, {self._hub.role.id_scope}"
        if self._handshake.leaf is None:
            return packets.NOT_AUTHORIZED, "it showed no certificate that can be read"
        return packets.ACCEPTED, ""

    def _admit(self, connect: Connect) -> None:
        super()._admit(connect)
        told = f"it had {_LIFE_SECONDS:g} s to register"
        self._end_of_life = asyncio.get_running_loop().call_later(_LIFE_SECONDS, self.end, told)

    def _part(self) -> None:
        if self._end_of_life:
            self._end_of_life.cancel()

    def _subscribe(self, topic: str, qos: int) -> int:
        if topic != f"{_ANSWERS}#":
            self._refused(f"the subscription to {topic[:200]!r}: there is {_ANSWERS}# alone")
            return packets.SUBSCRIPTION_FAILED
        self._quality = min(qos, 1)
        return self._quality

    def _publish(self, packet: Publish) -> None:
        if packet.qos == 2:
            raise Over("it published with QoS 2, which the service does not know")
        asked = _ASKED.fullmatch(packet.topic)
        if asked is None:
            raise Over(f"it published to {packet.topic[:200]!r}, which is no topic of the service")
        if self._quality is None:
            raise self._unheard()
        if packet.qos == 1:
            self._outgoing += packets.puback(packet.packet_id)
        rid, planted = asked["rid"], False
        try:
            fault = self._hub.faults.draw(Point.REGISTRATION, self.device_id)
            if fault and fault.kind is Kind.SILENT:
                return
            if fault and (busy := answers.refusal("provisioning", fault)):
                planted = True
                raise busy
            if asked["register"]:
                operation = self._register(packet.payload)
                told = {"operationId": operation, "status": "assigning"}
                self._answer(f"202/?$rid={rid}&retry-after={RETRY_AFTER}", told)
            else:
                told = operation_json(self._hub, self.device_id, asked["operation"] or "")
                self._answer(f"200/?$rid={rid}", told)
        except Refusal as refused:
            if not planted:
                self._refused(f"registration ({refused.body['errorCode']}): {refused.reason}")
            wait = (refused.headers or {}).get("Retry-After")
            self._answer(f"{refused.status}/?$rid={rid}" + (f"&retry-after={wait}" if wait else ""), refused.body)

    def _unheard(self) -> Over:
        """It has not subscribed. Paho's client, which azure-iot-device stands on, does so where its connection broke: it
        sends again what was not acknowledged, first of all."""
        if not self._hub.faults.struck(self._handshake.name):
            return Over(f"it asks, and has not subscribed to {_ANSWERS}#")
        self._say("asks again without a subscription, after a fault that was planted: its connection is closed")
        return Over("")

    def _register(self, payload: bytes) -> str:
        try:
            body = json.loads(payload)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            raise refusal(BAD_FORMAT, "The request body is no JSON object.")
        named = body.get("registrationId", self.device_id)
        if named != self.device_id:
            raise refusal(BAD_FORMAT, "registrationId of the body is not the connection's.")
        return register(self._hub, self.device_id, self._handshake.shown)

    def _answer(self, topic: str, body: Mapping[str, Any]) -> None:
        self._answered = self._answered % 65_535 + 1  # 2.3.1: never 0
        packet_id = self._answered if self._quality else 0
        self._outgoing += packets.publish(_ANSWERS + topic, json.dumps(body).encode(), packet_id)

    def _refused(self, why: str) -> None:
        self._hub.refused(self._name(), why, door="provisioning service")

    def _say(self, text: str) -> None:
        self._hub.journal.write(f"provisioning service: {self._name()} {text}")

    def _name(self) -> str:
        return f"device {self.device_id!r}" if self.device_id else self._handshake.who
