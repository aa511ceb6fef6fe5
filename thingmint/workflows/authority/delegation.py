"""subca --csr-to, subca --csr and ca-import of what came back: an authority signed in another workspace."""

from pathlib import Path

from thingmint import files
from thingmint.errors import InputError
from thingmint.ids import AuthorityName
from thingmint.pki import bench, inspect
from thingmint.pki.authority import delegation, family
from thingmint.pki.authority.authority import Made
from thingmint.session import Session
from thingmint.workflows import consent, options, targets


def ask(
    session: Session,
    *,
    name: str | None,
    csr_to: str,
    cn: str | None = None,
    key: str | None = None,
    encrypt: bool = False,
) -> delegation.Asked:
    """Make an authority's key and CSR, to be signed elsewhere; a copy of the CSR goes to the file `csr_to`."""
    targets.announce(session)
    wish, called = options.authority_wish(cn=cn, key=key, encrypt=encrypt), _named(name)
    target = Path(csr_to).absolute()
    if not _may_hold(session, target, called):
        options.new_file(csr_to, "--csr-to", f"{called}.csr")
    with bench.locked(session) as locked:
        asked = delegation.ask(locked, called, wish)
        if asked.request and not target.exists():
            files.replace(target, asked.request.pem)
    if asked.request:
        say = session.console.say
        say(f"{'made' if asked.new else 'unchanged'}: CSR of {asked.request.common_name!r} ({asked.request.key})")
        say(f"  {target}, SHA-256 of its public key {asked.request.public_key}")
        say(f"  key: {asked.signer.token or asked.signer.key} (it stays here)")
        then = f"then here, with what comes back: invoke ca-import --from {called}.chain.pem"
        session.console.next_step(f"at the owner of the root: invoke subca --name {called} --csr {target.name}; {then}")
    return asked


def _may_hold(session: Session, target: Path, name: AuthorityName) -> bool:
    """Whether the file is there and already is what would be written."""
    csr = family.signer(session.workspace, name).csr
    return target.is_file() and csr.exists() and target.read_bytes() == inspect.read_request(csr).pem


def sign(
    session: Session,
    *,
    name: str | None,
    csr: str,
    parent: str | None = None,
    days: str | None = None,
    pathlen: str | None = None,
) -> Made:
    """Sign an authority's CSR that was made elsewhere."""
    targets.announce(session)
    wish = options.wish(days=days, pathlen=pathlen)
    called, above = _named(name), options.authority(parent)
    request = inspect.parse_request(
        options.content(csr, "--csr"), where=csr, things_to_try=["ask for it again: --csr-to makes it"]
    )
    with bench.locked(session) as locked:
        made = delegation.sign(locked, called, request, csr, parent=above, wish=wish)
    if made.certificate:
        own, say = made.certificate, session.console.say
        say(f"{'signed' if made.new else 'unchanged'}: {called}, {own.common_name!r} ({own.key}), its key is elsewhere")
        say(f"  until {own.not_after:%Y-%m-%d}, thumbprint {own.thumbprint}")
        say(f"  SHA-256 of its public key {own.public_key}: the asker's `--csr-to` showed the same")
        there = f"there: invoke ca-import --from {called}.chain.pem"
        session.console.next_step(f"send back {delegation.chain_file(made.signer)}; {there}")
    return made


def install(session: Session, pem: bytes, *, where: str, yes: bool = False) -> None:
    """Take the chain that answers a CSR of this workspace."""
    if b"PRIVATE KEY-----" in pem:
        raise InputError(
            f"{where} holds a private key; a chain that comes back has none. Nothing was written.",
            things_to_try=["keys travel sealed: ca-export makes a bundle of them"],
        )
    chain = inspect.parse_chain(pem, where=where)
    session.console.say(f"{where}:")
    for one in chain:
        session.console.say(f"  {one.common_name!r}  until {one.not_after:%Y-%m-%d}  thumbprint {one.thumbprint}")
    here = [one.certificate for one in family.everybody(session.workspace) if one.certificate.exists()]
    if chain[0].pem not in [inspect.read_certificate(path).pem for path in here]:
        consent.ask_to_install(session, yes=yes)
    with bench.locked(session) as locked:
        taken = delegation.take(locked, chain, where)
    would = "would be " if session.dry else ""
    done = f"{would}imported" if taken.new else "unchanged"
    session.console.say(f"{done}: {taken.signer.name}, {taken.signer.certificate}; above it: {', '.join(taken.above)}")
    session.console.next_step(f"invoke verify --ca {taken.signer.name} device --imei ID --ca {taken.signer.name}")


def _named(name: str | None) -> AuthorityName:
    if name is None:
        raise InputError("no authority was named.", things_to_try=["e.g. --name factory-a"])
    if name == family.ROOT.text:
        raise InputError("a root signs itself: nobody is asked for it.", things_to_try=["e.g. --name factory-a"])
    return AuthorityName.parse(name)
