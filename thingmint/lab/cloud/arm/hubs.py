"""The hub as a resource: what it is, and its shared access keys."""

import base64
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from thingmint.lab.cloud.arm.gate import Names, Operation
from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.wire import arm_error, provider_error

PATH = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Devices/IotHubs/{hub}"
# What a new hub's policies may do.
_RIGHTS = {
    "iothubowner": "RegistryWrite, ServiceConnect, DeviceConnect",
    "service": "ServiceConnect",
    "device": "DeviceConnect",
    "registryRead": "RegistryRead",
    "registryReadWrite": "RegistryWrite",
}


def operations(hub: Hub) -> list[Operation]:
    def require(names: Names) -> None:
        require_hub(hub, names)

    async def show(_request: Request, names: Names) -> Response:
        require(names)
        return JSONResponse(hub_json(hub))

    async def list_keys(_request: Request, names: Names) -> Response:
        require(names)
        return JSONResponse({"value": [_key_json(hub, policy) for policy in hub.secrets.policy_keys]})

    async def show_key(_request: Request, names: Names) -> Response:
        require(names)
        for policy in hub.secrets.policy_keys:
            if policy.casefold() == names["key"].casefold():
                return JSONResponse(_key_json(hub, policy))
        raise provider_error(404_000, f"There is no shared access policy '{names['key']}'.")

    return [
        Operation("GET", PATH, show),
        Operation("POST", f"{PATH}/listkeys", list_keys),
        Operation("POST", PATH + "/IotHubKeys/{key}/listkeys", show_key),
    ]


def hub_json(hub: Hub) -> dict[str, Any]:
    role = hub.role
    return {
        "id": resource_id(hub),
        "name": role.hub,
        "type": "Microsoft.Devices/IotHubs",
        "location": "westeurope",
        "tags": {},
        "subscriptionid": role.subscription_id,
        "resourcegroup": role.resource_group,
        "etag": base64.b64encode(role.hub.encode()[:6]).decode(),
        "sku": {"name": "F1", "tier": "Free", "capacity": 1},
        "properties": {
            "state": "Active",
            "provisioningState": "Succeeded",
            "hostName": role.hub_host,
            "locations": [{"location": "West Europe", "role": "primary"}],
            "minTlsVersion": "1.2",
            "features": "None",
        },
    }


def resource_id(hub: Hub) -> str:
    role = hub.role
    return PATH.format(subscription=role.subscription_id, group=role.resource_group, hub=role.hub)


def require_hub(hub: Hub, names: Names) -> None:
    if names["hub"].casefold() != hub.role.hub.casefold():
        raise arm_error(
            404,
            "ResourceNotFound",
            f"The Resource 'Microsoft.Devices/IotHubs/{names['hub']}' under resource group '{names['group']}' was not found.",
        )


def _key_json(hub: Hub, policy: str) -> dict[str, str]:
    primary, secondary = hub.secrets.policy_keys[policy]
    return {"keyName": policy, "primaryKey": primary, "secondaryKey": secondary, "rights": _RIGHTS[policy]}
