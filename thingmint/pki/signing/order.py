"""What is asked of an authority: requests, the keys in them, and the terms on which they are signed."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from thingmint.errors import InputError
from thingmint.pki import inspect, profile
from thingmint.pki.profile import Profile


@dataclass(frozen=True)
class Request:
    """A CSR to sign, where its certificate shall be published, and the name that both have to carry."""

    csr: Path
    out: Path
    common_name: str


@dataclass(frozen=True)
class Terms:
    """How requests are signed. `days` None means the cnf's default_days; either is clipped to the issuer's notAfter.

    `from_modem`: a modem's CSR asks for what its maker chose, and cannot be asked for otherwise. So that is not held
    against it; what it gets is the profile all the same, as is proven when the certificate is read back.
    """

    profile: Profile
    days: int | None = None
    from_modem: bool = False


Keys = Mapping[Request, str]
"""Requests whose CSRs were looked at, and the digests of their public keys (SHA-256 of the SPKI, hex)."""


def look_at(request: Request, terms: Terms) -> str:
    """The digest of its public key. Raises InputError or ToolError where the CSR itself speaks against signing it."""
    csr = inspect.read_request(request.csr)
    problems = profile.key_problems(csr) if terms.from_modem else profile.request_problems(csr, terms.profile)
    if csr.common_name != request.common_name or csr.subject != f"CN={csr.common_name}":
        problems.insert(0, f"it is for the subject {csr.subject!r}, not for 'CN={request.common_name}'")
    if problems:
        raise InputError(
            f"the CSR {request.csr} cannot be signed: {'; '.join(problems)}.",
            things_to_try=[f"move {request.csr} away and run this again: it is made anew"],
        )
    return csr.public_key
