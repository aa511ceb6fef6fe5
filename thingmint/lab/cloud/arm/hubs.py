"""The hub as a resource: made and changed; and how many devices it has."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from thingmint.lab.cloud import account
from thingmint.lab.cloud.arm import resources, standing
from thingmint.lab.cloud.arm.gate import Names, Operation
from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.records import Resource
from thingmint.lab.cloud.wire import new_etag, now, provider_error

_SKUS = ("F1", "B1", "B2", "B3", "S1", "S2", "S3")


def _properties(hub: Hub, kept: Resource) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "locations": [{"location": kept.location, "role": "primary"}],
        "minTlsVersion": "1.2",
        "features": "None",
    }
    if kept.state(now()) != "Activating":
        properties["hostName"] = hub.role.hub_host
    return properties


KIND = standing.Kind(
    kind="hub",
    segment="IotHubs",
    keys_segment="IotHubKeys",
    name_check="checkNameAvailability",
    own_name=lambda hub: hub.role.hub,
    policies=lambda hub: hub.secrets.policy_keys,
    # What a new hub's policies may do.
    rights={
        "iothubowner": "RegistryWrite, ServiceConnect, DeviceConnect",
        "service": "ServiceConnect",
        "device": "DeviceConnect",
        "registryRead": "RegistryRead",
        "registryReadWrite": "RegistryWrite",
    },
    properties=_properties,
    remove=account.remove_hub,
)


def operations(hub: Hub) -> list[Operation]:
    async def stats(_request: Request, names: Names) -> Response:
        KIND.require(hub, names)
        number = hub.store.devices.numbers()
        enabled, disabled = number.get("enabled", 0), number.get("disabled", 0)
        answer = {
            "enabledDeviceCount": enabled,
            "disabledDeviceCount": disabled,
            "totalDeviceCount": enabled + disabled,
        }
        return JSONResponse(answer)

    return [
        *standing.operations(hub, KIND, _Making(hub).put),
        Operation("GET", f"{KIND.path}/IotHubStats", stats),
    ]


class _Making:
    """Stored before it is answered."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._kept = hub.store.resources

    async def put(self, request: Request, names: Names) -> Response:
        body = await resources.body_of(request)
        name = names["resource"]
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
        return resources.at_work(request, self._hub, kept, KIND.json(self._hub, kept))

    def _require_one_free(self, name: str, sku: Mapping[str, Any]) -> None:
        """One free hub a subscription. The error: https://github.com/MicrosoftLearning/DP-900T00A-Azure-Data-Fundamentals/issues/6"""
        played = self._kept.get("hub", self._hub.role.hub)
        if sku["name"] == "F1" and played and played.sku["name"] == "F1" and name.casefold() != played.name.casefold():
            raise provider_error(
                400_019,
                "Max number of Iot Hubs exceeded for sku = Free, Max Allowed = 1, Current = 1 in the subscription Id: "
                f"{self._hub.role.subscription_id}.",
            )
