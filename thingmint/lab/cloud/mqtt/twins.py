"""A device's twin over MQTT: what it asks, and what it is told.

https://learn.microsoft.com/azure/iot/iot-mqtt-connect-to-iot-hub#retrieve-device-twin-properties
"""

import json
import re
import uuid
from dataclasses import dataclass
from typing import Any

from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.records import Section
from thingmint.lab.cloud.twin import reported, written
from thingmint.lab.cloud.wire import from_json, now, timestamp
from thingmint.twinform import TwinProblem

_ASKED = re.compile(r"\$iothub/twin/(GET|PATCH/properties/reported)/\?\$rid=([^&/+#]{1,128})(?:&.*)?", re.DOTALL)
_BAD_ARGUMENT, _BAD_FORMAT = 400004, 400006


@dataclass(frozen=True)
class Question:
    reports: bool  # or else reads
    rid: str

    @classmethod
    def of(cls, topic: str) -> "Question | None":
        found = _ASKED.fullmatch(topic)
        return cls(found[1] != "GET", found[2]) if found else None


@dataclass(frozen=True)
class Answer:
    topic: str
    body: bytes = b""
    refusal: str = ""  # why, for the log


def answer(hub: Hub, device_id: str, question: Question, payload: bytes) -> Answer:
    twin = hub.store.twins.get(device_id)

    def to(status: int) -> str:
        return f"$iothub/twin/res/{status}/?$rid={question.rid}"

    if not question.reports:
        sections = {"desired": _shown(twin.desired), "reported": _shown(twin.reported)}
        return Answer(to(200), json.dumps(sections).encode())
    try:
        values = from_json(payload)
    except ValueError:
        return Answer(to(400), _error(_BAD_FORMAT, "The body is no JSON."), "its report, which is no JSON")
    try:
        twin = reported(twin, now(), written(values, "reported"))
    except TwinProblem as problem:
        return Answer(to(400), _error(_BAD_ARGUMENT, f"{problem}."), f"its report: {problem}")
    hub.store.twins.put(twin)
    return Answer(f"{to(204)}&$version={twin.reported.version}")


def notification(change: dict[str, Any], version: int) -> tuple[str, bytes]:
    """Topic and payload of the news that desired properties changed."""
    body = json.dumps({**change, "$version": version}).encode()
    return f"$iothub/twin/PATCH/properties/desired/?$version={version}", body


def _shown(section: Section) -> dict[str, Any]:
    return {**section.values, "$version": section.version}


def _error(code: int, message: str) -> bytes:
    told = {"errorCode": code, "trackingId": uuid.uuid4().hex, "message": message, "timestampUtc": timestamp(now())}
    return json.dumps(told).encode()
