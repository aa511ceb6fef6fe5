"""The hub as a resource: made, changed, deleted, listed; and its shared access keys."""

from collections.abc import Mapping
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

_HUBS = resources.PROVIDER + "/IotHubs"
PATH = resources.GROUP + _HUBS + "/{hub}"
_SKUS = ("F1", "B1", "B2", "B3", "S1", "S2", "S3")
# What a new hub's policies may do.
_RIGHTS = {
    "iothubowner": "RegistryWrite, ServiceConnect, DeviceConnect",
    "service": "ServiceConnect",
    "device": "DeviceConnect",
    "registryRead": "RegistryRead",
    "registryReadWrite": "RegistryWrite",
}


def operations(hub: Hub) -> list[Operation]:
    kept = _Hubs(hub)

    async def check_name(request: Request, _names: Names) -> Response:
        return await resources.availability(hub, "hub", request)

    async def stats(_request: Request, names: Names) -> Response:
        require_hub(hub, names)
        number = hub.store.devices.numbers()
        enabled, disabled = number.get("enabled", 0), number.get("disabled", 0)
        answer = {
            "enabledDeviceCount": enabled,
            "disabledDeviceCount": disabled,
            "totalDeviceCount": enabled + disabled,
        }
        return JSONResponse(answer)

    async def list_keys(_request: Request, names: Names) -> Response:
        require_hub(hub, names)
        return JSONResponse({"value": [_key_json(hub, policy) for policy in hub.secrets.policy_keys]})

    async def show_key(_request: Request, names: Names) -> Response:
        require_hub(hub, names)
        for policy in hub.secrets.policy_keys:
            if policy.casefold() == names["key"].casefold():
                return JSONResponse(_key_json(hub, policy))
        raise provider_error(404_000, f"There is no shared access policy '{names['key']}'.")

    return [
        Operation("GET", resources.SUBSCRIPTION + _HUBS, kept.show_all),
        Operation("GET", resources.GROUP + _HUBS, kept.show_all),
        Operation("POST", f"{resources.SUBSCRIPTION}{resources.PROVIDER}/checkNameAvailability", check_name),
        Operation("GET", PATH, kept.show),
        Operation("PUT", PATH, kept.put),
        Operation("PATCH", PATH, kept.patch),
        Operation("DELETE", PATH, kept.delete),
        Operation("GET", f"{PATH}/IotHubStats", stats),
        Operation("POST", f"{PATH}/listkeys", list_keys),
        Operation("POST", PATH + "/IotHubKeys/{key}/listkeys", show_key),
    ]


def resource_id(hub: Hub) -> str:
    role = hub.role
    return PATH.format(subscription=role.subscription_id, group=role.resource_group, hub=role.hub)


def require_hub(hub: Hub, names: Names) -> Resource:
    found = _find(hub, names)
    if found is None:
        raise arm_error(
            404,
            "ResourceNotFound",
            f"The Resource 'Microsoft.Devices/IotHubs/{names['hub']}' under resource group '{names['group']}' was not found.",
        )
    return found


class _Hubs:
    """The operations. Each is stored before it is answered."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._kept = hub.store.resources

    async def show_all(self, _request: Request, names: Names) -> Response:
        found = self._kept.get("hub", self._hub.role.hub)
        return JSONResponse({"value": [hub_json(self._hub, found)] if found and _is_in(names, found) else []})

    async def show(self, _request: Request, names: Names) -> Response:
        return JSONResponse(hub_json(self._hub, require_hub(self._hub, names)))

    async def put(self, request: Request, names: Names) -> Response:
        body = await resources.body_of(request)
        name = names["hub"]
        existing = self._kept.get("hub", name)
        sku = resources.sku_of(body, _SKUS)
        self._require_one_free(name, sku)
        resources.require_played(self._hub, "hub", names, name)
        location = resources.location_of(body, existing)
        if existing:
            # https://learn.microsoft.com/rest/api/iothub/iot-hub-resource/create-or-update: to update, If-Match is required
            if "if-match" not in request.headers:
                raise provider_error(412_001, f"The hub '{name}' exists: to update it takes its etag in If-Match.")
            resources.require_etag(request, existing)
            resources.require_idle(existing)
            if (existing.sku["name"] == "F1") != (sku["name"] == "F1"):
                raise provider_error(400_004, "A hub cannot change between the free edition and a paid one.")
        elif "if-match" in request.headers:
            raise provider_error(412_001, "Invalid ETag supplied.")
        moment = now()
        group = self._hub.role.resource_group
        made = Resource(
            "hub",
            self._hub.role.hub,
            group,
            location,
            new_etag(),
            moment,
            moment + resources.MOMENT,
            tags=resources.tags_of(body, {}),
            sku=sku,
        )
        kept = resources.changed(existing, made)
        self._kept.put(kept)
        self._hub.journal.write(
            f"hub {kept.name!r} {'updated' if existing else 'created'}: {sku['name']} in {location}"
        )
        return resources.at_work(request, self._hub, kept, hub_json(self._hub, kept))

    async def patch(self, request: Request, names: Names) -> Response:
        """The tags alone can be changed so."""
        existing = require_hub(self._hub, names)
        tags = resources.tags_of(await resources.body_of(request), existing.tags)
        resources.require_idle(existing)
        kept = replace(existing, tags=tags, etag=new_etag())
        self._kept.put(kept)
        return JSONResponse(hub_json(self._hub, kept))

    async def delete(self, request: Request, names: Names) -> Response:
        existing = _find(self._hub, names)
        if existing is None:
            return Response(status_code=204)  # as ARM answers a deletion of what is not there
        resources.require_etag(request, existing)
        account.remove_hub(self._hub)
        return resources.going(request, self._hub, existing)

    def _require_one_free(self, name: str, sku: Mapping[str, Any]) -> None:
        """One free hub a subscription. The error: https://github.com/MicrosoftLearning/DP-900T00A-Azure-Data-Fundamentals/issues/6"""
        played = self._kept.get("hub", self._hub.role.hub)
        if sku["name"] == "F1" and played and played.sku["name"] == "F1" and name.casefold() != played.name.casefold():
            raise provider_error(
                400_019,
                "Max number of Iot Hubs exceeded for sku = Free, Max Allowed = 1, Current = 1 in the subscription Id: "
                f"{self._hub.role.subscription_id}.",
            )


def hub_json(hub: Hub, kept: Resource) -> dict[str, Any]:
    state = kept.state(now())
    properties: dict[str, Any] = {
        "state": state,
        "provisioningState": "Succeeded" if state == "Active" else state,
        "locations": [{"location": kept.location, "role": "primary"}],
        "minTlsVersion": "1.2",
        "features": "None",
    }
    if state != "Activating":
        properties["hostName"] = hub.role.hub_host
    return {**resources.envelope(hub, kept), "properties": properties}


def _find(hub: Hub, names: Names) -> Resource | None:
    found = hub.store.resources.get("hub", hub.role.hub)
    return found if found and names["hub"].casefold() == found.name.casefold() and _is_in(names, found) else None


def _is_in(names: Names, found: Resource) -> bool:
    """A list of the whole subscription names no group."""
    return names.get("group", found.group).casefold() == found.group.casefold()


def _key_json(hub: Hub, policy: str) -> dict[str, str]:
    primary, secondary = hub.secrets.policy_keys[policy]
    return {"keyName": policy, "primaryKey": primary, "secondaryKey": secondary, "rights": _RIGHTS[policy]}
