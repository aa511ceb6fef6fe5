"""Certificates as the page shows them, and who issued whom: signatures are checked once."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from cryptography import x509

from thingmint.lab.cloud import chain
from thingmint.lab.cloud.journal import printable
from thingmint.lab.cloud.wire import now

_LONGEST_NAME = 120


@dataclass(frozen=True)
class Paper:
    """What people look at in a certificate."""

    name: str
    issuer: str
    until: str
    expired: bool

    @classmethod
    def of(cls, certificate: x509.Certificate) -> "Paper":
        until = certificate.not_valid_after_utc
        return cls(name(certificate.subject), name(certificate.issuer), until.isoformat(), until < now())


def name(of: x509.Name) -> str:
    """The common name; the whole name where there is none."""
    return printable(chain.common_name(of) or of.rfc4514_string() or "(no name)")[:_LONGEST_NAME]


@lru_cache(maxsize=4096)
def load(der: bytes) -> x509.Certificate | None:
    return chain.load(der)


def issuer_in(der: bytes, pool: Iterable[bytes]) -> bytes | None:
    """Which of `pool` signed it; None for one that signed itself."""
    child = load(der)
    if child is None or child.issuer == child.subject:
        return None
    return next((one for one in pool if one != der and _issued(der, one)), None)


def path(der: bytes, pool: Iterable[bytes]) -> list[bytes]:
    """Upward from it through `pool`, as far as it goes."""
    rest, found = list(dict.fromkeys(pool)), []
    at = der
    while above := issuer_in(at, rest):
        found.append(above)
        rest.remove(above)
        at = above
    return found


@lru_cache(maxsize=4096)
def _issued(der: bytes, by: bytes) -> bool:
    child, parent = load(der), load(by)
    return bool(child and parent and child.issuer == parent.subject and chain.issued(child, parent))
