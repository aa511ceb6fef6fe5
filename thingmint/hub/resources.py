"""Resource group, hub, provisioning service and their link, through Microsoft's management SDKs."""

import functools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from thingmint.errors import HubError
from thingmint.hub.account import (
    Group,
    HubResource,
    Resource,
    ServiceResource,
    Subscription,
    group_of,
    hub_of,
    service_of,
)
from thingmint.hub.credentials import quiet_sdk_loggers
from thingmint.hub.obstacles import name_taken
from thingmint.hub.refusals import refusals
from thingmint.hub.transport import client_options, patiently, seen
from thingmint.target import Target

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

_T = TypeVar("_T")
_R = TypeVar("_R", bound=Resource)
_TURN_SECONDS = 0.5  # between two looks at an operation that the SDK follows
_ASK_SECONDS = 5.0  # between two questions to the service, where it does not name a time itself
_LINK_POLICY = "iothubowner"  # what `az iot dps linked-hub create` takes
_SUBSCRIPTIONS = "2022-12-01"
# Nothing follows these by itself.
_ENDS = {
    "failed": "failed",
    "canceled": "was cancelled",
    "cancelled": "was cancelled",
    "deleting": "deletion",
    "deleted": "deletion",
}

Tick = Callable[[], None]
"""Called again and again while Azure is at work."""


