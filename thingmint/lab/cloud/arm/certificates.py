"""A service's CA certificates and their proof of possession: the hub's, and the provisioning service's."""

import base64
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from email.utils import format_datetime
from typing import Any

from cryptography import x509
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from thingmint.lab.cloud import chain
from thingmint.lab.cloud.arm import hubs, provisioning, standing
from thingmint.lab.cloud.arm.gate import Do, Names, Operation
from thingmint.lab.cloud.chain import CertificateProblem
from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.records import CaCertificate
from thingmint.lab.cloud.store.certificates import Certificates
from thingmint.lab.cloud.wire import new_etag, now, provider_error, read_json

# https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-quotas-throttling, and in iot-dps/about-iot-dps the same
MOST_CERTIFICATES = 25
_NAME = re.compile(r"[A-Za-z0-9-._]{1,64}", re.ASCII)  # resource provider's API specification, certificateName


@dataclass(frozen=True)
class Dialect:
    """What differs between the two services. Both take If-Match quoted or not, and ignore further query parameters."""

    service: str  # for people
    of: standing.Kind
    type: str
    kept: Callable[[Hub], Certificates]


HUB = Dialect(
    service="hub",
    of=hubs.KIND,
    type="Microsoft.Devices/IotHubs/Certificates",
    kept=lambda hub: hub.store.hub_certificates,
)
PROVISIONING = Dialect(
    service="provisioning service",
    of=provisioning.KIND,
    type="Microsoft.Devices/ProvisioningServices/Certificates",
    kept=lambda hub: hub.store.provisioning_certificates,
)


def operations(hub: Hub) -> list[Operation]:
    return [operation for dialect in (HUB, PROVISIONING) for operation in _operations(hub, dialect)]


def _operations(hub: Hub, dialect: Dialect) -> list[Operation]:
    kept = _Certificates(hub, dialect)

    def of_service(do: Do) -> Do:
        async def checked(request: Request, names: Names) -> Response:
            dialect.of.require(hub, names)
            return await do(request, names)

        return checked

    one = dialect.of.path + "/certificates/{certificate}"
    table = (
        ("GET", f"{dialect.of.path}/certificates", kept.list),
        ("GET", one, kept.show),
        ("PUT", one, kept.put),
        ("DELETE", one, kept.delete),
        ("POST", f"{one}/generateVerificationCode", kept.generate_code),
        ("POST", f"{one}/verify", kept.verify),
    )
    return [Operation(method, path, of_service(do)) for method, path, do in table]


