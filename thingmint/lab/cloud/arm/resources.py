"""What all resources have in common: bodies and their refusals, etags, and operations that take a while."""

import base64
import datetime as dt
import re
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from thingmint.lab.cloud.arm.gate import Names, Operation
from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.records import Resource, ResourceKind
from thingmint.lab.cloud.wire import Refusal, arm_error, new_etag, now, provider_error, read_json

SUBSCRIPTION = "/subscriptions/{subscription}"
GROUP = SUBSCRIPTION + "/resourceGroups/{group}"
PROVIDER = "/providers/Microsoft.Devices"
TYPES: dict[ResourceKind, str] = {
    "hub": "Microsoft.Devices/IotHubs",
    "service": "Microsoft.Devices/provisioningServices",
}
MOMENT = dt.timedelta(seconds=1)
"""How long the lab is at work on a resource. Azure takes minutes for a hub; the steps on the way are the same."""

_TIERS = {"F": "Free", "B": "Basic", "S": "Standard"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{1,48}[A-Za-z0-9]", re.ASCII)


def operations(hub: Hub) -> list[Operation]:
    """What is asked while something takes its time. The clients get these addresses in the first answer's header."""

    async def state(_request: Request, names: Names) -> Response:
        over = _end(names["operation"]) <= now()
        return _with_patience({"status": "Succeeded" if over else "Running"}, 200)

    async def result(request: Request, names: Names) -> Response:
        over = _end(names["operation"]) <= now()
        return Response(status_code=200) if over else _accepted(request, hub, names["operation"])

    places = SUBSCRIPTION + PROVIDER + "/locations/{location}"
    return [
        Operation("GET", places + "/operationResults/{operation}", state),
        Operation("GET", places + "/provisioningServiceOperationResults/{operation}", state),
        Operation("GET", SUBSCRIPTION + "/operationresults/{operation}", result),
    ]


# --- what comes in -----------------------------------------------------------------------------------------------


async def body_of(request: Request) -> dict[str, Any]:
    invalid = arm_error(400, "InvalidRequestContent", "The request content was invalid and could not be deserialized.")
    body = await read_json(request, invalid)
    if not isinstance(body, dict):
        raise invalid
    for part in ("tags", "sku", "properties"):
        if not isinstance(body.get(part) or {}, dict):
            raise invalid
    return body


def tags_of(body: Mapping[str, Any], kept: Mapping[str, str]) -> dict[str, str]:
    """Those given, or those kept where none are given."""
    given = body.get("tags")
    if given is None:
        return dict(kept)
    # https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources, limitations
    if len(given) > 50:
        raise arm_error(400, "InvalidTags", "A resource has at most 50 tags.")
    for name, value in given.items():
        if not isinstance(value, str) or not name or len(name) > 512 or len(value) > 256 or set(name) & set("<>%&\\?/"):
            raise arm_error(400, "InvalidTagName", f"The tag {name[:40]!r} is not valid.")
    return dict(given)


def location_of(body: Mapping[str, Any], existing: Resource | None) -> str:
    """Normalized as Azure Resource Manager does: "West Europe" is westeurope. What exists does not move."""
    given = body.get("location")
    if not isinstance(given, str) or not given.strip():
        raise arm_error(400, "LocationRequired", "The location property is required for this definition.")
    location = given.replace(" ", "").lower()
    if not re.fullmatch(r"[a-z0-9]{3,40}", location, re.ASCII):
        raise arm_error(400, "LocationNotAvailableForResourceType", f"The location '{given[:60]}' is no location.")
    if existing and existing.location != location:
        if existing.kind == "group":
            raise arm_error(
                409,
                "InvalidResourceGroupLocation",
                f"Invalid resource group location '{location}'. The Resource group already exists in location '{existing.location}'.",
            )
        raise arm_error(
            409,
            "InvalidResourceLocation",
            f"The resource '{existing.name}' already exists in location '{existing.location}' in resource group "
            f"'{existing.group}'. A resource with the same name cannot be created in location '{location}'.",
        )
    return location


def sku_of(body: Mapping[str, Any], allowed: tuple[str, ...]) -> dict[str, Any]:
    sku = body.get("sku") or {}
    name, capacity = sku.get("name"), sku.get("capacity", 1)
    if name not in allowed:
        raise provider_error(400_004, f"The sku {str(name)[:40]!r} is not valid; it is one of {', '.join(allowed)}.")
    if not isinstance(capacity, int) or isinstance(capacity, bool) or capacity < 1 or (name == "F1" and capacity != 1):
        raise provider_error(400_004, f"The capacity {capacity!r} is not valid for the sku {name}.")
    return {"name": name, "tier": _TIERS[name[0]], "capacity": capacity}


def require_played(hub: Hub, kind: ResourceKind, names: Names, name: str) -> None:
    """The lab plays one hub and one provisioning service: others cannot be made."""
    wanted = hub.role.hub if kind == "hub" else hub.role.provisioning_service
    what = "hub" if kind == "hub" else "provisioning service"
    if not _NAME.fullmatch(name):
        raise provider_error(400_004, f"The name '{name[:60]}' is not valid: 3 to 50 letters, digits and hyphens.")
    existing = hub.store.resources.get(kind, name)
    if existing and existing.group.casefold() != names["group"].casefold():
        raise name_taken(kind, name)
    if name.casefold() == wanted.casefold() and names["group"].casefold() == hub.role.resource_group.casefold():
        return
    raise arm_error(
        400,
        "NotPlayedByTheLab",
        f"The lab plays the {what} {wanted} in resource group {hub.role.resource_group}, and no other: "
        "name that one, or have the configuration name yours.",
    )


def name_taken(kind: ResourceKind, name: str) -> Refusal:
    return provider_error(400_307, f"{'IotHub' if kind == 'hub' else 'IotDps'} name '{name}' is not available.")


def require_etag(request: Request, existing: Resource) -> None:
    """If-Match, where it is given, names the current etag."""
    given = request.headers.get("if-match")
    if given is not None and given.strip('"') not in (existing.etag, "*"):
        raise provider_error(412_001, "Invalid ETag supplied.")


def require_idle(existing: Resource) -> None:
    if existing.ready > now():
        raise arm_error(409, "Conflict", f"'{existing.name}' is in the middle of another operation.")


async def availability(hub: Hub, kind: ResourceKind, request: Request) -> Response:
    """Names are unique in all of Azure; of all of Azure the lab knows its own account."""
    name = (await body_of(request)).get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        told = "The name has 3 to 50 letters, digits and hyphens."
        return JSONResponse({"nameAvailable": False, "reason": "Invalid", "message": told})
    if hub.store.resources.get(kind, name):
        told = f"{'IotHub' if kind == 'hub' else 'IotDps'} name '{name}' is not available"
        return JSONResponse({"nameAvailable": False, "reason": "AlreadyExists", "message": told})
    return JSONResponse({"nameAvailable": True, "reason": "Invalid", "message": None})  # that reason, as recorded


# --- what is kept and answered -------------------------------------------------------------------------------------


def changed(existing: Resource | None, made: Resource) -> Resource:
    """`made`, as it is kept: with a new etag, and the service at work on it from now on."""
    moment = now()
    if existing is None:
        return made
    return replace(
        made,
        name=existing.name,
        created=existing.created,
        etag=new_etag(),
        ready=moment + MOMENT,
        doing="Transitioning",
    )


def resource_id(hub: Hub, resource: Resource) -> str:
    group = GROUP.format(subscription=hub.role.subscription_id, group=resource.group)
    return group if resource.kind == "group" else f"{group}/providers/{TYPES[resource.kind]}/{resource.name}"


def envelope(hub: Hub, resource: Resource) -> dict[str, Any]:
    """All but the properties."""
    return {
        "id": resource_id(hub, resource),
        "name": resource.name,
        "type": TYPES[resource.kind],
        "location": resource.location,
        "tags": resource.tags,
        "subscriptionid": hub.role.subscription_id,
        "resourcegroup": resource.group,
        "etag": resource.etag,
        "sku": resource.sku,
        "identity": {"type": "None"},
        "systemData": {"createdAt": resource.created.isoformat()},
    }


def at_work(request: Request, hub: Hub, resource: Resource, answer: dict[str, Any]) -> Response:
    """201 with the resource as accepted, and where to ask how far it is."""
    answer["properties"] |= {"provisioningState": "Accepted"}
    answer.pop("etag")  # it has one once the service has taken it up
    return _with_patience(answer, 201, {"Azure-AsyncOperation": _address(request, hub, resource)})


def going(request: Request, hub: Hub, resource: Resource) -> Response:
    """202: the resource is being deleted, and is no longer there for anybody."""
    address = _address(request, hub, replace(resource, ready=now() + MOMENT))
    return _with_patience(None, 202, {"Azure-AsyncOperation": address, "Location": address})


def group_going(request: Request, hub: Hub) -> Response:
    return _accepted(request, hub, _operation(now() + MOMENT))


def _accepted(request: Request, hub: Hub, operation: str) -> Response:
    address = (
        f"{_asked(request)}{SUBSCRIPTION.format(subscription=hub.role.subscription_id)}/operationresults/{operation}"
    )
    return _with_patience(None, 202, {"Location": f"{address}?api-version=2022-09-01"})


def _address(request: Request, hub: Hub, resource: Resource) -> str:
    room = "operationResults" if resource.kind == "hub" else "provisioningServiceOperationResults"
    subscription = SUBSCRIPTION.format(subscription=hub.role.subscription_id)
    place = f"{_asked(request)}{subscription}{PROVIDER}/locations/{resource.location}"
    return f"{place}/{room}/{_operation(resource.ready)}?api-version=2023-06-30&asyncinfo"


def _asked(request: Request) -> str:
    """Under the name by which the client came, which may be Azure's own, through the proxy. The lab vets it first."""
    return f"https://{request.headers['host']}"


def _with_patience(body: object, status: int, headers: Mapping[str, str] | None = None) -> Response:
    # The header is what an SDK goes by; without it, one waits half a minute between two questions.
    headers = {**(headers or {}), "Retry-After": "1"}
    return Response(status_code=status, headers=headers) if body is None else JSONResponse(body, status, headers)


def _operation(end: dt.datetime) -> str:
    """An operation's name tells when it is over, so that nothing is to be kept of it."""
    return base64.urlsafe_b64encode(f"id={uuid.uuid4()};end={end.isoformat()}".encode()).decode().rstrip("=")


def _end(operation: str) -> dt.datetime:
    try:
        text = base64.urlsafe_b64decode(operation + "=" * (-len(operation) % 4)).decode()
        moment = dt.datetime.fromisoformat(text.partition(";end=")[2])
        return moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise arm_error(404, "NotFound", "There is no operation of that name.") from None
