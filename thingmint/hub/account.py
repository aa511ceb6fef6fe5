"""What a subscription holds, as values: read off the models of Microsoft's management SDKs."""

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Subscription:
    id: str
    name: str
    state: str


@dataclass(frozen=True)
class Group:
    name: str
    location: str


class Resource(Protocol):
    """What Azure takes minutes for: a hub, or a provisioning service."""

    @property
    def name(self) -> str: ...
    @property
    def location(self) -> str: ...
    @property
    def provisioning(self) -> str: ...


@dataclass(frozen=True)
class HubResource:
    name: str
    location: str
    sku: str
    state: str  # Active, Activating, …
    provisioning: str  # Succeeded, Failed, or what Azure is at
    host: str


@dataclass(frozen=True)
class ServiceResource:
    name: str
    location: str
    sku: str
    state: str
    provisioning: str
    id_scope: str
    host: str  # where enrollments are made
    devices_host: str  # where devices register
    hubs: tuple[str, ...]  # the host names of the linked ones

    def is_linked(self, host: str) -> bool:
        return host.casefold() in {one.casefold() for one in self.hubs}


def group_of(found: Any) -> Group:
    return Group(str(found.name), str(found.location))


def hub_of(found: Any) -> HubResource:
    properties = found.properties
    return HubResource(
        name=str(found.name),
        location=str(found.location),
        sku=_plain(found.sku.name),
        state=_plain(properties.state),
        provisioning=_plain(properties.provisioning_state),
        host=str(properties.host_name or ""),
    )


def service_of(found: Any) -> ServiceResource:
    properties = found.properties
    return ServiceResource(
        name=str(found.name),
        location=str(found.location),
        sku=_plain(found.sku.name),
        state=_plain(properties.state),
        provisioning=_plain(properties.provisioning_state),
        id_scope=str(properties.id_scope or ""),
        host=str(properties.service_operations_host_name or ""),
        devices_host=str(properties.device_provisioning_host_name or ""),
        hubs=tuple(str(one.name) for one in properties.iot_hubs or ()),
    )


def _plain(word: Any) -> str:
    """The SDKs' models hold a word as text, or as an enumeration's member that knows it."""
    return str(getattr(word, "value", word) or "")
