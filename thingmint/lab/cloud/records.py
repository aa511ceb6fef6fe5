"""What the hub keeps: certificates, device identities, messages. Plain values; store/ saves them."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Any, Literal

AuthenticationType = Literal["certificateAuthority", "selfSigned", "sas"]
Status = Literal["enabled", "disabled"]
NEVER = "0001-01-01T00:00:00Z"  # as the registry writes it


@dataclass(frozen=True)
class CaCertificate:
    """A CA certificate uploaded to a service. Only a verified one is trusted to vouch for devices."""

    name: str
    der: bytes
    created: dt.datetime
    updated: dt.datetime
    etag: str
    verified: bool
    verification_code: str | None = None


@dataclass(frozen=True)
class Authentication:
    type: AuthenticationType
    primary_key: str | None = field(default=None, repr=False)
    secondary_key: str | None = field(default=None, repr=False)
    primary_thumbprint: str | None = None
    secondary_thumbprint: str | None = None

    def has_thumbprint(self, thumbprints: frozenset[str]) -> bool:
        return bool(thumbprints & {t.upper() for t in (self.primary_thumbprint, self.secondary_thumbprint) if t})


@dataclass(frozen=True)
class Device:
    """An identity of the registry. Ids are case-sensitive."""

    device_id: str
    generation_id: str
    etag: str
    status: Status
    status_reason: str | None
    status_updated: dt.datetime | None
    authentication: Authentication
    iot_edge: bool = False
    connected: bool = False
    connection_updated: dt.datetime | None = None
    last_activity: dt.datetime | None = None
    commands: int = 0  # in its queue


@dataclass(frozen=True)
class Section:
    """One half of a twin's properties, desired or reported, with the moment of each value's last change."""

    values: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=lambda: {"$lastUpdated": NEVER})
    version: int = 1


@dataclass(frozen=True)
class Twin:
    """What the hub keeps for a device beside its identity. A device has an empty one from its registration on."""

    device_id: str
    version: int = 2  # counts every change
    changes: int = 1  # counts those of the service: tags and desired properties
    tags: dict[str, Any] = field(default_factory=dict)
    desired: Section = field(default_factory=Section)
    reported: Section = field(default_factory=Section)


@dataclass(frozen=True)
class Message:
    """One message from a device."""

    sequence: int
    device_id: str
    received_at: dt.datetime
    body: bytes
    properties: dict[str, str]


Acknowledgement = Literal["none", "positive", "negative", "full"]


@dataclass(frozen=True)
class Command:
    """A message to a device, in its queue until the device has it, or nobody wants it any more."""

    sequence: int
    device_id: str
    message_id: str
    enqueued: dt.datetime
    expires: dt.datetime
    ack: Acknowledgement  # of which end the sender wants to hear
    body: bytes
    properties: dict[str, str]
    deliveries: int = 0


ResourceKind = Literal["group", "hub", "service"]


@dataclass(frozen=True)
class Resource:
    """What stands in the subscription: a resource group, the hub, or the provisioning service."""

    kind: ResourceKind
    name: str
    group: str  # a group's own name, for a group
    location: str
    etag: str
    created: dt.datetime
    ready: dt.datetime  # until then the service is still at work on it: doing
    doing: Literal["Activating", "Transitioning"] = "Activating"
    tags: dict[str, str] = field(default_factory=dict)
    sku: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict, repr=False)  # a link's holds a key of the hub

    def state(self, at: dt.datetime) -> str:
        return "Active" if at >= self.ready else self.doing

    def answers(self, at: dt.datetime) -> bool:
        """Whether its own endpoint is there: not before it is made, and all through a later change."""
        return self.state(at) != "Activating"
