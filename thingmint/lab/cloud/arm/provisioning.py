"""The provisioning service as a resource: what it is, its shared access keys, and the hubs it assigns devices to."""

import base64

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from thingmint.lab.cloud.arm.gate import Names, Operation
from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.wire import arm_error, provider_error
from thingmint.target import PROVISIONING_DEVICES

PATH = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Devices/provisioningServices/{service}"
# What the one policy of a new provisioning service may do.
_RIGHTS = "ServiceConfig, DeviceConnect, EnrollmentWrite"


def operations(hub: Hub) -> list[Operation]:
    async def show(_request: Request, names: Names) -> Response:
        require_service(hub, names)
        role = hub.role
        return JSONResponse(
            {
                "id": resource_id(hub),
                "name": role.provisioning_service,
                "type": "Microsoft.Devices/provisioningServices",
                "location": "westeurope",
                "tags": {},
                "etag": base64.b64encode(role.provisioning_service.encode()[:6]).decode(),
                "sku": {"name": "S1", "tier": "Standard", "capacity": 1},
                "properties": {
                    "state": "Active",
                    "provisioningState": "Succeeded",
                    "iotHubs": [
                        {"name": host, "location": "westeurope", "applyAllocationPolicy": True, "allocationWeight": 1}
                        for host in linked_hubs(hub)
                    ],
                    "allocationPolicy": "Hashed",
                    "serviceOperationsHostName": role.provisioning_host,
                    "deviceProvisioningHostName": PROVISIONING_DEVICES,
                    "idScope": role.id_scope,
                },
            }
        )

    async def list_keys(_request: Request, names: Names) -> Response:
        require_service(hub, names)
        return JSONResponse({"value": [_key_json(hub, policy) for policy in hub.secrets.provisioning_keys]})

    async def show_key(_request: Request, names: Names) -> Response:
        require_service(hub, names)
        for policy in hub.secrets.provisioning_keys:
            if policy.casefold() == names["key"].casefold():
                return JSONResponse(_key_json(hub, policy))
        raise provider_error(404_000, f"There is no shared access policy '{names['key']}'.")

    return [
        Operation("GET", PATH, show),
        Operation("POST", f"{PATH}/listkeys", list_keys),
        Operation("POST", PATH + "/keys/{key}/listkeys", show_key),
    ]


def resource_id(hub: Hub) -> str:
    role = hub.role
    return PATH.format(subscription=role.subscription_id, group=role.resource_group, service=role.provisioning_service)


def linked_hubs(hub: Hub) -> tuple[str, ...]:
    """The hosts of the hubs that devices are assigned to."""
    return (hub.role.hub_host,)


def require_service(hub: Hub, names: Names) -> None:
    if names["service"].casefold() != hub.role.provisioning_service.casefold():
        raise arm_error(
            404,
            "ResourceNotFound",
            f"The Resource 'Microsoft.Devices/provisioningServices/{names['service']}' under resource group "
            f"'{names['group']}' was not found.",
        )


def _key_json(hub: Hub, policy: str) -> dict[str, str]:
    primary, secondary = hub.secrets.provisioning_keys[policy]
    return {"keyName": policy, "primaryKey": primary, "secondaryKey": secondary, "rights": _RIGHTS}
