"""ca-export and ca-import: the authorities of one workspace in another, sealed on the way."""

from collections.abc import Callable, Sequence
from pathlib import Path

from thingmint import files, sealed
from thingmint.errors import CheckError, InputError
from thingmint.pki import bench, inspect
from thingmint.pki.authority import family
from thingmint.pki.bundle import bundle, joining, vetting
from thingmint.pki.bundle.bundle import Bundle, Share
from thingmint.pki.bundle.joining import Step
from thingmint.session import Session
from thingmint.workflows import consent, options, targets
from thingmint.workflows.authority import delegation

_LARGEST_FILE = 129 * 2**20  # a little more than any bundle


def ca_export(
    session: Session, *, to: str | None, recipient: Sequence[str] = (), with_root_key: bool = False
) -> Path | None:
    """Seal every authority for a passphrase, or for the recipients' certificates, into a new file."""
    targets.announce(session)
    target = options.new_file(to, "--to", "team.bundle")
    certificates = [_recipient(path) for path in recipient]
    with bench.locked(session) as locked:
        found = bundle.collect(locked, with_root_key=with_root_key)
    if session.dry:
        session.console.say(f"would seal the authorities into {target}")
        return None
    _require_something_whole(session, found)
    _tell(session, found)
    _say_what_stays(session, found, with_root_key=with_root_key)
    data = bundle.pack(found)
    if len(data) > sealed.MOST_DATA:
        raise bundle.too_large(len(data), most=sealed.MOST_DATA)
    if certificates:
        content = sealed.seal_for_recipients(data, certificates)
    else:
        content = sealed.seal_for_passphrase(data, session.passphrases.new("bundle", target.name))
    options.new_file(to, "--to", "team.bundle")  # somebody may have made it while the passphrase was typed
    files.replace(target, content, mode=files.SECRET)
    how = f"{len(certificates)} recipient(s)" if certificates else "a passphrase"
    session.console.say(f"made: {target}, {len(content) / 1024:.0f} KiB, sealed for {how}")
    if not certificates:
        session.console.say("  tell the passphrase another way than the file goes")
    session.console.next_step(f"in the colleague's workspace: invoke ca-import --from {target.name}")
    return target


def _recipient(path: str) -> bytes:
    pem = options.content(path, "--recipient")
    try:
        sealed.require_recipient(pem)
    except InputError as error:
        raise InputError(f"--recipient {path}: {error.message}", things_to_try=error.things_to_try) from None
    return pem


def _require_something_whole(session: Session, found: Bundle) -> None:
    if not found.shares:
        raise InputError(
            f"there is no authority in {session.workspace.ca} to export.",
            things_to_try=["make them: invoke rootca subca"],
        )
    broken = list(vetting.problems(found))
    if broken:
        raise CheckError(
            "these authorities are not whole, and a bundle of them would be refused where it is opened.",
            detail=_some(broken),
            things_to_try=["see what is broken, and what mends it: invoke ca-check"],
        )


def _say_what_stays(session: Session, found: Bundle, *, with_root_key: bool) -> None:
    for signer in family.everybody(session.workspace):
        if not signer.certificate.exists():
            session.console.say(f"  left out: {signer.name}, which has no certificate yet")
    if with_root_key and any(share.is_root and share.key for share in found.shares):
        session.console.warn("the root key is inside: who opens the bundle can make authorities that the hub trusts.")