class _Certificates:
    """The operations. Each answers from the store, and changes it before it answers."""

    def __init__(self, hub: Hub, dialect: Dialect) -> None:
        self._hub = hub
        self._dialect = dialect
        self._kept = dialect.kept(hub)
        self._id = dialect.of.resource_id(hub)

    async def list(self, _request: Request, _names: Names) -> Response:
        return JSONResponse({"value": [self._certificate_json(one) for one in self._kept.all()]})

    async def show(self, _request: Request, names: Names) -> Response:
        return JSONResponse(self._certificate_json(self._existing(names["certificate"])))

    async def put(self, request: Request, names: Names) -> Response:
        name = names["certificate"]
        if not _NAME.fullmatch(name):
            raise provider_error(400_004, f"The certificate name '{name}' must match ^[A-Za-z0-9-._]{{1,64}}$.")
        properties = await self._properties(request)
        given = properties["certificate"]
        existing = self._kept.get(name)
        if existing is not None or "if-match" in request.headers:
            # To update, the current etag is required; to create, none is accepted.
            self._require_etag(request, existing)
        if existing is None and len(self._kept.all()) >= MOST_CERTIFICATES:
            raise provider_error(
                400_000, f"A {self._dialect.service} holds at most {MOST_CERTIFICATES} CA certificates."
            )
        certificate = self._parse(given)
        try:
            chain.require_ca(certificate, now())
        except CertificateProblem as problem:
            raise provider_error(400_052, f"The certificate '{name}' was not accepted: {problem}.") from None
        moment = now()
        kept = CaCertificate(
            name=existing.name if existing else name,
            der=chain.der(certificate),
            created=existing.created if existing else moment,
            updated=moment,
            etag=new_etag(),
            verified=properties.get("isVerified") is True,
        )
        self._save(kept, "updated" if existing else "created")
        answer = self._certificate_json(kept)
        answer["properties"]["certificate"] = given  # PUT echoes what it was given; GET answers base64 of the DER
        return JSONResponse(answer)  # 200 for a new one too

    async def delete(self, request: Request, names: Names) -> Response:
        existing = self._kept.get(names["certificate"])
        if existing is None:
            return Response(status_code=204)  # as ARM answers a deletion of what is not there
        self._require_etag(request, existing)
        self._kept.delete(existing.name)
        self._say(existing.name, "deleted")
        self._hub.changed()
        return Response(status_code=200)

    async def generate_code(self, request: Request, names: Names) -> Response:
        existing = self._existing(names["certificate"])
        self._require_etag(request, existing)
        # 48 hexadecimal digits
        code = secrets.token_hex(24).upper()
        coded = replace(existing, verification_code=code, etag=new_etag(), updated=now())
        self._save(coded, "has a new verification code")
        return JSONResponse(self._certificate_json(coded, with_code=True))

    async def verify(self, request: Request, names: Names) -> Response:
        existing = self._existing(names["certificate"])
        self._require_etag(request, existing)
        body = await read_json(request, provider_error(400_006, "The request body is no JSON."))
        given = body.get("certificate") if isinstance(body, dict) else None
        proof = self._parse(given if isinstance(given, str) else "")
        ca = chain.load(existing.der)
        if ca is None or existing.verification_code is None:
            raise provider_error(400_053, "Proof-Of-Possession failed. No verification code was generated.")
        try:
            chain.require_proof(proof, ca, existing.verification_code, now())
        except CertificateProblem as problem:
            issuer = chain.common_name(proof.issuer)
            if chain.issued(proof, ca):
                told = f"Proof-Of-Possession failed. The verification certificate was not accepted: {problem}."
            else:
                told = f"Proof-Of-Possession failed. Issuer certificate '{issuer}' cannot be found in the certificate chain."
            refusal = provider_error(400_053, told)
            refusal.reason = f"the proof for certificate {existing.name!r} does not hold: {problem}"
            raise refusal from None
        verified = replace(existing, verified=True, verification_code=None, etag=new_etag(), updated=now())
        self._save(verified, "verified")
        return JSONResponse(self._certificate_json(verified))

    # --- helpers -----------------------------------------------------------------------------------------------

    def _save(self, certificate: CaCertificate, what: str) -> None:
        self._kept.put(certificate)
        self._say(certificate.name, what)
        self._hub.changed()

    def _say(self, name: str, what: str) -> None:
        self._hub.journal.write(f"{self._dialect.service}: certificate {name!r} {what}")

    def _existing(self, name: str) -> CaCertificate:
        found = self._kept.get(name)
        if found is None:
            raise provider_error(404_001, f"The certificate '{name}' does not exist.")
        return found

    def _require_etag(self, request: Request, existing: CaCertificate | None) -> None:
        given = request.headers.get("if-match")
        if given is None:
            raise provider_error(412_001, "Invalid ETag supplied. If-Match is required to change a certificate.")
        # The SDK sends it unquoted; the standard (RFC 9110, 13.1.1) quotes it.
        if existing is None or given.strip('"') not in (existing.etag, "*"):
            raise provider_error(412_001, "Invalid ETag supplied.")

    async def _properties(self, request: Request) -> dict[str, Any]:
        body = await read_json(request, provider_error(400_006, "The request body is no JSON."))
        properties = body.get("properties") if isinstance(body, dict) else None
        if not isinstance(properties, dict) or not isinstance(properties.get("certificate"), str):
            raise provider_error(400_004, "The request body has no properties.certificate.")
        return properties

    def _parse(self, value: str) -> x509.Certificate:
        try:
            return chain.parse(value)
        except CertificateProblem as problem:
            raise provider_error(400_051, f"The certificate is invalid: {problem}.") from None

    def _certificate_json(self, kept: CaCertificate, *, with_code: bool = False) -> dict[str, Any]:
        certificate = x509.load_der_x509_certificate(kept.der)
        properties: dict[str, Any] = {
            "subject": chain.common_name(certificate.subject),
            "expiry": format_datetime(certificate.not_valid_after_utc, usegmt=True),
            "thumbprint": chain.thumbprint(certificate),
            "isVerified": kept.verified,
            "created": format_datetime(kept.created, usegmt=True),
            "updated": format_datetime(kept.updated, usegmt=True),
            "certificate": base64.b64encode(kept.der).decode(),
        }
        if with_code:
            properties["verificationCode"] = kept.verification_code
        return {
            "id": f"{self._id}/certificates/{kept.name}",
            "name": kept.name,
            "type": self._dialect.type,
            "etag": kept.etag,
            "properties": properties,
        }
