"""A registration, from the device's request to its identity at the hub."""

import base64
import hashlib
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.provisioning.answers import NO_REGISTRATION, new_etag, refusal, registration_json
from thingmint.lab.cloud.provisioning.enrollments import initial_twin
from thingmint.lab.cloud.provisioning.judging import enrollment_of
from thingmint.lab.cloud.provisioning.records import Enrollment, Registration
from thingmint.lab.cloud.provisioning.service import linked_hubs
from thingmint.lab.cloud.records import Authentication, Device
from thingmint.lab.cloud.wire import new_etag as new_device_etag
from thingmint.lab.cloud.wire import now

RETRY_AFTER = 1  # seconds until the device asks for the outcome
_NO_HUB = 400_000


def register(hub: Hub, registration_id: str, shown: Sequence[bytes]) -> str:
    """The operation's id: what became of it is kept, for the device to ask. Raises Refusal."""
    enrollment = enrollment_of(hub, registration_id, shown)
    before = hub.store.registrations.get(registration_id)
    at = now()
    blank = Registration(
        registration_id=before.registration_id if before else registration_id,
        group=enrollment.enrollment_id if enrollment.kind == "group" else None,
        operation_id=f"5.{secrets.token_hex(8)}.{uuid.uuid4()}",
        etag=new_etag(),
        created=before.created if before else at,
        updated=at,
        status="disabled",
        device_id=before.device_id if before else None,
        assigned_hub=before.assigned_hub if before else None,
    )
    with hub.store.transaction():
        outcome, told = _outcome(hub, enrollment, blank, shown[0])
        hub.store.registrations.put(outcome)
    who, door = f"registration {registration_id!r} by the {enrollment}", "provisioning service"
    if outcome.status == "assigned":
        hub.journal.write(f"{door}: {who}: {told}")
    else:
        hub.refused(who, told, door=door)
    hub.changed()
    return outcome.operation_id


def operation_json(hub: Hub, registration_id: str, operation_id: str) -> dict[str, Any]:
    """The outcome. Raises Refusal where it is of no registration, or of an older one."""
    found = hub.store.registrations.get(registration_id)
    if found is None or found.operation_id != operation_id:
        reason = f"the last registration of {registration_id!r} has another operation id"
        raise refusal(NO_REGISTRATION, "Operation not found.", reason=reason)
    return {"operationId": operation_id, "status": found.status, "registrationState": state_json(found)}


def state_json(registration: Registration) -> dict[str, Any]:
    """As the device sees it: with the kind of its proof, https://learn.microsoft.com/rest/api/iot-dps/device."""
    return {"x509": {}, **registration_json(registration)}


def _outcome(hub: Hub, enrollment: Enrollment, blank: Registration, leaf: bytes) -> tuple[Registration, str]:
    """What is kept, and what the log says."""
    if enrollment.status == "disabled":
        return blank, "not assigned, since it is disabled"
    known = {host.casefold() for host in enrollment.hubs}
    hosts = [host for host in linked_hubs(hub) if not known or host.casefold() in known]
    # The lab plays one hub: another one may be linked, and is not there to take a device.
    own = next((host for host in hosts if host.casefold() == hub.role.hub_host.casefold()), None)
    if own is None or not hub.stands():
        failed = replace(blank, status="failed", error_code=_NO_HUB, error_message="No linked IoT hub to assign to.")
        return failed, "failed: none of its hubs is linked and there"
    device_id = enrollment.device_id or blank.device_id or blank.registration_id
    assigned = replace(blank, status="assigned", substatus="initialAssignment", device_id=device_id, assigned_hub=own)
    if blank.assigned_hub and not enrollment.update_assignment:
        kept = replace(assigned, device_id=blank.device_id, assigned_hub=blank.assigned_hub)
        return kept, f"stays assigned to {blank.assigned_hub} as {blank.device_id!r}: it is never assigned anew"
    device = hub.store.devices.get(device_id)
    hub.store.devices.put(_identity(device, device_id, enrollment, leaf))
    if device is None and enrollment.initial_twin:
        hub.store.twins.put(initial_twin(device_id, enrollment.initial_twin))
    return assigned, f"assigned to {own}, device {device_id!r} {'updated' if device else 'created'}"


def _identity(existing: Device | None, device_id: str, enrollment: Enrollment, leaf: bytes) -> Device:
    """With the certificate's thumbprint, also where a CA vouched for it: what the hub then looks at is that alone.

    https://github.com/MicrosoftDocs/azure-docs/issues/70976; which ones: https://github.com/Azure/iotedge/issues/2951.
    """
    attestation = enrollment.attestation
    own = attestation.proof == "clientCertificates"
    certificates = [base64.b64decode(value) for value in attestation.values] if own else [leaf]
    primary, secondary = (hashlib.sha256(certificates[at]).hexdigest().upper() for at in (0, -1))
    authentication = Authentication("selfSigned", primary_thumbprint=primary, secondary_thumbprint=secondary)
    device = existing or Device(
        device_id=device_id,
        generation_id=str(secrets.randbelow(10**18)),
        etag="",
        status="enabled",
        status_reason=None,
        status_updated=None,
        authentication=authentication,
        iot_edge=enrollment.iot_edge,
    )
    return replace(device, etag=new_device_etag(), authentication=authentication)
