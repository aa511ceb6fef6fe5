"""What the tests of the provisioning service talk to it with: Microsoft's management SDK, and its REST by azure-core."""

import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from azure.core import MatchConditions, PipelineClient
from azure.core.pipeline.policies import BearerTokenCredentialPolicy, ContentDecodePolicy
from azure.core.rest import HttpRequest, HttpResponse
from azure.mgmt.iothubprovisioningservices import IotDpsClient
from azure.mgmt.iothubprovisioningservices.models import CertificateProperties, CertificateResponse

from tests.lab.clients import Lab
from tests.paper import Paper
from thingmint.target import PROVISIONING_DEVICES

Files = tuple[Path, Path]
Answer = tuple[int, dict[str, str], Any]
AUDIENCE = "https://azure-devices-provisioning.net"


def management(lab: Lab) -> IotDpsClient:
    return IotDpsClient(
        lab.credential,
        lab.target.subscription_id,
        base_url=lab.target.arm_url,
        credential_scopes=["https://management.azure.com/.default"],
        connection_verify=str(lab.target.ca_file),
        retry_total=0,
    )


class Service:
    """The lab's provisioning service, with what it holds taken away again."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.management = management(lab)
        self.names = (lab.target.resource_group, lab.target.provisioning_service)
        self._rest: PipelineClient[HttpRequest, HttpResponse] = PipelineClient(
            f"https://{lab.target.provisioning_host}",
            policies=[
                BearerTokenCredentialPolicy(lab.credential, f"{AUDIENCE}/.default"),
                ContentDecodePolicy(),
            ],
            connection_verify=str(lab.target.ca_file),
        )

    @property
    def id_scope(self) -> str:
        group, name = self.names
        return self.management.iot_dps_resource.get(name, group).properties.id_scope or ""

    def ask(self, method: str, path: str, *, body: object = None, headers: Mapping[str, str] = {}) -> HttpResponse:
        content: dict[str, Any] = {} if body is None else {"json": body}
        request = HttpRequest(method, f"/{path}?api-version=2021-10-01", headers=dict(headers), **content)
        request.url = self._rest.format_url(request.url)
        answer: HttpResponse = self._rest.send_request(request)
        return answer

    def done(self, method: str, path: str, *, body: object = None, headers: Mapping[str, str] = {}) -> Any:
        answer = self.ask(method, path, body=body, headers=headers)
        assert answer.status_code in (200, 204), answer.text()
        return answer.json() if answer.status_code == 200 else None

    def upload(self, name: str, ca: Paper, *, verified: bool = True, **options: Any) -> CertificateResponse:
        return self.management.dps_certificate.create_or_update(
            *self.names,
            name,
            CertificateResponse(properties=CertificateProperties(certificate=ca.pem, is_verified=verified)),
            **options,
        )

    def enroll_group(self, group: str, **changes: Any) -> Any:
        return self.done("PUT", f"enrollmentGroups/{group}", body=by_reference(group) | changes)

    def register(self, registration_id: str, files: Files) -> tuple[int, Any]:
        """A device's registration over HTTPS: the outcome, or the refusal."""
        place = f"/{self.id_scope}/registrations/{registration_id}"
        status, _, told = ask_as_device(
            self.lab, files, "PUT", f"{place}/register", {"registrationId": registration_id}
        )
        if status != 202:
            return status, told
        return ask_as_device(self.lab, files, "GET", f"{place}/operations/{told['operationId']}")[::2]

    def empty(self) -> None:
        for path, name in (("enrollmentGroups", "enrollmentGroupId"), ("enrollments", "registrationId")):
            for one in self.done("POST", f"{path}/query", body={"query": "SELECT *"}):
                if path == "enrollmentGroups":
                    self._forget(one[name])
                self.done("DELETE", f"{path}/{one[name]}")
        for certificate in self.management.dps_certificate.list(*self.names).value or []:
            self.delete(certificate.name or "")

    def delete(self, certificate: str) -> None:
        etag = self.management.dps_certificate.get(certificate, *self.names).etag or ""
        self.management.dps_certificate.delete(
            *self.names, certificate, etag=etag, match_condition=MatchConditions.IfNotModified
        )

    def _forget(self, group: str) -> None:
        for state in self.done("POST", f"registrations/{group}/query"):
            self.done("DELETE", f"registrations/{state['registrationId']}")


def by_reference(group: str, ca: str = "subca") -> dict[str, Any]:
    return {
        "enrollmentGroupId": group,
        "attestation": {"type": "x509", "x509": {"caReferences": {"primary": ca}}},
    }


def by_certificate(registration_id: str, certificate: Paper, proof: str = "clientCertificates") -> dict[str, Any]:
    given = {"primary": {"certificate": certificate.pem.decode()}}
    return {"registrationId": registration_id, "attestation": {"type": "x509", "x509": {proof: given}}}


def signature(host: str, key: str, *, lifetime: int = 60, policy: str = "provisioningserviceowner") -> dict[str, str]:
    """A shared access signature for the service."""
    resource, expiry = quote(host, safe=""), int(time.time()) + lifetime
    digest = hmac.digest(base64.b64decode(key), f"{resource}\n{expiry}".encode(), hashlib.sha256)
    value = f"sr={resource}&sig={quote(base64.b64encode(digest), safe='')}&se={expiry}&skn={policy}"
    return {"Authorization": f"SharedAccessSignature {value}"}


def ask_as_device(lab: Lab, files: Files | None, method: str, path: str, body: object = None) -> Answer:
    """Through the proxy to the service's real name, with a certificate."""
    context = ssl.create_default_context(cafile=str(lab.target.ca_file))
    if files:
        context.load_cert_chain(*files)
    connection = http.client.HTTPSConnection("127.0.0.1", lab.running.proxy_port, context=context, timeout=10)
    connection.set_tunnel(PROVISIONING_DEVICES, 443)
    with contextlib.closing(connection):
        connection.request(method, f"{path}?api-version=2021-10-01", None if body is None else json.dumps(body))
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, json.load(response)
