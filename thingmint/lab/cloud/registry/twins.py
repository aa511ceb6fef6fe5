"""Twins from the service's side: read, patched, replaced.

https://learn.microsoft.com/rest/api/iothub/service/devices (get-twin, update-twin, replace-twin), version 2021-04-12
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.records import Twin
from thingmint.lab.cloud.registry.access import SERVICE_CONNECT, Access
from thingmint.lab.cloud.registry.answers import no_json, read_object, require_device, require_etag
from thingmint.lab.cloud.registry.identities import require_id, twin_json
from thingmint.lab.cloud.twin import changed, etag, written
from thingmint.lab.cloud.wire import not_done, now, registry_error
from thingmint.twinform import TwinProblem


def routes(hub: Hub, access: Access) -> list[Route]:
    async def one(request: Request) -> Response:
        access.require(request, SERVICE_CONNECT)
        device_id = require_id(request.path_params["device_id"])
        device = require_device(hub.store, device_id)
        twin = hub.store.twins.get(device_id)
        if request.method in ("PATCH", "PUT"):
            body = await read_object(request)
            if given := request.headers.get("if-match"):
                require_etag(etag(twin), given, f"the twin of '{device_id}'")
            before, twin = twin, after(twin, body, whole=request.method == "PUT")
            save(hub, before, twin, body)
        elif request.method != "GET":
            raise not_done(request)
        return JSONResponse(twin_json(device, twin), headers={"ETag": f'"{etag(twin)}"'})

    return [Route("/twins/{device_id}", one, methods=["GET", "PUT", "POST", "DELETE", "PATCH"])]


def after(twin: Twin, body: dict[str, Any], *, whole: bool) -> Twin:
    """The twin with a body's tags and desired properties; what the body does not name stays. Raises Refusal."""
    properties = body.get("properties") or {}
    if not isinstance(properties, dict):
        raise no_json()
    given = {"tags": body.get("tags"), "desired": properties.get("desired")}
    try:
        parts = {name: written(values, name) for name, values in given.items() if values is not None}
        return changed(twin, now(), tags=parts.get("tags"), desired=parts.get("desired"), whole=whole)
    except TwinProblem as problem:
        raise registry_error("ArgumentInvalid", str(problem)) from None


def save(hub: Hub, before: Twin, twin: Twin, body: dict[str, Any]) -> None:
    """Keep what `body` made of the twin, and tell the device where it is connected and wants to know."""
    hub.store.twins.put(twin)
    hub.journal.write(f"twin of {twin.device_id!r} changed to version {twin.version}")
    line = hub.lines.get(twin.device_id)
    if line and twin.desired.version != before.desired.version:
        line.desired_changed(written(body["properties"]["desired"], "desired"), twin.desired.version)
