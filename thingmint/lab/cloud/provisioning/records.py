"""What the provisioning service keeps: enrollments, and what became of each device that registered."""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Literal

from thingmint.lab.cloud.records import Status

Kind = Literal["group", "individual"]
Proof = Literal["caReferences", "signingCertificates", "clientCertificates"]
Outcome = Literal["assigned", "failed", "disabled"]


@dataclass(frozen=True)
class Attestation:
    """How a device proves itself, by X.509: names of CA certificates, or certificates in base64 of their DER."""

    proof: Proof
    primary: str
    secondary: str | None = None

    @property
    def values(self) -> tuple[str, ...]:
        return (self.primary, self.secondary) if self.secondary else (self.primary,)


@dataclass(frozen=True)
class Enrollment:
    """Who may register: one device, or all whose certificate a CA stands above. Ids ignore case."""

    kind: Kind
    enrollment_id: str  # a group's own, or the registration id of the one device
    etag: str
    created: dt.datetime
    updated: dt.datetime
    attestation: Attestation
    status: Status
    device_id: str | None  # of an individual enrollment that names its device otherwise
    allocation_policy: str | None  # None: the service's own
    hubs: tuple[str, ...]  # none: any that is linked
    update_assignment: bool
    migrate_data: bool
    iot_edge: bool
    initial_twin: dict[str, Any] | None
    information: dict[str, Any] | None  # optionalDeviceInformation

    def __str__(self) -> str:
        return f"{'enrollment group' if self.kind == 'group' else 'individual enrollment'} {self.enrollment_id!r}"


@dataclass(frozen=True)
class Registration:
    """The last registration of a device."""

    registration_id: str
    group: str | None  # None: by an individual enrollment
    operation_id: str
    etag: str
    created: dt.datetime
    updated: dt.datetime
    status: Outcome
    substatus: str | None = None
    device_id: str | None = None
    assigned_hub: str | None = None
    error_code: int | None = None
    error_message: str | None = None