class Resources:
    """The configured names in one subscription. Every method raises HubError, nothing else, where it is refused.

    Whatever is made goes on in Azure when the caller is cut off: the next run finds it, and waits for it.
    """

    def __init__(self, target: Target, credential: "TokenCredential") -> None:
        quiet_sdk_loggers()
        self._target = target
        self._credential = credential
        self._group = target.resource_group

    def subscription(self) -> Subscription:
        from azure.core.rest import HttpRequest

        def ask() -> Subscription:
            address = f"/subscriptions/{self._target.subscription_id}"
            response = self._groups.send_request(HttpRequest("GET", address, params={"api-version": _SUBSCRIPTIONS}))
            response.raise_for_status()
            found = response.json()
            return Subscription(str(found["subscriptionId"]), str(found["displayName"]), str(found["state"]))

        return self._ask("reading the subscription", ask)

    def group(self) -> Group | None:
        return self._find(
            f"reading the resource group {self._group}",
            lambda: group_of(self._groups.resource_groups.get(self._group)),
        )

    def hub(self) -> HubResource | None:
        name = self._target.hub
        return self._find(f"reading the hub {name}", lambda: hub_of(self._hubs.iot_hub_resource.get(self._group, name)))

    def service(self) -> ServiceResource | None:
        name = self._target.provisioning_service
        return self._find(
            f"reading the provisioning service {name}",
            lambda: service_of(self._services.iot_dps_resource.get(name, self._group)),
        )

    def device_count(self) -> int:
        stats = self._ask(
            "counting devices", lambda: self._hubs.iot_hub_resource.get_stats(self._group, self._target.hub)
        )
        return int(stats.total_device_count or 0)

    def free_hub(self) -> str | None:
        """The subscription's free hub: it may have one."""
        found = self._ask(
            "listing the subscription's hubs", lambda: list(self._hubs.iot_hub_resource.list_by_subscription())
        )
        return next((str(one.name) for one in found if one.sku and one.sku.name == "F1"), None)

    def require_free_names(self, *, hub: bool, service: bool) -> None:
        """Of what is to be made: names are unique in all of Azure. Raises HubError."""
        if hub:
            self._require_free(self._target.hub, self._hubs.iot_hub_resource.check_name_availability)
        if service:
            check = self._services.iot_dps_resource.check_provisioning_service_name_availability
            self._require_free(self._target.provisioning_service, check)

    # What exists already is refused with 412 by each of these, and is left as it is. For the hub the service does so;
    # of the others the request makes a new one or replaces what is there, and knows no condition: they look last.
    # https://learn.microsoft.com/rest/api/resources/resource-groups/create-or-update
    # https://learn.microsoft.com/rest/api/iot-dps/iot-dps-resource/create-or-update

    def make_group(self, location: str, tags: dict[str, str]) -> None:
        doing = f"making the resource group {self._group}"
        _require_absent(doing, self.group())
        body = {"location": location, "tags": tags}
        self._ask(doing, lambda: self._groups.resource_groups.create_or_update(self._group, body))

    def make_hub(self, location: str, sku: str, tags: dict[str, str], tick: Tick) -> None:
        body: dict[str, Any] = {"location": location, "sku": {"name": sku, "capacity": 1}, "tags": tags}
        if sku == "F1":
            # The usual four partitions are two more than a free hub may have:
            # https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-quotas-throttling
            body["properties"] = {"eventHubEndpoints": {"events": {"retentionTimeInDays": 1, "partitionCount": 2}}}
        hubs, name = self._hubs.iot_hub_resource, self._target.hub
        self._follow(
            f"making the hub {name}",
            lambda: hubs.begin_create_or_update(self._group, name, body, polling_interval=_ASK_SECONDS),
            tick,
        )

    def make_service(self, location: str, tags: dict[str, str], tick: Tick) -> None:
        """Linked to the hub, which is there."""
        doing = f"making the provisioning service {self._target.provisioning_service}"
        links = {"iotHubs": [self._link()]}
        body = {"location": location, "sku": {"name": "S1", "capacity": 1}, "tags": tags, "properties": links}
        _require_absent(doing, self.service())
        self._put_service(doing, body, tick)

    def add_link(self, tick: Tick) -> None:
        """Beside the links that are there: their keys are masked when read, and taken back so."""
        self._change_links("linking the hub to", lambda links: [*links, self._link()], tick)

    def remove_link(self, tick: Tick) -> None:
        """The hub's own: the others stay."""
        own = self._target.hub_host.casefold()
        self._change_links(
            "unlinking the hub from", lambda links: [one for one in links if str(one.name).casefold() != own], tick
        )

    def settle_hub(self, tick: Tick, *, ours: bool = False) -> HubResource:
        """Wait until Azure is done with it: another run may have begun it. `ours`: this one did, so nobody uses it yet."""
        return self._settle(self.hub, tick, ours=ours)

    def settle_service(self, tick: Tick, *, ours: bool = False) -> ServiceResource:
        return self._settle(self.service, tick, ours=ours)

    def close(self) -> None:
        for name in ("_groups", "_hubs", "_services"):
            if client := self.__dict__.get(name):
                client.close()

    # --- the clients, each at its first use ----------------------------------------------------------------------

    @functools.cached_property
    def _groups(self) -> Any:
        from azure.mgmt.resource.resources import ResourceManagementClient

        return self._open(ResourceManagementClient)

    @functools.cached_property
    def _hubs(self) -> Any:
        from azure.mgmt.iothub import IotHubClient

        return self._open(IotHubClient)

    @functools.cached_property
    def _services(self) -> Any:
        from azure.mgmt.iothubprovisioningservices import IotDpsClient

        return self._open(IotDpsClient)

    def _open(self, kind: Callable[..., _T]) -> _T:
        from thingmint.hub.credentials import MANAGEMENT_SCOPE

        target = self._target
        with refusals(target, "preparing the subscription's clients"):
            return kind(
                self._credential,
                target.subscription_id,
                base_url=target.arm_url,
                credential_scopes=[MANAGEMENT_SCOPE],
                **client_options(target),
            )

    # --- helpers -----------------------------------------------------------------------------------------------

    def _ask(self, doing: str, step: Callable[[], _T]) -> _T:
        return patiently(self._target, doing, step, service="management")

    def _find(self, doing: str, step: Callable[[], _T]) -> _T | None:
        """None where it, or the resource group, is not there; a subscription that is not there is a HubError."""
        try:
            return self._ask(doing, step)
        except HubError as refusal:
            if refusal.status == 404 and refusal.code in {"ResourceNotFound", "ResourceGroupNotFound"}:
                return None
            raise

    def _require_free(self, name: str, check: Callable[[dict[str, str]], Any]) -> None:
        answer = self._ask(f"asking whether the name {name} is free", lambda: check({"name": name}))
        if not answer.name_available:
            obstacle = name_taken(name)
            raise HubError(
                f"nothing was made: {obstacle.why}",
                detail=str(answer.message or ""),
                things_to_try=obstacle.things_to_try,
            )

    def _link(self) -> dict[str, str]:
        """With the hub's key in it: never shown, and never kept."""
        hub = self._target.hub
        found = self._ask(
            "reading the hub's key",
            lambda: self._hubs.iot_hub_resource.get_keys_for_key_name(self._group, hub, _LINK_POLICY),
        )
        location = self._ask("reading the hub", lambda: self._hubs.iot_hub_resource.get(self._group, hub)).location
        parts = (
            f"HostName={self._target.hub_host};SharedAccessKeyName={_LINK_POLICY};SharedAccessKey={found.primary_key}"
        )
        return {"connectionString": parts, "location": str(location)}

    def _change_links(self, verb: str, change: Callable[[list[Any]], list[Any]], tick: Tick) -> None:
        name = self._target.provisioning_service
        doing = f"{verb} {name}"
        kept = self._ask(doing, lambda: self._services.iot_dps_resource.get(name, self._group))
        kept.properties.iot_hubs = change(list(kept.properties.iot_hubs or []))
        self._put_service(doing, kept, tick)  # with its etag: refused if somebody changed it meanwhile

    def _put_service(self, doing: str, body: Any, tick: Tick) -> None:
        services, name = self._services.iot_dps_resource, self._target.provisioning_service
        self._follow(
            doing,
            lambda: services.begin_create_or_update(self._group, name, body, polling_interval=_ASK_SECONDS),
            tick,
        )

    def _follow(self, doing: str, begin: Callable[[], Any], tick: Tick) -> None:
        """Begin it, and wait for its end."""
        poller = self._ask(doing, begin)
        with refusals(self._target, doing):  # each look at it may raise what its thread met with
            while not poller.done():
                tick()
                poller.wait(_TURN_SECONDS)
            poller.result()

    def _settle(self, read: Callable[[], _R | None], tick: Tick, *, ours: bool) -> _R:
        asked = time.monotonic()
        while True:
            found = seen(read)
            if found is None:
                raise HubError("what was being made is gone.", things_to_try=["run the same command again"])
            if found.provisioning == "Succeeded":
                return found
            if end := _ENDS.get(found.provisioning.casefold()):
                raise _ended(found, end, ours=ours)
            asked += _TURN_SECONDS if self._target.local else _ASK_SECONDS
            while time.monotonic() < asked:
                tick()
                time.sleep(_TURN_SECONDS)


def _require_absent(doing: str, found: object | None) -> None:
    if found is not None:
        raise HubError(
            f"{doing} failed: somebody else made it meanwhile.",
            things_to_try=["run the same command again: it takes what is there"],
            status=412,
        )


def _ended(found: Resource, end: str, *, ours: bool) -> HubError:
    """To delete it is advice for what was made just now: all else may hold devices, and works on after a failed change."""
    name = f"{found.name} ({found.location})"
    again, status = "then run the same command again", "https://azure.status.microsoft"
    if end == "deletion":
        return HubError(f"{name} is being deleted.", things_to_try=[f"wait until it is gone, {again}"])
    if ours:
        things = [f"delete it in the portal, {again}", status]
        return HubError(f"the making of {name} {end}: there is no more than its name.", things_to_try=things)
    things = ["see what and why: its activity log in the portal", f"repeat that change or undo it, {again}", status]
    return HubError(f"the last change of {name} {end}; what it holds is kept.", things_to_try=things)
