"""The hub's CA certificates and their proof of possession, through azure-mgmt-iothub (api-version 2023-06-30)."""

import datetime as dt
import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from thingmint.errors import HubError
from thingmint.hub.credentials import quiet_sdk_loggers
from thingmint.hub.refusals import is_missing_hub, refusals
from thingmint.hub.transport import client_options, patiently
from thingmint.target import Target

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

_T = TypeVar("_T")


@dataclass(frozen=True)
class HubCertificate:
    """A CA certificate as the hub holds it. `thumbprint` is SHA-1 in upper-case hex; times are UTC."""

    name: str
    subject: str  # the bare CN
    thumbprint: str
    verified: bool
    expires: dt.datetime | None
    etag: str
    created: dt.datetime | None


@dataclass(frozen=True)
class Challenge:
    """What the proof certificate's CN must be, and the certificate's etag from now on."""

    code: str = field(repr=False)
    etag: str


class HubCertificates:
    """One hub's CA certificates. Every method raises HubError, nothing else, when the hub refuses or cannot be reached.

    The etag changes with each creation, challenge and verification: pass on the one that the last call returned. A
    stale one is refused with status 412. Each step may be run again after it was cut off.
    """

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

    def list(self) -> tuple[HubCertificate, ...]:
        """All of them, by name. A hub holds at most 25, so there is no paging."""

        def ask() -> tuple[HubCertificate, ...]:
            found = self._client.certificates.list_by_iot_hub(*self._hub).value or []
            return tuple(sorted((_read(one) for one in found), key=lambda one: one.name))

        return self._ask("listing the hub's certificates", ask)

    def get(self, name: str) -> HubCertificate | None:
        """None if the hub has no certificate of that name; a hub that does not exist is a HubError."""
        try:
            return self._ask(f"reading {name}", lambda: _read(self._client.certificates.get(*self._hub, name)))
        except HubError as refusal:
            if refusal.status == 404 and not is_missing_hub(refusal.code, refusal.detail):
                return None
            raise

    def upload(self, name: str, pem: bytes, *, etag: str | None) -> HubCertificate:
        """Create `name`, or with `etag` replace it: the hub then regards it as unverified. `pem` is one certificate."""
        from azure.mgmt.iothub.models import CertificateDescription, CertificateProperties

        wanted = CertificateDescription(properties=CertificateProperties(certificate=_text(pem)))
        return self._ask(
            f"uploading {name}",
            lambda: _read(self._client.certificates.create_or_update(*self._hub, name, wanted, if_match=etag)),
        )

    def verification_code(self, name: str, *, etag: str) -> Challenge:
        """A fresh challenge; older ones are void. 48 upper-case hex characters."""

        def ask() -> Challenge:
            answer = self._client.certificates.generate_verification_code(*self._hub, name, etag)
            return Challenge(str(answer.properties.verification_code), str(answer.etag))

        return self._ask(f"asking for the verification code of {name}", ask)

    def verify(self, name: str, *, etag: str, proof_pem: bytes) -> HubCertificate:
        """Hand in the proof: a certificate whose CN is the code, signed by the uploaded CA itself."""
        from azure.mgmt.iothub.models import CertificateVerificationDescription

        proof = CertificateVerificationDescription(certificate=_text(proof_pem))
        return self._ask(
            f"verifying {name}", lambda: _read(self._client.certificates.verify(*self._hub, name, etag, proof))
        )

    def delete(self, name: str, *, etag: str) -> None:
        """Devices whose chain ends there are refused from then on. One that is gone already is no error (HTTP 204)."""
        self._ask(f"deleting {name}", lambda: self._client.certificates.delete(*self._hub, name, etag))

    def close(self) -> None:
        if self._opened:
            self._client.close()

    def _ask(self, doing: str, step: Callable[[], _T]) -> _T:
        return patiently(self._target, doing, step, service="management")


def _text(pem: bytes) -> str:
    """The service takes the PEM text as it stands; anything before the first certificate would be in its way."""
    text = pem.decode("ascii", errors="replace")
    start = text.find("-----BEGIN CERTIFICATE-----")
    return text[max(start, 0) :]


def _read(found: Any) -> HubCertificate:
    properties = found.properties
    return HubCertificate(
        name=str(found.name),
        subject=str(properties.subject or ""),
        thumbprint=str(properties.thumbprint or "").upper(),
        verified=bool(properties.is_verified),
        expires=_utc(properties.expiry),
        etag=str(found.etag or ""),
        created=_utc(properties.created),
    )


def _utc(moment: dt.datetime | None) -> dt.datetime | None:
    return None if moment is None else moment.astimezone(dt.UTC)
