"""The provisioning service as a resource: made, changed, linked to hubs, deleted, listed; and its keys."""

from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from thingmint.lab.cloud import account
from thingmint.lab.cloud.arm import resources
from thingmint.lab.cloud.arm.gate import Names, Operation
from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.records import Resource
from thingmint.lab.cloud.wire import arm_error, new_etag, now, provider_error
from thingmint.target import PROVISIONING_DEVICES

_SERVICES = resources.PROVIDER + "/provisioningServices"
PATH = resources.GROUP + _SERVICES + "/{service}"
_POLICIES = ("Hashed", "GeoLatency", "Static")
_RIGHTS = "ServiceConfig, DeviceConnect, EnrollmentWrite"


def operations(hub: Hub) -> list[Operation]:
    kept = _Services(hub)

    async def check_name(request: Request, _names: Names) -> Response:
        return await resources.availability(hub, "service", request)

    async def list_keys(_request: Request, names: Names) -> Response:
        require_service(hub, names)
        return JSONResponse({"value": [_key_json(hub, policy) for policy in hub.secrets.provisioning_keys]})

    async def show_key(_request: Request, names: Names) -> Response:
        require_service(hub, names)
        for policy in hub.secrets.provisioning_keys:
            if policy.casefold() == names["key"].casefold():
                return JSONResponse(_key_json(hub, policy))
        raise provider_error(404_000, f"There is no shared access policy '{names['key']}'.")

    check = f"{resources.SUBSCRIPTION}{resources.PROVIDER}/checkProvisioningServiceNameAvailability"
    return [
        Operation("GET", resources.SUBSCRIPTION + _SERVICES, kept.show_all),
        Operation("GET", resources.GROUP + _SERVICES, kept.show_all),
        Operation("POST", check, check_name),
        Operation("GET", PATH, kept.show),
        Operation("PUT", PATH, kept.put),
        Operation("PATCH", PATH, kept.patch),
        Operation("DELETE", PATH, kept.delete),
        Operation("POST", f"{PATH}/listkeys", list_keys),
        Operation("POST", PATH + "/keys/{key}/listkeys", show_key),
    ]


def resource_id(hub: Hub) -> str:
    role = hub.role
    return PATH.format(subscription=role.subscription_id, group=role.resource_group, service=role.provisioning_service)


def require_service(hub: Hub, names: Names) -> Resource:
    found = _find(hub, names)
    if found is None:
        raise arm_error(
            404,
            "ResourceNotFound",
            f"The Resource 'Microsoft.Devices/provisioningServices/{names['service']}' under resource group "
            f"'{names['group']}' was not found.",
        )
    return found


