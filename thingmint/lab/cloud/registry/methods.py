"""Direct methods from the service's side: ask a device that is connected, and wait for what it answers.

https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-direct-methods; codes and words of the refusals:
https://github.com/Azure/azure-iot-sdk-csharp/issues/3442 and https://learn.microsoft.com/azure/iot-hub/troubleshoot-error-codes
"""

import asyncio
import json
import re
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from thingmint.lab.cloud.hub import Hub, Line
from thingmint.lab.cloud.registry.access import SERVICE_CONNECT, Access
from thingmint.lab.cloud.registry.answers import read_object, require_device
from thingmint.lab.cloud.registry.identities import require_id
from thingmint.lab.cloud.wire import Refusal, from_json, registry_error

LARGEST_PAYLOAD = 128 * 1024
SHORTEST_WAIT, USUAL_WAIT, LONGEST_WAIT = 5, 30, 300
# Printable ASCII without the separators that the reference lists. What goes into a topic has no wildcards either.
_NAME = re.compile(r"[!%&'*.0-9A-Z^_`a-z|~-]{1,100}", re.ASCII)
_LOOK_SECONDS = 0.1


def routes(hub: Hub, access: Access) -> list[Route]:
    async def call(request: Request) -> Response:
        access.require(request, SERVICE_CONNECT)
        device_id = require_id(request.path_params["device_id"])
        require_device(hub.store, device_id)
        body = await read_object(request)
        name = body.get("methodName")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise registry_error("ArgumentInvalid", f"The method name {str(name)[:120]!r} is invalid.")
        # None is no payload, and so is the empty text that azure-iot-hub sends in its place.
        payload = b"" if body.get("payload") in (None, "") else json.dumps(body["payload"]).encode()
        if len(payload) > LARGEST_PAYLOAD:
            raise registry_error("ArgumentInvalid", f"The payload is larger than {LARGEST_PAYLOAD} bytes.")
        wait = _seconds(body, "responseTimeoutInSeconds", SHORTEST_WAIT, USUAL_WAIT)
        patience = _seconds(body, "connectTimeoutInSeconds", 0, 0)
        line = await _connected(hub, device_id, patience)
        if line is None:
            raise _not_online(device_id, patience)
        try:
            status, answer = await line.call(name, payload, wait)
        except TimeoutError:
            told = "The operation failed because the device did not answer in time."
            reason = f"the device {device_id!r} did not answer {name!r} within {wait} s"
            raise registry_error("GatewayTimeout", told, reason=reason) from None
        except ConnectionError:
            raise _not_online(device_id, 0) from None
        return JSONResponse({"status": status, "payload": _payload(answer)})

    return [Route("/twins/{device_id}/methods", call, methods=["POST"])]


async def _connected(hub: Hub, device_id: str, patience: int) -> Line | None:
    deadline = time.monotonic() + patience
    while True:
        line = hub.lines.get(device_id)
        if line and line.takes_calls:
            return line
        if time.monotonic() >= deadline:
            return None
        await asyncio.sleep(_LOOK_SECONDS)


def _not_online(device_id: str, patience: int) -> Refusal:
    told = "The operation failed because the requested device isn't online or hasn't registered the direct method callback."
    reason = f"the device {device_id!r} is not connected, or has not subscribed to $iothub/methods/POST/#"
    return registry_error("DeviceNotOnline", told, reason=f"{reason} (waited {patience} s)")


def _seconds(body: dict[str, Any], name: str, least: int, usual: int) -> int:
    value = body.get(name)
    if value is None:
        return usual
    if type(value) is not int or not least <= value <= LONGEST_WAIT:
        raise registry_error("ArgumentInvalid", f"{name} must be a number from {least} to {LONGEST_WAIT}.")
    return value


def _payload(answer: bytes) -> Any:
    """None where the device sent none, or what is no JSON."""
    try:
        return from_json(answer)
    except ValueError:
        return None
