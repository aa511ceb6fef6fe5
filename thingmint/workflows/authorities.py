"""rootca, subca and verify: from nothing to an authority whose devices the hub lets in."""

from typing import TYPE_CHECKING

from thingmint.errors import CheckError, InputError
from thingmint.pki import bench
from thingmint.pki.authority import authority, family, proof
from thingmint.pki.authority.authority import Made
from thingmint.pki.inspect import Certificate
from thingmint.pki.keys import access
from thingmint.pki.signer import Signer
from thingmint.session import Session
from thingmint.workflows import consent, delegation, options, targets

if TYPE_CHECKING:
    from thingmint.hub.certificates import HubCertificate
    from thingmint.workflows.targets import Hub


def rootca(
    session: Session,
    *,
    cn: str | None = None,
    key: str | None = None,
    days: str | None = None,
    encrypt: bool = False,
) -> Made:
    """The self-signed root authority."""
    targets.announce(session)
    wish = options.authority_wish(cn=cn, key=key, days=days, encrypt=encrypt)
    with bench.locked(session) as locked:
        made = authority.make_root(locked, wish)
    _tell(session, made, "root CA", next_task="invoke subca")
    return made


def subca(
    session: Session,
    *,
    name: str | None = None,
    parent: str | None = None,
    cn: str | None = None,
    key: str | None = None,
    days: str | None = None,
    pathlen: str | None = None,
    encrypt: bool = False,
    csr_to: str | None = None,
    csr: str | None = None,
) -> Made | None:
    """An intermediate authority, signed by its parent. With `csr_to` or `csr`, one half of that; None after the first."""
    if csr_to is not None:
        options.require_alone("--csr-to", "who signs it decides", parent=parent, days=days, pathlen=pathlen, csr=csr)
        delegation.ask(session, name=name, csr_to=csr_to, cn=cn, key=key, encrypt=encrypt)
        return None
    if csr is not None:
        options.require_alone("--csr", "the CSR says it", cn=cn, key=key, encrypt=encrypt)
        return delegation.sign(session, name=name, csr=csr, parent=parent, days=days, pathlen=pathlen)
    targets.announce(session)
    wish = options.authority_wish(cn=cn, key=key, days=days, pathlen=pathlen, encrypt=encrypt)
    called, above = options.authority(name, family.DEFAULT), options.authority(parent)
    with bench.locked(session) as locked:
        made = authority.make_intermediate(locked, wish, name=called, parent=above)
    ca = "" if called == family.DEFAULT else f" --ca {called}"
    _tell(session, made, "intermediate CA", next_task=f"invoke verify{ca}")
    return made


def verify(session: Session, *, ca: str | None = None, name: str | None = None, replace: bool = False) -> None:
    """Upload an authority to the hub and prove possession of its key, as often as it is run: once."""
    chosen = options.authority(ca, family.DEFAULT)
    wanted = options.certificate_name(session, name, chosen)
    signer = family.require(session.workspace, chosen)
    if session.dry:
        _verify_dry(session, signer, wanted)
        return
    certificate = _checked(session, signer)
    hub = targets.open_hub(session)
    session.workspace.prepare()
    with session.workspace.locked("hub"):
        found = hub.certificates.get(wanted)
        if found and found.thumbprint == certificate.thumbprint and found.verified:
            _clean_up(session, signer)
            session.console.say(f"unchanged: {wanted} is verified on {hub.target.hub} already")
        else:
            _require_own(session, hub, found, certificate, wanted, replace=replace)
            _prove(session, hub, signer, certificate, found, wanted)
            session.console.say(f"verified: {wanted} on {hub.target.hub}, thumbprint {certificate.thumbprint}")
    session.console.say(
        f"  {hub.target.hub_host} lets in devices of {certificate.common_name!r} until {certificate.not_after:%Y-%m-%d}"
    )
    ca = "" if chosen in {family.DEFAULT, family.ROOT} else f" --ca {chosen}"
    session.console.next_step(f"invoke device --imei ID{ca}")


def _prove(
    session: Session,
    hub: "Hub",
    signer: Signer,
    certificate: Certificate,
    found: "HubCertificate | None",
    name: str,
) -> None:
    """Upload, code, proof, verify: each with the etag that the step before it returned."""
    access.unlock(session, signer)  # before the hub is told anything
    uploaded = found
    if uploaded is None or uploaded.thumbprint != certificate.thumbprint:
        uploaded = hub.certificates.upload(name, certificate.pem, etag=found.etag if found else None)
        session.console.say(f"uploaded {signer.certificate.name} as {name}")
    challenge = hub.certificates.verification_code(name, etag=uploaded.etag)
    session.console.say(f"the hub's code: {challenge.code}")
    try:
        with bench.locked(session) as locked:
            proof_pem = proof.make(locked, signer, challenge.code)
        result = hub.certificates.verify(name, etag=challenge.etag, proof_pem=proof_pem)
    finally:
        _clean_up(session, signer)
    if not result.verified:
        raise CheckError(
            f"the hub took the proof, but {name} is still not verified.",
            things_to_try=["run this again: a new code is fetched"],
        )


def _require_own(
    session: Session, hub: "Hub", found: "HubCertificate | None", own: Certificate, name: str, *, replace: bool
) -> None:
    """Another certificate under this name is likely a colleague's: it is never overwritten by accident."""
    if found is None or found.thumbprint == own.thumbprint:
        return
    if not replace:
        first_four = session.settings.azure.subscription_id[:4]
        raise InputError(
            f"{name} on {hub.target.hub} is another certificate than this workspace's.",
            detail=f"on the hub:  {found.thumbprint}  {found.subject}\nhere:        {own.thumbprint}  {own.common_name}",
            things_to_try=[
                "use the team's authority: invoke ca-import --from FILE (a colleague's ca-export makes that file)",
                f"give yours a name of its own: invoke verify --name cert-0x{first_four}-subca-<user>",
                "put yours in its place; the devices of the other are then refused: invoke verify --replace",
            ],
        )
    consent.ask(session, f"replace {name} ({found.thumbprint})", yes=True)


def _checked(session: Session, signer: Signer) -> Certificate:
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


def _clean_up(session: Session, signer: Signer) -> None:
    with bench.locked(session) as locked:
        proof.clean_up(locked, signer)


def _verify_dry(session: Session, signer: Signer, name: str) -> None:
    targets.announce(session)
    hub = session.settings.azure.hub
    session.console.say(f"would upload {signer.certificate} to {hub} as {name}, and fetch a verification code")
    with bench.locked(session) as locked:
        proof.make(locked, signer, "CODE")
        session.console.say("would send the proof, which verifies the certificate")
        proof.clean_up(locked, signer)


def _tell(session: Session, made: Made, what: str, *, next_task: str) -> None:
    if made.certificate:
        done = "made" if made.new else "unchanged"
        session.console.say(f"{done}: {what} {made.certificate.common_name!r} ({made.certificate.key})")
        session.console.say(
            f"  {made.signer.certificate}, until {made.certificate.not_after:%Y-%m-%d}, "
            f"thumbprint {made.certificate.thumbprint}"
        )
        session.console.next_step(next_task)
