"""Enrollments as JSON: what the provisioning service accepts, and how it shows them."""

import base64
import re
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from thingmint.lab.cloud import chain
from thingmint.lab.cloud.chain import CertificateProblem
from thingmint.lab.cloud.provisioning.answers import BAD_FORMAT, new_etag, refusal, registration_json
from thingmint.lab.cloud.provisioning.records import Attestation, Enrollment, Kind, Proof, Registration
from thingmint.lab.cloud.records import Status, Twin
from thingmint.lab.cloud.registry.identities import valid_id as valid_device_id
from thingmint.lab.cloud.store.certificates import Certificates
from thingmint.lab.cloud.twin import changed, written
from thingmint.lab.cloud.wire import Refusal, moment, now
from thingmint.twinform import TwinProblem

# https://learn.microsoft.com/azure/iot-dps/concepts-service#registration-id; group ids follow the same rule
_ID = re.compile(r"[A-Za-z0-9._:-]{0,127}[A-Za-z0-9-]", re.ASCII)
_PROOFS: dict[Kind, tuple[Proof, ...]] = {
    "group": ("caReferences", "signingCertificates"),
    "individual": ("clientCertificates", "caReferences"),
}
_NAME = {"group": "enrollmentGroupId", "individual": "registrationId"}


class NotDone(Exception):  # noqa: N818
    """What the service does and the lab does not."""


def valid_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def parse(
    kind: Kind,
    enrollment_id: str,
    body: dict[str, Any],
    *,
    existing: Enrollment | None,
    certificates: Certificates,
    linked: tuple[str, ...],
) -> Enrollment:
    """The enrollment that a PUT describes. Raises Refusal, or NotDone."""
    named = body.get(_NAME[kind], enrollment_id)
    if not isinstance(named, str) or named.casefold() != enrollment_id.casefold():
        raise _bad(f"{_NAME[kind]} of the body differs from the id of the URL.")
    status: Status = body.get("provisioningStatus") or "enabled"
    if status not in ("enabled", "disabled"):
        raise _bad("provisioningStatus is neither enabled nor disabled.")
    policy = body.get("allocationPolicy")
    if policy not in (None, "hashed", "static", "geoLatency", "custom"):
        raise _bad("allocationPolicy is none of hashed, geoLatency, static and custom.")
    if policy == "custom":
        raise NotDone("allocation by a webhook")
    device_id = body.get("deviceId") if kind == "individual" else None
    if device_id is not None and not (isinstance(device_id, str) and valid_device_id(device_id)):
        raise _bad("deviceId is no valid device id.")
    reprovision = _object(body, "reprovisionPolicy") or {}
    at = now()
    return Enrollment(
        kind=kind,
        enrollment_id=existing.enrollment_id if existing else enrollment_id,
        etag=new_etag(),
        created=existing.created if existing else at,
        updated=at,
        attestation=_attestation(kind, body, existing, certificates),
        status=status,
        device_id=device_id or None,
        allocation_policy=policy,
        hubs=_hubs(body, linked),
        update_assignment=_flag(reprovision, "updateHubAssignment", default=True),
        migrate_data=_flag(reprovision, "migrateDeviceData", default=True),
        iot_edge=_flag(_object(body, "capabilities") or {}, "iotEdge", default=False),
        initial_twin=_twin(body),
        information=_object(body, "optionalDeviceInformation"),
    )


def enrollment_json(enrollment: Enrollment, registration: Registration | None) -> dict[str, Any]:
    """As GET, PUT and a query show it; `registration` is that of an individual enrollment's device."""
    values: dict[str, Any] = {
        _NAME[enrollment.kind]: enrollment.enrollment_id,
        "deviceId": enrollment.device_id,
        "registrationState": registration_json(registration) if registration else None,
        "optionalDeviceInformation": enrollment.information,
        "attestation": {"type": "x509", "x509": {enrollment.attestation.proof: _proof_json(enrollment.attestation)}},
        "capabilities": {"iotEdge": enrollment.iot_edge},
        "initialTwin": enrollment.initial_twin,
        "etag": enrollment.etag,
        "provisioningStatus": enrollment.status,
        "reprovisionPolicy": {
            "updateHubAssignment": enrollment.update_assignment,
            "migrateDeviceData": enrollment.migrate_data,
        },
        "createdDateTimeUtc": moment(enrollment.created),
        "lastUpdatedDateTimeUtc": moment(enrollment.updated),
        "allocationPolicy": enrollment.allocation_policy,
        "iotHubs": list(enrollment.hubs) or None,
    }
    return {name: value for name, value in values.items() if value is not None}


