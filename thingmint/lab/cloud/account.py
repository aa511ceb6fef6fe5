"""What the lab's account holds at its first start, and what goes with a resource that is deleted."""

from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.records import Resource
from thingmint.lab.cloud.wire import new_etag, now

_LOCATION = "australiaeast"


def open_account(hub: Hub, *, empty: bool) -> None:
    """At the first start under these names: everything stands already, unless the account is to be empty.

    At later starts what was deleted stays so.
    """
    role, resources = hub.role, hub.store.resources
    names = f"{role.subscription_id}/{role.resource_group}/{role.hub}/{role.provisioning_service}".casefold()
    if resources.is_opened(names):
        return
    moment = now()
    with hub.store.transaction():
        resources.open(names)
        if empty:
            hub.journal.write("the account is empty: there is no resource group, hub or provisioning service")
            return
        group = role.resource_group
        if resources.get("group", group) is None:
            resources.put(Resource("group", group, group, _LOCATION, new_etag(), moment, moment))
        sku = {"name": "F1", "tier": "Free", "capacity": 1}
        resources.put(Resource("hub", role.hub, group, _LOCATION, new_etag(), moment, moment, sku=sku))
        sku = {"name": "S1", "tier": "Standard", "capacity": 1}
        links = {"iotHubs": [link(role.hub_host, "iothubowner", _LOCATION)]}
        name = role.provisioning_service
        service = Resource("service", name, group, _LOCATION, new_etag(), moment, moment, sku=sku, properties=links)
        resources.put(service)


def link(host: str, policy: str, location: str) -> dict[str, object]:
    """A hub as its provisioning service shows it: the key was checked, and is neither kept nor told again."""
    return {
        "name": host,
        "connectionString": f"HostName={host};SharedAccessKeyName={policy};SharedAccessKey=****",
        "location": location,
    }


def remove_hub(hub: Hub) -> None:
    """With its certificates, its devices and what they sent."""
    store = hub.store
    with store.transaction():
        store.resources.delete("hub", hub.role.hub)
        store.hub_certificates.clear()
        store.devices.clear()
        store.messages.clear()
    hub.journal.write(f"hub {hub.role.hub!r} deleted, with its certificates and devices")
    hub.changed()


def remove_service(hub: Hub) -> None:
    """With its certificates and enrollments."""
    store, name = hub.store, hub.role.provisioning_service
    with store.transaction():
        store.resources.delete("service", name)
        store.provisioning_certificates.clear()
        for kept in (store.groups, store.individuals, store.registrations):
            kept.clear()
    hub.journal.write(f"provisioning service {name!r} deleted, with its certificates and enrollments")
    hub.changed()


def remove_group(hub: Hub, group: Resource) -> None:
    """With everything in it."""
    resources, role = hub.store.resources, hub.role
    the_hub, service = resources.get("hub", role.hub), resources.get("service", role.provisioning_service)
    if the_hub and the_hub.group.casefold() == group.name.casefold():
        remove_hub(hub)
    if service and service.group.casefold() == group.name.casefold():
        remove_service(hub)
    resources.delete("group", group.name)
    hub.journal.write(f"resource group {group.name!r} deleted, with everything in it")
