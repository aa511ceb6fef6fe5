"""What is asked of an authority: requests, and the terms on which they are signed."""

from dataclasses import dataclass
from pathlib import Path

from thingmint.pki.profile import Profile


@dataclass(frozen=True)
class Request:
    """A CSR to sign, where its certificate shall be published, and the name that both have to carry."""

    csr: Path
    out: Path
    common_name: str


@dataclass(frozen=True)
class Terms:
    """How requests are signed. `days` None means the cnf's default_days; either is clipped to the issuer's notAfter."""

    profile: Profile
    days: int | None = None