class _Services:
    """The operations. Each is stored before it is answered."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._kept = hub.store.resources

    async def show_all(self, _request: Request, names: Names) -> Response:
        found = self._kept.get("service", self._hub.role.provisioning_service)
        return JSONResponse({"value": [service_json(self._hub, found)] if found and _is_in(names, found) else []})

    async def show(self, _request: Request, names: Names) -> Response:
        return JSONResponse(service_json(self._hub, require_service(self._hub, names)))

    async def put(self, request: Request, names: Names) -> Response:
        body = await resources.body_of(request)
        name = names["service"]
        resources.require_played(self._hub, "service", names, name)
        existing = self._kept.get("service", name)
        location = resources.location_of(body, existing)
        sku = resources.sku_of(body, ("S1",))
        if existing:
            resources.require_etag(request, existing)
            if body.get("etag") not in (None, existing.etag):  # one that was read earlier, and changed since
                raise provider_error(412_001, "Invalid ETag supplied.")
            resources.require_idle(existing)
        elif "if-match" in request.headers:
            raise provider_error(412_001, "Invalid ETag supplied.")
        properties = body.get("properties") or {}
        policy = properties.get("allocationPolicy", "Hashed")
        if policy not in _POLICIES:
            raise provider_error(400_004, f"The allocation policy {str(policy)[:40]!r} is not valid.")
        moment = now()
        role = self._hub.role
        made = Resource(
            "service",
            role.provisioning_service,
            role.resource_group,
            location,
            new_etag(),
            moment,
            moment + resources.MOMENT,
            tags=resources.tags_of(body, {}),
            sku=sku,
            properties={"allocationPolicy": policy, "iotHubs": self._links(properties.get("iotHubs") or [], existing)},
        )
        kept = resources.changed(existing, made)
        self._kept.put(kept)
        linked = ", ".join(linked_hosts(kept)) or "no hub"
        self._hub.journal.write(
            f"provisioning service {kept.name!r} {'updated' if existing else 'created'}: linked to {linked}"
        )
        return resources.at_work(request, self._hub, kept, service_json(self._hub, kept))

    async def patch(self, request: Request, names: Names) -> Response:
        """The tags alone can be changed so."""
        existing = require_service(self._hub, names)
        tags = resources.tags_of(await resources.body_of(request), existing.tags)
        resources.require_idle(existing)
        kept = replace(existing, tags=tags, etag=new_etag())
        self._kept.put(kept)
        return JSONResponse(service_json(self._hub, kept))

    async def delete(self, request: Request, names: Names) -> Response:
        existing = _find(self._hub, names)
        if existing is None:
            return Response(status_code=204)
        resources.require_etag(request, existing)
        account.remove_service(self._hub)
        return resources.going(request, self._hub, existing)

    def _links(self, given: Any, existing: Resource | None) -> list[dict[str, Any]]:
        if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
            raise provider_error(400_004, "properties.iotHubs is no list of hubs.")
        links = [self._link(one, existing) for one in given]
        if len({one["name"].casefold() for one in links}) < len(links):
            # The error: https://github.com/Azure/azure-cli/issues/10628
            raise provider_error(400_303, "Cannot have duplicate iot hubs in description.")
        return links

    def _link(self, given: dict[str, Any], existing: Resource | None) -> dict[str, Any]:
        text = given.get("connectionString")
        parts = dict(part.partition("=")[::2] for part in text.split(";")) if isinstance(text, str) else {}
        host, policy, key = (parts.get(name, "") for name in ("HostName", "SharedAccessKeyName", "SharedAccessKey"))
        location = given.get("location")
        if not host or not policy or not key or not isinstance(location, str):
            raise provider_error(400_004, "A linked hub takes a whole connection string and a location.")
        own = host.casefold() == self._hub.role.hub_host.casefold()
        if set(key) == {"*"}:
            # As it was read: az sends the links that are there in this form, beside a new one.
            if existing is None or host.casefold() not in {one.casefold() for one in linked_hosts(existing)}:
                raise provider_error(400_004, f"The connection string of {host} has no key.")
        elif own and (not self._hub.stands() or key not in self._hub.secrets.policy_keys.get(policy, ())):
            raise provider_error(400_004, f"The connection string of {host} is not valid: there is no such hub or key.")
        choices = {name: given[name] for name in ("applyAllocationPolicy", "allocationWeight") if name in given}
        return account.link(host, policy, location.replace(" ", "").lower()) | choices


def linked_hosts(service: Resource) -> list[str]:
    """The hubs among which it may assign devices."""
    return [str(one["name"]) for one in service.properties.get("iotHubs", [])]


def service_json(hub: Hub, kept: Resource) -> dict[str, Any]:
    state = kept.state(now())
    properties: dict[str, Any] = {
        "state": state,
        "provisioningState": "Succeeded" if state == "Active" else state,
        "iotHubs": kept.properties.get("iotHubs", []),
        "allocationPolicy": kept.properties.get("allocationPolicy", "Hashed"),
        "idScope": None,
    }
    if state != "Activating":
        properties |= {
            "serviceOperationsHostName": hub.role.provisioning_host,
            "deviceProvisioningHostName": PROVISIONING_DEVICES,
            "idScope": hub.role.id_scope,
        }
    return {**resources.envelope(hub, kept), "properties": properties}


def _find(hub: Hub, names: Names) -> Resource | None:
    found = hub.store.resources.get("service", hub.role.provisioning_service)
    return found if found and names["service"].casefold() == found.name.casefold() and _is_in(names, found) else None


def _is_in(names: Names, found: Resource) -> bool:
    """A list of the whole subscription names no group."""
    return names.get("group", found.group).casefold() == found.group.casefold()


def _key_json(hub: Hub, policy: str) -> dict[str, str]:
    primary, secondary = hub.secrets.provisioning_keys[policy]
    return {"keyName": policy, "primaryKey": primary, "secondaryKey": secondary, "rights": _RIGHTS}
