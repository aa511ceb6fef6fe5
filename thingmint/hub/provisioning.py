"""The provisioning service's CA certificates and their proof of possession.

Through azure-mgmt-iothubprovisioningservices, whose signatures differ from the hub's SDK: etags are quoted, and named
together with a condition; a certificate is bytes.
"""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from thingmint.errors import HubError
from thingmint.hub.credentials import quiet_sdk_loggers
from thingmint.hub.possession import CaCertificate, Challenge, certificate_of, text_of
from thingmint.hub.refusals import is_missing_service, refusals
from thingmint.hub.transport import client_options, patiently
from thingmint.target import Target

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

_T = TypeVar("_T")


class ProvisioningCertificates:
    """One provisioning service's. See `CaCertificates`."""

    def __init__(self, target: Target, credential: "TokenCredential") -> None:
        quiet_sdk_loggers()
        self._target = target
        self._credential = credential
        self._service = (target.resource_group, target.provisioning_service)
        self._opened = False

    @functools.cached_property
    def _client(self) -> Any:
        """At first use, as the hub's."""
        from azure.mgmt.iothubprovisioningservices import IotDpsClient

        target = self._target
        with refusals(target, "preparing the provisioning service's client"):
            client: Any = IotDpsClient(
                self._credential, target.subscription_id, base_url=target.arm_url, **client_options(target)
            )
        self._opened = True
        return client

    def list(self) -> tuple[CaCertificate, ...]:
        def ask() -> tuple[CaCertificate, ...]:
            found = self._client.dps_certificate.list(*self._service).value or []
            return tuple(sorted((certificate_of(one) for one in found), key=lambda one: one.name))

        return self._ask("listing the provisioning service's certificates", ask)

    def get(self, name: str) -> CaCertificate | None:
        try:
            return self._ask(
                f"reading {name}", lambda: certificate_of(self._client.dps_certificate.get(name, *self._service))
            )
        except HubError as refusal:
            if refusal.status == 404 and not is_missing_service(refusal.code, refusal.detail):
                return None
            raise

    def upload(self, name: str, pem: bytes, *, etag: str | None) -> CaCertificate:
        from azure.mgmt.iothubprovisioningservices.models import CertificateProperties, CertificateResponse
        from cryptography.hazmat.primitives.serialization import Encoding
        from cryptography.x509 import load_pem_x509_certificate

        # The SDK writes bytes as base64, which is what a .cer file in base64 is: DER, then.
        der = load_pem_x509_certificate(text_of(pem).encode()).public_bytes(Encoding.DER)
        wanted = CertificateResponse(properties=CertificateProperties(certificate=der))
        condition = {} if etag is None else _unchanged(etag)
        return self._ask(
            f"uploading {name}",
            lambda: certificate_of(
                self._client.dps_certificate.create_or_update(*self._service, name, wanted, **condition)
            ),
        )

    def verification_code(self, name: str, *, etag: str) -> Challenge:
        def ask() -> Challenge:
            answer = self._client.dps_certificate.generate_verification_code(name, *self._service, **_unchanged(etag))
            return Challenge(str(answer.properties.verification_code), str(answer.etag))

        return self._ask(f"asking for the verification code of {name}", ask)

    def verify(self, name: str, *, etag: str, proof_pem: bytes) -> CaCertificate:
        from azure.mgmt.iothubprovisioningservices.models import VerificationCodeRequest

        proof = VerificationCodeRequest(certificate=text_of(proof_pem))
        return self._ask(
            f"verifying {name}",
            lambda: certificate_of(
                self._client.dps_certificate.verify_certificate(name, *self._service, proof, **_unchanged(etag))
            ),
        )

    def delete(self, name: str, *, etag: str) -> None:
        self._ask(
            f"deleting {name}", lambda: self._client.dps_certificate.delete(*self._service, name, **_unchanged(etag))
        )

    def close(self) -> None:
        if self._opened:
            self._client.close()

    def _ask(self, doing: str, step: Callable[[], _T]) -> _T:
        return patiently(self._target, doing, step, service="management")


def _unchanged(etag: str) -> dict[str, Any]:
    """How this SDK is told that a change is meant for the state of `etag` alone."""
    from azure.core import MatchConditions

    return {"etag": etag, "match_condition": MatchConditions.IfNotModified}
