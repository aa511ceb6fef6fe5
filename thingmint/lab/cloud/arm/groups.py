"""Resource groups: made and changed at once, deleted with everything in them."""

import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from thingmint.lab.cloud import account
from thingmint.lab.cloud.arm.gate import Names, Operation
from thingmint.lab.cloud.arm.resources import (
    SUBSCRIPTION,
    body_of,
    group_going,
    location_of,
    resource_id,
    tags_of,
)
from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.records import Resource
from thingmint.lab.cloud.wire import arm_error, new_etag, now

_GROUPS = SUBSCRIPTION + "/resourcegroups"
# Not "group" in braces: the gate wants a group of that name to exist.
_ONE = _GROUPS + "/{name}"
# https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
_NAME = re.compile(r"[A-Za-z0-9._()-]{0,89}[A-Za-z0-9_()-]", re.ASCII)


def operations(hub: Hub) -> list[Operation]:
    kept = hub.store.resources

    def existing(names: Names) -> Resource:
        group = kept.get("group", names["name"])
        if group is None:
            raise arm_error(404, "ResourceGroupNotFound", f"Resource group '{names['name']}' could not be found.")
        return group

    async def show_all(_request: Request, _names: Names) -> Response:
        return JSONResponse({"value": [_json(hub, group) for group in kept.all("group")]})

    async def show(_request: Request, names: Names) -> Response:
        return JSONResponse(_json(hub, existing(names)))

    async def is_there(_request: Request, names: Names) -> Response:
        return Response(status_code=204 if kept.get("group", names["name"]) else 404)

    async def put(request: Request, names: Names) -> Response:
        name = names["name"]
        if not _NAME.fullmatch(name):
            raise arm_error(400, "InvalidResourceGroupName", f"The resource group name '{name[:90]}' is not valid.")
        body = await body_of(request)
        before = kept.get("group", name)
        location = location_of(body, before)
        # A PUT without tags takes them away: it describes the whole group.
        group = _made(before, name, location, tags_of(body, {}))
        kept.put(group)
        hub.journal.write(f"resource group {group.name!r} {'updated' if before else 'created'} in {location}")
        return JSONResponse(_json(hub, group), 200 if before else 201)

    async def patch(request: Request, names: Names) -> Response:
        before = existing(names)
        group = _made(before, before.name, before.location, tags_of(await body_of(request), before.tags))
        kept.put(group)
        return JSONResponse(_json(hub, group))

    async def delete(request: Request, names: Names) -> Response:
        account.remove_group(hub, existing(names))
        return group_going(request, hub)

    return [
        Operation("GET", _GROUPS, show_all),
        Operation("GET", _ONE, show),
        Operation("HEAD", _ONE, is_there),
        Operation("PUT", _ONE, put),
        Operation("PATCH", _ONE, patch),
        Operation("DELETE", _ONE, delete),
    ]


def _made(before: Resource | None, name: str, location: str, tags: Mapping[str, str]) -> Resource:
    moment = now()
    own = before.name if before else name
    created = before.created if before else moment
    return Resource("group", own, own, location, new_etag(), created, moment, tags=dict(tags))


def _json(hub: Hub, group: Resource) -> dict[str, Any]:
    return {
        "id": resource_id(hub, group),
        "name": group.name,
        "type": "Microsoft.Resources/resourceGroups",
        "location": group.location,
        "tags": group.tags,
        "properties": {"provisioningState": "Succeeded"},
    }
