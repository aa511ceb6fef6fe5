"""The hub's CA certificates and their proof of possession, through azure-mgmt-iothub (api-version 2023-06-30)."""

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


class HubCertificates:
    """One hub's. See `CaCertificates`."""

    def __init__(self, target: Target, credential: "TokenCredential") -> None:
        quiet_sdk_loggers()
        self._target = target
        self._credential = credential
        self._hub = (target.resource_group, target.hub)
        self._opened = False

    @functools.cached_property
    def _client(self) -> Any:
        """At first use: verbs that never ask for certificates need not wait for the import."""
        from azure.mgmt.iothub import IotHubClient

        target = self._target
        with refusals(target, "preparing the hub's client"):
            client: Any = IotHubClient(
                self._credential, target.subscription_id, base_url=target.arm_url, **client_options(target)
            )
        self._opened = True
        return client

    def list(self) -> tuple[CaCertificate, ...]:
        def ask() -> tuple[CaCertificate, ...]:
            found = self._client.certificates.list_by_iot_hub(*self._hub).value or []
            return tuple(sorted((certificate_of(one) for one in found), key=lambda one: one.name))

        return self._ask("listing the hub's certificates", ask)

    def get(self, name: str) -> CaCertificate | None:
        try:
            return self._ask(f"reading {name}", lambda: certificate_of(self._client.certificates.get(*self._hub, name)))
        except HubError as refusal:
            if refusal.status == 404 and not is_missing_service(refusal.code, refusal.detail):
                return None
            raise

    def upload(self, name: str, pem: bytes, *, etag: str | None) -> CaCertificate:
        from azure.mgmt.iothub.models import CertificateDescription, CertificateProperties

        wanted = CertificateDescription(properties=CertificateProperties(certificate=text_of(pem)))
        return self._ask(
            f"uploading {name}",
            lambda: certificate_of(self._client.certificates.create_or_update(*self._hub, name, wanted, if_match=etag)),
        )

    def verification_code(self, name: str, *, etag: str) -> Challenge:
        def ask() -> Challenge:
            answer = self._client.certificates.generate_verification_code(*self._hub, name, etag)
            return Challenge(str(answer.properties.verification_code), str(answer.etag))

        return self._ask(f"asking for the verification code of {name}", ask)

    def verify(self, name: str, *, etag: str, proof_pem: bytes) -> CaCertificate:
        from azure.mgmt.iothub.models import CertificateVerificationDescription

        proof = CertificateVerificationDescription(certificate=text_of(proof_pem))
        return self._ask(
            f"verifying {name}", lambda: certificate_of(self._client.certificates.verify(*self._hub, name, etag, proof))
        )

    def delete(self, name: str, *, etag: str) -> None:
        self._ask(f"deleting {name}", lambda: self._client.certificates.delete(*self._hub, name, etag))

    def close(self) -> None:
        if self._opened:
            self._client.close()

    def _ask(self, doing: str, step: Callable[[], _T]) -> _T:
        return patiently(self._target, doing, step, service="management")
