"""The provisioning service as a resource: made, changed, and linked to hubs."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from thingmint.lab.cloud import account
from thingmint.lab.cloud.arm import resources, standing
from thingmint.lab.cloud.arm.gate import Names, Operation
from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.records import Resource
from thingmint.lab.cloud.wire import new_etag, now, provider_error
from thingmint.target import PROVISIONING_DEVICES

_POLICIES = ("Hashed", "GeoLatency", "Static")


def _properties(hub: Hub, kept: Resource) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "iotHubs": kept.properties.get("iotHubs", []),
        "allocationPolicy": kept.properties.get("allocationPolicy", "Hashed"),
        "idScope": None,
    }
    if kept.state(now()) != "Activating":
        properties |= {
            "serviceOperationsHostName": hub.role.provisioning_host,
            "deviceProvisioningHostName": PROVISIONING_DEVICES,
            "idScope": hub.role.id_scope,
        }
    return properties


KIND = standing.Kind(
    kind="service",
    segment="provisioningServices",
    keys_segment="keys",
    name_check="checkProvisioningServiceNameAvailability",
    own_name=lambda hub: hub.role.provisioning_service,
    policies=lambda hub: hub.secrets.provisioning_keys,
    rights={"provisioningserviceowner": "ServiceConfig, DeviceConnect, EnrollmentWrite"},
    properties=_properties,
    remove=account.remove_service,
)


def operations(hub: Hub) -> list[Operation]:
    return standing.operations(hub, KIND, _Making(hub).put)


class _Making:
    """Stored before it is answered."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._kept = hub.store.resources

    async def put(self, request: Request, names: Names) -> Response:
        body = await resources.body_of(request)
        name = names["resource"]
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
        return resources.at_work(request, self._hub, kept, KIND.json(self._hub, kept))

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
