"""rootca, subca and verify: from nothing to an authority whose devices the hub lets in."""

from thingmint.pki import bench
from thingmint.pki.authority import authority, family
from thingmint.pki.authority.authority import Made
from thingmint.session import Session
from thingmint.workflows import options, targets
from thingmint.workflows.authority import delegation
from thingmint.workflows.hub import possession


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
        possession.dry(session, signer, wanted, session.settings.azure.hub)
        return
    certificate = possession.checked(session, signer)
    hub = targets.open_hub(session)
    line, named = f"invoke verify{family.option(chosen.text)}", f" --name {name}" if name else ""
    place = possession.Place(hub.certificates, hub.target.hub, "hub", line, named)
    possession.prove(session, place, signer, certificate, wanted, replace=replace)
    session.console.say(
        f"  {hub.target.hub_host} lets in devices of {certificate.common_name!r} until {certificate.not_after:%Y-%m-%d}"
    )
    ca = "" if chosen in {family.DEFAULT, family.ROOT} else f" --ca {chosen}"
    session.console.next_step(f"invoke device --imei ID{ca}")


def _tell(session: Session, made: Made, what: str, *, next_task: str) -> None:
    if made.certificate:
        done = "made" if made.new else "unchanged"
        session.console.say(f"{done}: {what} {made.certificate.common_name!r} ({made.certificate.key})")
        session.console.say(
            f"  {made.signer.certificate}, until {made.certificate.not_after:%Y-%m-%d}, "
            f"thumbprint {made.certificate.thumbprint}"
        )
        session.console.next_step(next_task)
