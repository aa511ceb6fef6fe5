"""Who may come in through the provisioning service, and who did: its service API (api-version 2021-10-01).

No maintained SDK speaks it, so azure-core carries the requests.
https://learn.microsoft.com/rest/api/iot-dps/service/enrollment-group
"""

import base64
import datetime as dt
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from thingmint.errors import HubError
from thingmint.hub.credentials import PROVISIONING_SCOPE, quiet_sdk_loggers
from thingmint.hub.identity import utc
from thingmint.hub.transport import anew, open_transport, patiently
from thingmint.target import Target

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.core.rest import HttpResponse

API_VERSION = "2021-10-01"
_PAGE_SIZE = 100
_REPROVISION = {"updateHubAssignment": True, "migrateDeviceData": True}
_T = TypeVar("_T")


@dataclass(frozen=True)
class EnrollmentGroup:
    """Devices that come in by one authority. `certificate` is its name in the provisioning service."""

    group_id: str
    status: str  # enabled or disabled
    attestation: str  # x509 or symmetricKey
    certificate: str  # empty where the group does not go by an uploaded CA
    hubs: tuple[str, ...]  # host names; none: any that is linked
    etag: str


@dataclass(frozen=True)
class IndividualEnrollment:
    """One device's own enrollment, which counts before any group. Disabled, it keeps the device out."""

    registration_id: str
    status: str  # enabled or disabled
    attestation: str
    etag: str


@dataclass(frozen=True)
class RegistrationState:
    """A device that came in, or tried to. Times are UTC."""

    registration_id: str
    status: str  # unassigned, assigning, assigned, failed or disabled
    hub: str
    device_id: str
    group_id: str
    error: str  # the service's own words for why it failed
    updated: dt.datetime | None


