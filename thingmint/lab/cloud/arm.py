"""Azure Resource Manager for one hub: the hub itself, its keys, and the certificates with their proof of possession."""

import base64
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from email.utils import format_datetime
from typing import Any

from cryptography import x509
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from thingmint.lab.cloud import chain
from thingmint.lab.cloud.chain import CertificateProblem
from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.records import HubCertificate
from thingmint.lab.cloud.tokens import ARM_AUDIENCES, Signer, TokenProblem
from thingmint.lab.cloud.wire import arm_error, new_etag, not_done, now, provider_error, read_json

MOST_CERTIFICATES = 25  # https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-quotas-throttling
_NAME = re.compile(r"[A-Za-z0-9-._]{1,64}", re.ASCII)  # resource provider's API specification, certificateName

_Handler = Callable[[Request, tuple[str, ...]], Awaitable[Response]]


def routes(hub: Hub, signer: Signer) -> list[Route]:
    arm = _Arm(hub)
    # ARM's paths ignore case.
    table: list[tuple[str, re.Pattern[str], _Handler]] = [
        (method, re.compile(pattern, re.IGNORECASE | re.ASCII), handler)
        for method, pattern, handler in (
            ("GET", "", arm.show_hub),
            ("POST", "/listkeys", arm.list_keys),
            ("POST", "/IotHubKeys/([^/]+)/listkeys", arm.show_key),
            ("GET", "/certificates", arm.list_certificates),
            ("GET", "/certificates/([^/]+)", arm.show_certificate),
            ("PUT", "/certificates/([^/]+)", arm.put_certificate),
            ("DELETE", "/certificates/([^/]+)", arm.delete_certificate),
            ("POST", "/certificates/([^/]+)/generateVerificationCode", arm.generate_code),
            ("POST", "/certificates/([^/]+)/verify", arm.verify),
        )
    ]
    resource = re.compile(
        r"/subscriptions/([^/]+)/resourceGroups/([^/]+)/providers/Microsoft\.Devices/IotHubs/([^/]+)(/.*)?",
        re.IGNORECASE | re.ASCII,
    )

    async def endpoint(request: Request) -> Response:
        _require_token(request, signer)
        path = str(request.scope["path"]).rstrip("/")
        if not re.fullmatch(r"\d{4}-\d\d-\d\d(-preview)?", request.query_params.get("api-version", ""), re.ASCII):
            raise arm_error(
                400,
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.",
            )
        match = resource.fullmatch(path)
        if match is None:
            raise not_done(request)
        _require_hub(hub, match[1], match[2], match[3])
        for method, pattern, handler in table:
            if method == request.method and (inner := pattern.fullmatch(match[4] or "")):
                return await handler(request, inner.groups())
        raise not_done(request)

    return [Route("/subscriptions/{rest:path}", endpoint, methods=["GET", "PUT", "POST", "DELETE", "PATCH"])]


def _require_token(request: Request, signer: Signer) -> None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    challenge = f'Bearer authorization_uri="{signer.issuer.removesuffix("/v2.0")}"'
    if scheme.lower() != "bearer" or not token:
        raise arm_error(
            401,
            "AuthenticationFailed",
            "Authentication failed. The 'Authorization' header is missing.",
            headers={"WWW-Authenticate": challenge},
        )
    try:
        signer.check(token.strip(), ARM_AUDIENCES)
    except TokenProblem as problem:
        raise arm_error(
            401,
            problem.code,
            f"Authentication failed: {problem.reason}.",
            headers={"WWW-Authenticate": f'{challenge}, error="invalid_token"'},
        ) from None


