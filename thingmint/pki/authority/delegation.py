"""Delegation: an authority whose key is made in one workspace, and whose certificate is signed in another.

The manufacturer asks (`ask`), the owner signs (`sign`), the manufacturer takes what came back (`take`). No key travels.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from thingmint import files, openssl
from thingmint.errors import CheckError, InputError
from thingmint.ids import AuthorityName
from thingmint.pki import inspect, profile
from thingmint.pki.authority import authority, family, layout
from thingmint.pki.authority.authority import Made
from thingmint.pki.bench import Bench
from thingmint.pki.inspect import Certificate, SigningRequest
from thingmint.pki.keys import cakey, pair
from thingmint.pki.profile import Profile
from thingmint.pki.signer import Signer
from thingmint.pki.signing import issuing, transaction
from thingmint.pki.signing.order import Request, Terms
from thingmint.pki.store.database import Database
from thingmint.pki.wish import COMMON_NAMES, Wish, is_common_name


@dataclass(frozen=True)
class Asked:
    """A CSR of this workspace. `request` is None where --dry has nothing to read."""

    signer: Signer
    request: SigningRequest | None
    new: bool


@dataclass(frozen=True)
class Taken:
    """An authority whose certificate came back, and the names that those above it have here, the direct issuer first."""

    signer: Signer
    above: tuple[str, ...]
    new: bool


def chain_file(signer: Signer) -> Path:
    """What the owner sends back: the certificate, and all above it with the root."""
    return signer.folder / f"{signer.name}.chain.pem"


def ask(bench: Bench, name: AuthorityName, wish: Wish) -> Asked:
    """Key, CSR, folders and database of an authority that another workspace will sign; no root is needed here.

    Raises InputError where what exists contradicts the wish.
    """
    workspace = bench.workspace
    own = family.signer(workspace, name)
    new = not workspace.exists(own.csr)
    transaction.recover(bench, own)
    if not own.certificate.exists():
        common_name = wish.common_name or authority.default_name(bench, name)
        if new:
            authority.require_free_name(bench, own, common_name, task=f"subca --name {name} --csr-to FILE")
        cakey.require_possible(bench, own, wish)
        layout.lay_out(bench, own, root=False, pathlen=None)
        cakey.make(bench, own, wish, pair.RequestWish(own.cnf.name, common_name, openssl.SUBCA_REQUEST))
    if bench.session.dry:
        return Asked(own, None, new)
    request = inspect.read_request(own.csr)
    if wish.common_name not in {None, request.common_name}:
        raise InputError(
            f"{own.csr} exists with --cn {request.common_name}, and --cn {wish.common_name} asks for another.",
            things_to_try=["leave --cn out to use what exists", "ask under another name: --name NAME"],
        )
    return Asked(own, request, new)


def sign(
    bench: Bench, name: AuthorityName, request: SigningRequest, where: str, *, parent: AuthorityName | None, wish: Wish
) -> Made:
    """Sign a CSR whose key is elsewhere, under the intermediate's profile, and write the chain to send back.

    Raises InputError naming everything that speaks against the CSR; then nothing was written.
    """
    workspace = bench.workspace
    own = family.signer(workspace, name)
    _require_same(own, request, where)
    above, kind = authority.signed_by(bench, own, parent, wish)
    transaction.recover(bench, above)
    if own.certificate.exists():
        certificate = inspect.read_certificate(own.certificate)
        wish.require_agreement(own.certificate, certificate, inspect.read_certificate(above.certificate))
        _write_chain(bench, own, certificate)
        return Made(own, certificate, new=False)
    _require_signable(bench, own, request, where, kind)
    workspace.make_directory(own.folder)
    workspace.write(own.csr, request.pem)
    made = issuing.issue(bench, above, [Request(own.csr, own.certificate, request.common_name)], Terms(kind, wish.days))
    if made:
        _write_chain(bench, own, made[0])
    return Made(own, made[0] if made else None, new=True)


def _write_chain(bench: Bench, own: Signer, certificate: Certificate) -> None:
    chain = b"".join(one.pem for one in (certificate, *family.above(bench.workspace, certificate)))
    target = chain_file(own)
    if not target.exists() or target.read_bytes() != chain:
        bench.workspace.write(target, chain, mode=files.PUBLIC)


def _require_same(own: Signer, request: SigningRequest, where: str) -> None:
    """One name, one CSR; and none for an authority that was made here."""
    another = "sign it under another name: --name NAME"
    if own.key.exists() or own.db.is_dir():
        raise InputError(
            f"{own.name} was made in this workspace, in {own.folder}: it needs no CSR from elsewhere.",
            things_to_try=[another],
        )
    held = None
    if own.csr.exists():
        held = inspect.read_request(own.csr).public_key
    elif own.certificate.exists():
        held = inspect.read_certificate(own.certificate).public_key
    if held not in {None, request.public_key}:
        raise InputError(
            f"{own.name} is there already, for another key than {where} has.",
            detail=f"{own.folder}:  public key {held}\n{where}:  public key {request.public_key}",
            things_to_try=[another, f"move {own.folder} away, if nothing of it is in use"],
        )


def _require_signable(bench: Bench, own: Signer, request: SigningRequest, where: str, kind: Profile) -> None:
    problems = profile.request_problems(request, kind)
    if request.subject != f"CN={request.common_name}" or not is_common_name(request.common_name):
        problems.insert(0, f"its subject is {request.subject!r}, and one CN of {COMMON_NAMES} is needed")
    for other in family.everybody(bench.workspace):
        known = other.name != own.name and other.certificate.exists()
        if known and inspect.read_certificate(other.certificate).public_key == request.public_key:
            problems.append(f"its key is the one of {other.name}")
        bearer = Database(other).bearers([request.public_key]).get(request.public_key)
        if bearer and (bearer.common_name != request.common_name or bearer.status == "R"):
            problems.append(f"its key was certified before, by {other.name} for {bearer.common_name!r}")
    if problems:
        raise InputError(
            f"the CSR {where} cannot be signed: {'; '.join(problems)}.",
            things_to_try=[f"ask for another; there: invoke subca --name {own.name} --csr-to FILE"],
        )
    authority.require_free_name(bench, own, request.common_name, task=f"subca --name {own.name} --csr-to FILE")


def take(bench: Bench, chain: Sequence[Certificate], where: str) -> Taken:
    """Give the authority that asked its certificate, and those above it folders with theirs.

    Raises CheckError where the chain does not hold, InputError where nobody here asked for it.
    """
    workspace = bench.workspace
    _require_chain(chain, where)
    signer = _asker(bench, chain[0], where)
    new = not signer.certificate.exists()
    above = tuple(_take_above(bench, one) for one in chain[1:])
    if signer.db.is_dir():
        layout.write_cnf(bench, signer, root=False, pathlen=profile.pathlen_of(chain[0]))
    if new:
        workspace.write(signer.certificate, chain[0].pem)
    return Taken(signer, above, new)


def _require_chain(chain: Sequence[Certificate], where: str) -> None:
    now = datetime.now(UTC)
    problems = [f"{one.common_name!r} is no CA's certificate" for one in chain if not one.is_ca]
    problems += [f"{one.common_name!r} cannot be printed" for one in chain if not one.common_name.isprintable()]
    problems += [
        f"{one.common_name!r} is valid from {one.not_before:%Y-%m-%d %H:%M} to {one.not_after:%Y-%m-%d %H:%M} UTC only"
        for one in chain
        if not one.not_before <= now < one.not_after
    ]
    problems += [
        f"{one.common_name!r} was not signed by the next one, {above.common_name!r}"
        for one, above in itertools.pairwise(chain)
        if not one.issued_by(above)
    ]
    if not chain[-1].issued_by(chain[-1]):
        problems.append(f"it ends at {chain[-1].common_name!r}, which is no root")
    for below, one in enumerate(chain):
        limit = profile.pathlen_of(one)
        if limit is not None and limit < below:
            problems.append(f"{one.common_name!r} lets {limit} authorities stand below it, not {below}")
    if problems:
        raise CheckError(
            f"the chain {where} does not hold: {'; '.join(problems)}.",
            things_to_try=[
                "ask for the file NAME.chain.pem, as the owner of the root has it",
                "look at the clock here",
            ],
        )


def _asker(bench: Bench, certificate: Certificate, where: str) -> Signer:
    """Whose CSR has the certificate's key."""
    for one in family.everybody(bench.workspace):
        if not one.csr.exists() or inspect.read_request(one.csr).public_key != certificate.public_key:
            continue
        if one.certificate.exists():
            held = inspect.read_certificate(one.certificate)
            if held.pem != certificate.pem:
                raise InputError(
                    f"{one.name} has another certificate for the same key. Nothing was written.",
                    detail=f"in {where}:  {certificate.thumbprint}\nhere:  {held.thumbprint}",
                    things_to_try=[f"to use the new one, move {one.certificate} away and run this again"],
                )
        return one
    raise InputError(
        f"no authority here asked for {where}: none has the key of {certificate.common_name!r}. Nothing was written.",
        things_to_try=[
            "run this in the workspace that made the CSR",
            "make one and have it signed: invoke subca --name NAME --csr-to FILE",
        ],
    )


def _take_above(bench: Bench, certificate: Certificate) -> str:
    """A folder with the certificate alone, named as the article's root if it is one, or after its CN; its name."""
    workspace = bench.workspace
    names = set()
    for one in family.everybody(workspace):
        if one.certificate.exists() and inspect.read_certificate(one.certificate).pem == certificate.pem:
            return one.name
        names.add(one.name)
    slug = re.sub(r"[^a-z0-9]+", "-", certificate.common_name.lower()).strip("-")[:28].rstrip("-") or "authority"
    candidates = itertools.chain([slug], (f"{slug}-{number}" for number in itertools.count(2)))
    if certificate.issued_by(certificate):
        candidates = itertools.chain([family.ROOT.text], candidates)
    name = AuthorityName.parse(next(one for one in candidates if one not in names))
    own = family.signer(workspace, name)
    workspace.make_directory(own.folder)
    workspace.write(own.certificate, certificate.pem)
    return own.name