class Enrollments:
    """One provisioning service's. Every method raises HubError, nothing else, when it refuses or cannot be reached."""

    def __init__(self, target: Target, credential: "TokenCredential") -> None:
        quiet_sdk_loggers()
        self._target = target
        self._credential = credential
        self._opened = False

    @functools.cached_property
    def _client(self) -> Any:
        """At first use: most verbs never ask."""
        from azure.core import PipelineClient
        from azure.core.pipeline.policies import BearerTokenCredentialPolicy, UserAgentPolicy

        policies: list[Any] = [
            UserAgentPolicy(base_user_agent="thingmint"),
            BearerTokenCredentialPolicy(self._credential, PROVISIONING_SCOPE),
        ]
        client: PipelineClient[Any, Any] = PipelineClient(
            f"https://{self._target.provisioning_host}", policies=policies, transport=open_transport(self._target)
        )
        self._opened = True
        return client

    # --- groups ------------------------------------------------------------------------------------------------

    def groups(self) -> tuple[EnrollmentGroup, ...]:
        found = self._query(
            "listing the enrollment groups", "/enrollmentGroups/query", "SELECT * FROM enrollmentGroups"
        )
        return tuple(sorted((_group(one) for one in found), key=lambda one: one.group_id))

    def group(self, group_id: str) -> EnrollmentGroup | None:
        found = self._get(f"reading the enrollment group {group_id}", _path("enrollmentGroups", group_id))
        return _group(found) if found else None

    def put_group(
        self, group_id: str, *, certificate: str, hub: str, judged: EnrollmentGroup | None
    ) -> EnrollmentGroup:
        """A group whose devices are those of `certificate`, all for `hub`. One that exists keeps what else it says.

        `judged` is what the caller found there and means to roll; None: nothing, and a new one is meant. Anything else
        that stands there by now is refused, with 404, 409 or 412, and is left as it is.
        """
        doing, path = f"writing the enrollment group {group_id}", _path("enrollmentGroups", group_id)
        before = self._get(doing, path) if judged else None
        body = {
            "provisioningStatus": "enabled",
            "reprovisionPolicy": _REPROVISION,
            **(before or {}),
            "enrollmentGroupId": before["enrollmentGroupId"] if before else group_id,
            "attestation": {"type": "x509", "x509": {"caReferences": {"primary": certificate}}},
            "allocationPolicy": "static",
            "iotHubs": [hub],
        }
        # Not the etag that was just read: nobody has looked at what is new in it.
        return _group(self._write(doing, path, {**body, "etag": judged.etag} if judged else body))

    def delete_group(self, group_id: str, *, etag: str) -> None:
        self._delete(f"deleting the enrollment group {group_id}", _path("enrollmentGroups", group_id), etag)

    # --- single devices ----------------------------------------------------------------------------------------

    def individuals(self) -> tuple[IndividualEnrollment, ...]:
        found = self._query("listing the individual enrollments", "/enrollments/query", "SELECT * FROM enrollments")
        return tuple(sorted((_individual(one) for one in found), key=lambda one: one.registration_id))

    def individual(self, registration_id: str) -> IndividualEnrollment | None:
        found = self._get(f"reading the enrollment of {registration_id}", _path("enrollments", registration_id))
        return _individual(found) if found else None

    def block(self, registration_id: str, pem: bytes) -> IndividualEnrollment:
        """Keep one device out, whatever group would let it in: a disabled enrollment with its certificate.

        https://learn.microsoft.com/azure/iot-dps/how-to-unprovision-devices
        """
        doing, path = f"blocking {registration_id}", _path("enrollments", registration_id)
        new = {
            "registrationId": registration_id,
            "attestation": {
                "type": "x509",
                "x509": {"clientCertificates": {"primary": {"certificate": _base64_der(pem)}}},
            },
        }
        wanted = lambda before: {**(before or new), "provisioningStatus": "disabled"}  # noqa: E731
        return _individual(self._put(doing, path, wanted))

    def delete_individual(self, registration_id: str, *, etag: str) -> None:
        self._delete(f"deleting the enrollment of {registration_id}", _path("enrollments", registration_id), etag)

    # --- who came in -------------------------------------------------------------------------------------------

    def registrations(self, group_id: str) -> tuple[RegistrationState, ...]:
        path = f"{_path('registrations', group_id)}/query"
        found = self._query(f"listing the devices of {group_id}", path, "SELECT * FROM registrations")
        return tuple(sorted((_registration(one, group_id) for one in found), key=lambda one: one.registration_id))

    def registration(self, registration_id: str) -> RegistrationState | None:
        found = self._get(f"reading the registration of {registration_id}", _path("registrations", registration_id))
        return _registration(found) if found else None

    def close(self) -> None:
        if self._opened:
            self._client.close()

    # --- requests ----------------------------------------------------------------------------------------------

    def _get(self, doing: str, path: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self._ask(doing, lambda: self._send("GET", path).json())
        except HubError as refusal:
            if refusal.status == 404:
                return None
            raise
        return found

    def _put(
        self, doing: str, path: str, wanted: Callable[[dict[str, Any] | None], Mapping[str, Any]]
    ) -> dict[str, Any]:
        """`wanted` makes the body of what is there. Read again where that changed meanwhile, or our own answer was lost."""

        def turn() -> dict[str, Any]:
            return self._write(doing, path, wanted(self._get(doing, path)))

        return anew(turn)

    def _write(self, doing: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        # What was read stands in the body; the etag says that nobody changed it since.
        headers = {"If-Match": str(body["etag"])} if body.get("etag") else {}
        made: dict[str, Any] = self._ask(doing, lambda: self._send("PUT", path, body, headers=headers).json())
        return made

    def _delete(self, doing: str, path: str, etag: str) -> None:
        """One that is gone already is no error."""
        try:
            self._ask(doing, lambda: self._send("DELETE", path, headers={"If-Match": etag}))
        except HubError as refusal:
            if refusal.status != 404:
                raise

    def _query(self, doing: str, path: str, query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        continuation = ""
        while True:
            headers = {"x-ms-max-item-count": str(_PAGE_SIZE)}
            if continuation:
                headers["x-ms-continuation"] = continuation
            send = functools.partial(self._send, "POST", path, {"query": query}, headers=headers)
            answer = self._ask(doing, send)
            found += answer.json()
            continuation = answer.headers.get("x-ms-continuation") or ""
            if not continuation:
                return found

    def _send(
        self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None
    ) -> "HttpResponse":
        from azure.core.rest import HttpRequest

        url = f"https://{self._target.provisioning_host}{path}?api-version={API_VERSION}"
        request = HttpRequest(method, url, headers={"Accept": "application/json", **(headers or {})}, json=body)
        answer: HttpResponse = self._client.send_request(request)
        answer.raise_for_status()
        return answer

    def _ask(self, doing: str, step: Callable[[], _T]) -> _T:
        return patiently(self._target, doing, step, service="provisioning")


def _path(kind: str, name: str) -> str:
    return f"/{kind}/{quote(name, safe='')}"


def _base64_der(pem: bytes) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509 import load_pem_x509_certificate

    return base64.b64encode(load_pem_x509_certificate(pem).public_bytes(Encoding.DER)).decode()


def _group(found: Mapping[str, Any]) -> EnrollmentGroup:
    attestation = found.get("attestation") or {}
    references = (attestation.get("x509") or {}).get("caReferences") or {}
    hubs = found.get("iotHubs") or ([found["iotHubHostName"]] if found.get("iotHubHostName") else [])
    return EnrollmentGroup(
        group_id=str(found["enrollmentGroupId"]),
        status=str(found.get("provisioningStatus") or "enabled"),
        attestation=str(attestation.get("type") or ""),
        certificate=str(references.get("primary") or ""),
        hubs=tuple(str(one) for one in hubs),
        etag=str(found.get("etag") or ""),
    )


def _individual(found: Mapping[str, Any]) -> IndividualEnrollment:
    return IndividualEnrollment(
        registration_id=str(found["registrationId"]),
        status=str(found.get("provisioningStatus") or "enabled"),
        attestation=str((found.get("attestation") or {}).get("type") or ""),
        etag=str(found.get("etag") or ""),
    )


def _registration(found: Mapping[str, Any], group_id: str = "") -> RegistrationState:
    code, words = found.get("errorCode") or "", str(found.get("errorMessage") or "")
    return RegistrationState(
        registration_id=str(found["registrationId"]),
        status=str(found.get("status") or ""),
        hub=str(found.get("assignedHub") or ""),
        device_id=str(found.get("deviceId") or ""),
        group_id=str(found.get("enrollmentGroupId") or group_id),
        error=f"{code} {words}".strip(),
        updated=utc(found.get("lastUpdatedDateTimeUtc")),
    )