def _attestation(
    kind: Kind, body: dict[str, Any], existing: Enrollment | None, certificates: Certificates
) -> Attestation:
    attestation = _object(body, "attestation") or {}
    type_ = attestation.get("type")
    if type_ in ("symmetricKey", "tpm"):
        raise NotDone(f"attestation of type {type_}")
    given = _object(attestation, "x509") or {}
    named = [proof for proof in ("caReferences", "signingCertificates", "clientCertificates") if given.get(proof)]
    if type_ != "x509" or len(named) != 1:
        raise _bad("attestation needs the type x509 and one of caReferences, signingCertificates, clientCertificates.")
    proof = next((one for one in _PROOFS[kind] if one == named[0]), None)
    if proof is None:
        raise _bad(f"attestation by {named[0]} is not for an enrollment of this kind.")
    pair = _object(given, proof) or {}
    kept = existing.attestation if existing and existing.attestation.proof == proof else None

    def read(place: str, before: str | None) -> str | None:
        value = pair.get(place)
        if value in (None, ""):
            return None
        return _reference(value, certificates) if proof == "caReferences" else _certificate(value, proof, before)

    primary = read("primary", kept.primary if kept else None)
    if primary is None:
        raise _bad(f"attestation.x509.{proof} has no primary.")
    return Attestation(proof, primary, read("secondary", kept.secondary if kept else None))


def _reference(name: Any, certificates: Certificates) -> str:
    """A verified CA certificate's name as it was uploaded."""
    found = certificates.get(name) if isinstance(name, str) else None
    if found is None:
        raise _bad(f"The CA certificate '{str(name)[:64]}' does not exist.")
    if not found.verified:
        raise _bad(f"The CA certificate '{found.name}' is not verified.")
    return found.name


def _certificate(value: Any, proof: Proof, before: str | None) -> str:
    """The certificate in base64 of its DER. What GET shows has its particulars alone, and stands for the one of before."""
    text = value.get("certificate") if isinstance(value, dict) else None
    if text is None and before is not None:
        return before
    try:
        certificate = chain.parse(text if isinstance(text, str) else "")
        if proof == "signingCertificates":
            chain.require_ca(certificate, now())
    except CertificateProblem as problem:
        raise _bad(f"A certificate of {proof} was not accepted: {problem}.") from None
    return base64.b64encode(chain.der(certificate)).decode()


def _proof_json(attestation: Attestation) -> dict[str, Any]:
    def shown(value: str | None) -> Any:
        if value is None or attestation.proof == "caReferences":
            return value
        return {"info": _particulars(x509.load_der_x509_certificate(base64.b64decode(value)))}

    return {"primary": shown(attestation.primary), "secondary": shown(attestation.secondary)}


def _particulars(certificate: x509.Certificate) -> dict[str, Any]:
    """X509CertificateInfo."""
    return {
        "subjectName": certificate.subject.rfc4514_string(),
        "sha1Thumbprint": chain.thumbprint(certificate),
        "sha256Thumbprint": certificate.fingerprint(hashes.SHA256()).hex().upper(),
        "issuerName": certificate.issuer.rfc4514_string(),
        "notBeforeUtc": moment(certificate.not_valid_before_utc),
        "notAfterUtc": moment(certificate.not_valid_after_utc),
        "serialNumber": f"{certificate.serial_number:X}",
        "version": certificate.version.value + 1,
    }


def _hubs(body: dict[str, Any], linked: tuple[str, ...]) -> tuple[str, ...]:
    """The hosts that the enrollment names, each one that is linked. iotHubHostName is the older way to name one."""
    given = body.get("iotHubs") or ([body["iotHubHostName"]] if body.get("iotHubHostName") else [])
    if not isinstance(given, list) or not all(isinstance(host, str) for host in given):
        raise _bad("iotHubs is no list of host names.")
    strangers = [host for host in given if host.casefold() not in {one.casefold() for one in linked}]
    if strangers:
        raise _bad(f"The IoT hub '{strangers[0][:100]}' is not linked to this provisioning service.")
    return tuple(given)


def _object(body: dict[str, Any], name: str) -> dict[str, Any] | None:
    value = body.get(name)
    if value is not None and not isinstance(value, dict):
        raise _bad(f"{name} is no object.")
    return value


def _twin(body: dict[str, Any]) -> dict[str, Any] | None:
    given = _object(body, "initialTwin")
    if given is not None:
        _object(_object(given, "properties") or {}, "desired")
        try:
            initial_twin("", given)
        except TwinProblem as problem:
            raise _bad(f"initialTwin is not accepted: {problem}.") from None
    return given


def initial_twin(device_id: str, given: dict[str, Any]) -> Twin:
    """A new device's twin, with the enrollment's tags and desired properties. Raises TwinProblem."""
    parts = {"tags": given.get("tags"), "desired": (given.get("properties") or {}).get("desired")}
    tags, desired = (written(part, name) if part is not None else None for name, part in parts.items())
    return changed(Twin(device_id), now(), tags=tags, desired=desired, whole=True)


def _flag(body: dict[str, Any], name: str, *, default: bool) -> bool:
    value = body.get(name, default)
    if not isinstance(value, bool):
        raise _bad(f"{name} is neither true nor false.")
    return value


def _bad(message: str) -> Refusal:
    return refusal(BAD_FORMAT, message)