def _require_hub(hub: Hub, subscription: str, group: str, name: str) -> None:
    role = hub.role
    if subscription.casefold() != role.subscription_id.casefold():
        raise arm_error(404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found.")
    if group.casefold() != role.resource_group.casefold():
        raise arm_error(404, "ResourceGroupNotFound", f"Resource group '{group}' could not be found.")
    if name.casefold() != role.hub.casefold():
        raise arm_error(
            404,
            "ResourceNotFound",
            f"The Resource 'Microsoft.Devices/IotHubs/{name}' under resource group '{group}' was not found.",
        )


class _Arm:
    """The operations. Each answers from the store, and changes it before it answers."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._store = hub.store
        role = hub.role
        self._id = (
            f"/subscriptions/{role.subscription_id}/resourceGroups/{role.resource_group}"
            f"/providers/Microsoft.Devices/IotHubs/{role.hub}"
        )

    async def show_hub(self, _request: Request, _names: tuple[str, ...]) -> Response:
        role = self._hub.role
        return JSONResponse(
            {
                "id": self._id,
                "name": role.hub,
                "type": "Microsoft.Devices/IotHubs",
                "location": "westeurope",
                "tags": {},
                "subscriptionid": role.subscription_id,
                "resourcegroup": role.resource_group,
                "etag": base64.b64encode(role.hub.encode()[:6]).decode(),
                "sku": {"name": "F1", "tier": "Free", "capacity": 1},
                "properties": {
                    "state": "Active",
                    "provisioningState": "Succeeded",
                    "hostName": role.hub_host,
                    "locations": [{"location": "West Europe", "role": "primary"}],
                    "minTlsVersion": "1.2",
                    "features": "None",
                },
            }
        )

    async def list_keys(self, _request: Request, _names: tuple[str, ...]) -> Response:
        return JSONResponse({"value": [self._key_json(name) for name in self._hub.secrets.policy_keys]})

    async def show_key(self, _request: Request, names: tuple[str, ...]) -> Response:
        for policy in self._hub.secrets.policy_keys:
            if policy.casefold() == names[0].casefold():
                return JSONResponse(self._key_json(policy))
        raise provider_error(404_000, f"There is no shared access policy '{names[0]}'.")

    async def list_certificates(self, _request: Request, _names: tuple[str, ...]) -> Response:
        return JSONResponse({"value": [self._certificate_json(one) for one in self._store.certificates()]})

    async def show_certificate(self, _request: Request, names: tuple[str, ...]) -> Response:
        return JSONResponse(self._certificate_json(self._existing(names[0])))

    async def put_certificate(self, request: Request, names: tuple[str, ...]) -> Response:
        name = names[0]
        if not _NAME.fullmatch(name):
            raise provider_error(400_004, f"The certificate name '{name}' must match ^[A-Za-z0-9-._]{{1,64}}$.")
        properties = await self._properties(request)
        given = properties["certificate"]
        existing = self._store.certificate(name)
        if existing is not None or "if-match" in request.headers:
            # To update, the current etag is required; to create, none is accepted.
            self._require_etag(request, existing)
        if existing is None and len(self._store.certificates()) >= MOST_CERTIFICATES:
            raise provider_error(400_000, f"A hub holds at most {MOST_CERTIFICATES} CA certificates.")
        certificate = self._parse(given)
        try:
            chain.require_ca(certificate, now())
        except CertificateProblem as problem:
            raise provider_error(400_052, f"The certificate '{name}' was not accepted: {problem}.") from None
        moment = now()
        kept = HubCertificate(
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

    async def delete_certificate(self, request: Request, names: tuple[str, ...]) -> Response:
        existing = self._store.certificate(names[0])
        if existing is None:
            return Response(status_code=204)  # as ARM answers a deletion of what is not there
        self._require_etag(request, existing)
        self._store.delete_certificate(existing.name)
        self._hub.journal.write(f"certificate {existing.name!r} deleted")
        self._hub.changed()
        return Response(status_code=200)

    async def generate_code(self, request: Request, names: tuple[str, ...]) -> Response:
        existing = self._existing(names[0])
        self._require_etag(request, existing)
        # 48 hexadecimal digits
        code = secrets.token_hex(24).upper()
        coded = replace(existing, verification_code=code, etag=new_etag(), updated=now())
        self._save(coded, "has a new verification code")
        return JSONResponse(self._certificate_json(coded, with_code=True))

    async def verify(self, request: Request, names: tuple[str, ...]) -> Response:
        existing = self._existing(names[0])
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

    def _save(self, certificate: HubCertificate, what: str) -> None:
        self._store.put_certificate(certificate)
        self._hub.journal.write(f"certificate {certificate.name!r} {what}")
        self._hub.changed()

    def _existing(self, name: str) -> HubCertificate:
        found = self._store.certificate(name)
        if found is None:
            raise provider_error(404_001, f"The certificate '{name}' does not exist.")
        return found

    def _require_etag(self, request: Request, existing: HubCertificate | None) -> None:
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

    def _key_json(self, policy: str) -> dict[str, str]:
        # What a new hub's policies may do.
        rights = {
            "iothubowner": "RegistryWrite, ServiceConnect, DeviceConnect",
            "service": "ServiceConnect",
            "device": "DeviceConnect",
            "registryRead": "RegistryRead",
            "registryReadWrite": "RegistryWrite",
        }
        primary, secondary = self._hub.secrets.policy_keys[policy]
        return {"keyName": policy, "primaryKey": primary, "secondaryKey": secondary, "rights": rights[policy]}

    def _certificate_json(self, kept: HubCertificate, *, with_code: bool = False) -> dict[str, Any]:
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
            "type": "Microsoft.Devices/IotHubs/Certificates",
            "etag": kept.etag,
            "properties": properties,
        }