def ca_import(session: Session, *, source: str | None, key: str | None = None, yes: bool = False) -> None:
    """Open a bundle, show it, prove it, ask, then join it; or take a certificate chain that answers a CSR of ours."""
    targets.announce(session)
    if source is None:
        raise InputError("no file was named.", things_to_try=["e.g. invoke ca-import --from team.bundle"])
    content = options.content(source, "--from", most=_LARGEST_FILE)
    if b"-----BEGIN " in content[:4096]:
        delegation.install(session, content, where=Path(source).name, yes=yes)
        return
    found = bundle.unpack(_opened(session, content, Path(source).name, key))
    session.console.say(f"{Path(source).name}, made on {found.made:%Y-%m-%d %H:%M} UTC:")
    _tell(session, found)
    if key is not None:
        session.console.say("  compare the thumbprints: being sealed for your key does not prove who made it")
    broken = list(vetting.problems(found))
    if broken:
        raise bundle.refused("what is inside does not hold together", detail=_some(broken))
    with bench.locked(session) as locked:
        news = any(step.changes for step in joining.plan(locked, found))
    if news:
        consent.ask_to_install(session, yes=yes)
    with bench.locked(session) as locked:  # nobody is locked out while the question waits; so it is planned again
        steps = joining.plan(locked, found)
        if not session.dry:
            joining.carry_out(locked, steps)
    for step in steps:
        _tell_step(session, step)
    session.console.next_step("invoke verify device --imei ID connect --imei ID")


def _tell(session: Session, found: Bundle) -> None:
    for share in found.shares:
        own = share.certificate
        end = f"{'EXPIRED on' if own.expired else 'until'} {own.not_after:%Y-%m-%d}"
        session.console.say(f"  {share.name}  {own.common_name!r}  {end}  thumbprint {own.thumbprint}  {_with(share)}")


def _with(share: Share) -> str:
    key = "no key" if share.key is None else "its key (encrypted)" if share.key_is_encrypted else "its key"
    return key if share.rows is None else f"{key}, {len(share.rows)} issued"


def _tell_step(session: Session, step: Step) -> None:
    say = session.console.say
    name, would = step.signer.name, "would be " if session.dry else ""
    if not step.changes:
        say(f"unchanged: {name}")
    elif step.new:
        say(f"{would}imported: {name}, {step.signer.folder}")
    else:
        revoked = sum(row.status == "R" for row in step.rows)
        news = [f"{len(step.rows)} row(s), {revoked} of them revoked"] if step.rows else []
        news += [f"{len(step.certs)} certificate(s)"] if step.certs else []
        news += ["its private key"] if step.key else []
        say(f"{would}completed: {name}: {', '.join(news) or 'its CRL number'}")
    if step.share.certificate.expired:
        session.console.warn(f"{name} expired on {step.share.certificate.not_after:%Y-%m-%d}: it signs nothing more.")
    for twice in () if session.dry else joining.twice_valid(step.signer):
        session.console.warn(f"{name} has issued {twice!r} in two workspaces; revoke one: invoke ca-check names it.")


def _opened(session: Session, content: bytes, name: str, key: str | None) -> bytes:
    """Its bytes, by passphrase or by a recipient's key; what fits is asked for as the bundle itself says."""
    if sealed.describe(content).kind == "passphrase":
        if key is not None:
            raise InputError(
                f"{name} is sealed for a passphrase, and --key opens those for recipients.",
                things_to_try=["leave --key out"],
            )
        return _asked(session, "bundle", name, lambda one: sealed.open_with_passphrase(content, one))
    if key is None:
        raise InputError(
            f"{name} is sealed for the holders of certain keys.",
            detail="\n".join(sealed.describe(content).recipients),
            things_to_try=["open it with the key of one of these certificates (SHA-256 thumbprints): --key KEY"],
        )
    pem = options.content(key, "--key")
    inspect.require_private(Path(key))
    if not inspect.is_encrypted(pem):
        return sealed.open_with_key(content, pem)
    return _asked(session, "recipient", Path(key).name, lambda one: sealed.open_with_key(content, pem, one))


def _asked(session: Session, what: str, label: str, attempt: Callable[[str], bytes]) -> bytes:
    opened: list[bytes] = []

    def opens(passphrase: str) -> bool:
        try:
            opened.append(attempt(passphrase))
        except sealed.WrongPassphraseError:
            return False
        return True

    passphrase = session.passphrases.proven(what, label, opens)
    return opened[0] if opened else attempt(passphrase)  # the second bundle of a command line


def _some(sentences: Sequence[str], most: int = 10) -> str:
    more = [f"and {len(sentences) - most} more"] if len(sentences) > most else []
    return "\n".join([*sentences[:most], *more])
