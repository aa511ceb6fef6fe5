"""An authority taken to a service, hub or provisioning service alike: upload, code, proof, verified."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thingmint.errors import CheckError, HubError, InputError
from thingmint.pki import bench
from thingmint.pki.authority import family, proof
from thingmint.pki.inspect import Certificate
from thingmint.pki.keys import access
from thingmint.pki.signer import Signer
from thingmint.session import Session
from thingmint.workflows import consent, targets

if TYPE_CHECKING:
    from thingmint.hub.possession import CaCertificate, CaCertificates


@dataclass(frozen=True)
class Place:
    """Where an authority goes: the service's own name, what it is, and the line that takes this authority there."""

    certificates: "CaCertificates"
    name: str  # iot-hub001-0xacc5-dev
    kind: str  # hub, provisioning service
    line: str  # invoke verify --ca factory-a, without its --name
    named: str = ""  # --name cert-x, where it was named
    referring: Callable[[], Sequence[str]] = tuple  # who goes by the certificate of that name, for people to read


def prove(
    session: Session, place: Place, signer: Signer, certificate: Certificate, name: str, *, replace: bool
) -> None:
    """Have `certificate` verified there as `name`, as often as it is run: once.

    `certificate` is what `checked` returned. Another certificate of that name makes room with `replace` alone.
    """
    from thingmint.hub.transport import anew

    judged: set[str] = set()

    def turn() -> None:
        found = place.certificates.get(name)
        if found and found.thumbprint == certificate.thumbprint and found.verified:
            _clean_up(session, signer)
            session.console.say(f"unchanged: {name} is verified on {place.name} already")
            return
        if found and found.thumbprint != certificate.thumbprint:
            if judged and found.thumbprint not in judged:  # not the one whose replacement was asked for
                raise HubError(
                    f"{name} on {place.name} is another certificate than a moment ago: somebody changed it meanwhile.",
                    detail=f"now: {found.thumbprint}  {found.subject}",
                    things_to_try=["talk to whoever works on it, then run this again"],
                )
            judged.add(found.thumbprint)
        _require_own(session, place, found, certificate, name, replace=replace)
        _prove(session, place, signer, certificate, found, name)
        if found and found.thumbprint != certificate.thumbprint:
            session.console.say(f"replaced: {name} on {place.name}, which was {found.thumbprint}")
        session.console.say(f"verified: {name} on {place.name}, thumbprint {certificate.thumbprint}")

    session.workspace.prepare()
    with session.workspace.locked("hub"):
        anew(turn)


def checked(session: Session, signer: Signer) -> Certificate:
    """The authority's certificate, after the checks that need no root key: it may be offline."""
    certificate = signer.able_to_sign()
    root = family.root(session.workspace)
    if root.certificate.exists() and family.issuer_of(session.workspace, certificate) is None:
        raise InputError(
            f"{signer.certificate} was not issued by {root.certificate}, nor by another authority here.",
            things_to_try=[
                "bring back the rootca.pem that belongs to it",
                f"or move {signer.folder} away and make a new one: invoke subca",
            ],
        )
    return certificate


def dry(session: Session, signer: Signer, name: str, where: str) -> None:
    """What `prove` would do."""
    targets.announce(session)
    session.console.say(f"would upload {signer.certificate} to {where} as {name}, and fetch a verification code")
    with bench.locked(session) as locked:
        proof.make(locked, signer, "CODE")
        session.console.say("would send the proof, which verifies the certificate")
        proof.clean_up(locked, signer)


def _prove(
    session: Session,
    place: Place,
    signer: Signer,
    certificate: Certificate,
    found: "CaCertificate | None",
    name: str,
) -> None:
    """Upload, code, proof, verify: each with the etag that the step before it returned."""
    access.unlock(session, signer)  # before the service is told anything
    uploaded = found
    if uploaded is None or uploaded.thumbprint != certificate.thumbprint:
        uploaded = place.certificates.upload(name, certificate.pem, etag=found.etag if found else None)
        session.console.say(f"uploaded {signer.certificate.name} as {name}")
    challenge = place.certificates.verification_code(name, etag=uploaded.etag)
    session.console.say(f"the {place.kind}'s code: {challenge.code}")
    try:
        with bench.locked(session) as locked:
            proof_pem = proof.make(locked, signer, challenge.code)
        result = place.certificates.verify(name, etag=challenge.etag, proof_pem=proof_pem)
    finally:
        _clean_up(session, signer)
    if not result.verified:
        raise CheckError(
            f"the {place.kind} took the proof, but {name} is still not verified.",
            things_to_try=["run this again: a new code is fetched"],
        )


def _require_own(
    session: Session, place: Place, found: "CaCertificate | None", own: Certificate, name: str, *, replace: bool
) -> None:
    """Another certificate under this name is likely a colleague's: it is never overwritten by accident."""
    if found is None or found.thumbprint == own.thumbprint:
        return
    if not replace:
        raise InputError(
            f"{name} on {place.name} is another certificate than this workspace's.",
            detail=(
                f"{f'on the {place.kind}:':<12} {found.thumbprint}  {found.subject}\n"
                f"{'here:':<12} {own.thumbprint}  {own.common_name}"
            ),
            things_to_try=[
                "use the team's authority: invoke ca-import --from FILE (a colleague's ca-export makes that file)",
                f"give yours a name of its own: {place.line} --name {name}-<user>",
                f"put yours in its place; the devices of the other are then refused: {place.line}{place.named} --replace",
            ],
        )
    for one in place.referring():
        session.console.say(f"  {one} goes by {name}: from now on, its devices are those of {own.common_name!r}")
    consent.ask(session, f"replace {name} ({found.thumbprint})", yes=True)


def _clean_up(session: Session, signer: Signer) -> None:
    with bench.locked(session) as locked:
        proof.clean_up(locked, signer)
