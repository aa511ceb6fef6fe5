"""The provisioning service as it stands at this moment: whether it is there, and the hubs it is linked to."""

from thingmint.lab.cloud.arm.provisioning import linked_hosts
from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.records import Resource
from thingmint.lab.cloud.wire import now


def absence(hub: Hub) -> str:
    """Why nobody answers under its name; empty where it does."""
    name = hub.role.provisioning_service
    return "" if _standing(hub) else f"there is no provisioning service {name}: it is not made yet, or is deleted"


def linked_hubs(hub: Hub) -> tuple[str, ...]:
    """The hosts of the hubs that devices may be assigned to."""
    kept = _standing(hub)
    return tuple(linked_hosts(kept)) if kept else ()


def _standing(hub: Hub) -> Resource | None:
    kept = hub.store.resources.get("service", hub.role.provisioning_service)
    return kept if kept and kept.answers(now()) else None
