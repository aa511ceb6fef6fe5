"""Messages to devices from the service's side: sent, purged, and the feedback on how they ended.

https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-messages-c2d: limits, time to live, acknowledgements.
"""

import datetime as dt
import uuid
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.mqtt import topics
from thingmint.lab.cloud.mqtt.packets import LONGEST_TEXT
from thingmint.lab.cloud.records import Acknowledgement, Command
from thingmint.lab.cloud.registry.access import SERVICE_CONNECT, Access
from thingmint.lab.cloud.registry.answers import no_json, require_device
from thingmint.lab.cloud.registry.identities import require_id
from thingmint.lab.cloud.wire import now, registry_error

MOST_WAITING = 50
LARGEST = 64 * 1024
USUAL_SECONDS, LONGEST_SECONDS = 3600, 2 * 24 * 3600
_ACKNOWLEDGEMENTS = ("none", "positive", "negative", "full")


def routes(hub: Hub, access: Access) -> list[Route]:
    async def purge(request: Request) -> Response:
        access.require(request, SERVICE_CONNECT)
        device_id = require_id(request.path_params["device_id"])
        require_device(hub.store, device_id)
        with hub.store.transaction():
            number = hub.store.commands.purge(device_id, now())
        hub.journal.write(f"queue of {device_id!r} purged: {number} messages")
        return JSONResponse({"deviceId": device_id, "moduleId": None, "totalMessagesPurged": number})

    async def feedback(request: Request) -> Response:
        access.require(request, SERVICE_CONNECT)
        lock, records = hub.store.commands.feedback(now())
        return JSONResponse(records, headers={"ETag": f'"{lock}"'}) if records else Response(status_code=204)

    async def settle(request: Request) -> Response:
        access.require(request, SERVICE_CONNECT)
        hub.store.commands.settle(request.path_params["lock"], now(), taken=request.method == "DELETE")
        return Response(status_code=204)

    return [
        Route("/devices/{device_id}/commands", purge, methods=["DELETE"]),
        Route("/messages/serviceBound/feedback", feedback, methods=["GET"]),
        Route("/messages/serviceBound/feedback/{lock}", settle, methods=["DELETE"]),
        Route("/messages/serviceBound/feedback/{lock}/abandon", settle, methods=["POST"]),
    ]


def enqueue(hub: Hub, body: dict[str, Any]) -> str:
    """A message for a device: `deviceId`, `body`, and if wanted `properties`, `messageId`, `ack`, `expirySeconds`.

    Returns its message id. Raises Refusal.
    """
    device_id = require_id(body.get("deviceId"))
    require_device(hub.store, device_id)
    text, properties, ack = body.get("body", ""), body.get("properties") or {}, body.get("ack", "none")
    message_id, seconds = body.get("messageId") or str(uuid.uuid4()), body.get("expirySeconds", USUAL_SECONDS)
    texts = isinstance(properties, dict) and all(
        isinstance(one, str) for one in [text, message_id, *properties.values()]
    )
    if not texts or ack not in _ACKNOWLEDGEMENTS:
        raise no_json()
    if type(seconds) is not int or not 0 < seconds <= LONGEST_SECONDS:
        raise registry_error("ArgumentInvalid", f"expirySeconds must be a number from 1 to {LONGEST_SECONDS}.")
    if sum(len(one.encode()) for one in [text, message_id, *properties, *properties.values()]) > LARGEST:
        raise registry_error("MessageTooLarge", f"A message to a device has at most {LARGEST} bytes.")
    at, line = now(), hub.lines.get(device_id)
    with hub.store.transaction():
        in_flight = line.in_flight if line else ()
        if len(hub.store.commands.waiting(device_id, at, in_flight)) >= MOST_WAITING:
            told = f"The queue of the device '{device_id}' holds {MOST_WAITING} messages already."
            raise registry_error("DeviceMaximumQueueDepthExceeded", told)
        expires = at + dt.timedelta(seconds=seconds)
        kind = cast("Acknowledgement", ack)
        message = Command(0, device_id, message_id, at, expires, kind, text.encode(), properties)
        if len(topics.command(message).encode()) > LONGEST_TEXT:
            # Kept, it would end each connection of its device that comes to fetch it.
            raise registry_error("MessageTooLarge", "Id and properties, URL-encoded, do not fit into an MQTT topic.")
        hub.store.commands.add(message)
    hub.journal.write(f"message {message_id!r} for device {device_id!r}: {len(text)} characters")
    if line:
        line.deliver()
    return message_id
