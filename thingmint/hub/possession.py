"""CA certificates as values, and the protocol of the services that want possession of their keys proven."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class CaCertificate:
    """A CA certificate as a service holds it. `thumbprint` is SHA-1 in upper-case hex; times are UTC."""

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


class CaCertificates(Protocol):
    """One service's CA certificates. Every method raises HubError, nothing else, when it refuses or cannot be reached.

    The etag changes with each creation, challenge and verification: pass on the one that the last call returned. A
    stale one is refused with status 412. Each step may be run again after it was cut off.
    """

    def list(self) -> tuple[CaCertificate, ...]:
        """All of them, by name. A service holds at most 25, so there is no paging."""

    def get(self, name: str) -> CaCertificate | None:
        """None if there is no certificate of that name; a service that does not exist is a HubError."""

    def upload(self, name: str, pem: bytes, *, etag: str | None) -> CaCertificate:
        """Create `name`, or with `etag` replace it: it then counts as unverified. `pem` is one certificate."""

    def verification_code(self, name: str, *, etag: str) -> Challenge:
        """A fresh challenge; older ones are void. 48 upper-case hex characters."""

    def verify(self, name: str, *, etag: str, proof_pem: bytes) -> CaCertificate:
        """Hand in the proof: a certificate whose CN is the code, signed by the uploaded CA itself."""

    def delete(self, name: str, *, etag: str) -> None:
        """Devices whose chain ends there are refused from then on. One that is gone already is no error (HTTP 204)."""

    def close(self) -> None:
        """Give connections back."""


def text_of(pem: bytes) -> str:
    """The services take the PEM text as it stands; anything before the first certificate would be in its way."""
    text = pem.decode("ascii", errors="replace")
    start = text.find("-----BEGIN CERTIFICATE-----")
    return text[max(start, 0) :]


def certificate_of(found: Any) -> CaCertificate:
    """From the model of either management SDK."""
    properties = found.properties
    return CaCertificate(
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
