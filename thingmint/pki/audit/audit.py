"""An audit of ca/ and devices/: every invariant of the authorities, proven from the files; nothing is changed."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from thingmint import files
from thingmint.errors import ThingmintError
from thingmint.pki import inspect
from thingmint.pki.audit import records
from thingmint.pki.audit.finding import Finding, unreadable
from thingmint.pki.authority import family
from thingmint.pki.bundle import joining
from thingmint.pki.device import identity
from thingmint.pki.inspect import Certificate
from thingmint.pki.signer import Signer
from thingmint.pki.store import snapshot
from thingmint.pki.store.index import Row
from thingmint.workspace import Workspace


@dataclass(frozen=True)
class Report:
    """What was looked at, and what was found."""

    authorities: int
    certificates: int
    devices: int
    findings: tuple[Finding, ...]
    unchecked: tuple[str, ...] = ()  # what cannot be looked at without asking for a secret


def audit(workspace: Workspace) -> Report:
    """Look at everything; the caller holds the lock, so that nobody changes it meanwhile."""
    findings: list[Finding] = []
    authorities = certificates = 0
    known: dict[str, dict[str, Row]] = {}
    for signer in family.everybody(workspace):
        try:
            if not signer.certificate.exists():
                findings.append(_half_made(signer))
                continue
            authorities += 1
            own = inspect.read_certificate(signer.certificate)
            findings += _own(workspace, signer, own)
            if signer.db.is_dir() and not snapshot.pending(signer.db):  # a database half changed proves nothing
                story = records.examine(signer, own)
                findings += story.findings
                certificates += len(story.rows or ())
                if story.rows is not None:
                    known[signer.name] = story.rows
        except (ThingmintError, OSError) as error:
            findings.append(unreadable(signer.folder, error))
    if joining.staging(workspace).exists():
        findings.append(Finding(joining.staging(workspace), "an import was cut off", "invoke ca-import again"))
    devices = identity.certificates(workspace)
    for path in devices:
        findings += _device(workspace, path, known)
    # A staged *.new is nothing yet: the next renewal makes it anew.
    begun = [
        path for path in (workspace.devices / "renewing").glob("*") if path.suffix != ".new" and path.name[0] != "."
    ]
    for name in sorted({path.stem for path in begun}):
        cure = f"invoke device --imei {name} finishes it"
        findings.append(Finding(workspace.devices / "renewing" / name, "a renewal was cut off", cure))
    return Report(authorities, certificates, len(devices), tuple(findings), tuple(_unchecked(workspace)))


def _unchecked(workspace: Workspace) -> Iterator[str]:
    """Keys that are locked: nothing is asked here, so whether they are their certificates' shows when they are used."""
    for signer in family.everybody(workspace):
        if signer.uri.exists():
            yield f"the key of {signer.name}, which is on a token"
        elif signer.encrypted:
            yield f"{signer.key}, which is encrypted"


def _half_made(signer: Signer) -> Finding:
    cure = f"finish it: invoke {_task(signer)}; signed elsewhere: invoke ca-import --from {signer.name}.chain.pem"
    return Finding(signer.folder, "an authority that was begun has no certificate", cure)


def _task(signer: Signer) -> str:
    return signer.name if signer.name in {family.ROOT.text, family.DEFAULT.text} else f"subca --name {signer.name}"


def _own(workspace: Workspace, signer: Signer, own: Certificate) -> Iterator[Finding]:
    """The authority's own files."""
    issuer = family.issuer_of(workspace, own)
    parent = inspect.read_certificate(issuer.certificate) if issuer else None
    if not own.is_ca:
        yield Finding(signer.certificate, "it is no CA certificate", "bring back the right one")
    if own.expired:
        yield Finding(signer.certificate, f"it expired on {own.not_after:%Y-%m-%d}", "make a new authority")
    if parent is None and family.root(workspace).certificate.exists():
        yield Finding(signer.certificate, "no authority here issued it", "bring back what belongs together")
    if parent and own.not_after > parent.not_after:
        yield Finding(signer.certificate, "it outlives its parent", "it fails when the parent ends")
    if signer.encrypted:
        yield from _mode(signer.key)
    elif signer.key.exists():  # it may be offline
        yield from _key(signer.key, own)
    if signer.token and signer.key.exists():  # (an unreadable URI raises)
        yield Finding(signer.uri, "its key is on a token, and in a file too", "move the one away that is not in use")
    if signer.db.is_dir() and not signer.cnf.exists():
        yield Finding(signer.cnf, "it is missing", f"it is rendered by: invoke {_task(signer)}")
    if snapshot.pending(signer.db):
        what = "a run was cut off while it signed"
        yield Finding(signer.db / "snapshot", what, "the database is put back", by_itself=True)
    leftovers = [path for path in signer.db.glob("*.new") if path.name.startswith(("snapshot", *snapshot.TRACKED))]
    for path in leftovers:
        yield Finding(path, "a run was cut off", "it is made anew", by_itself=True)


def _device(workspace: Workspace, path: Path, known: dict[str, dict[str, Row]]) -> Iterator[Finding]:
    """A device's files against each other and against the authority."""
    try:
        certificate = inspect.read_certificate(path)
    except ThingmintError as error:
        yield unreadable(path, error)
        return
    name, key, chain = path.stem, path.with_suffix(".key"), path.with_suffix(".chain.pem")
    again = f"invoke device --imei {name} --no-register"
    if certificate.common_name != name:
        yield Finding(path, f"it is for {certificate.common_name!r}", "bring back the right one")
    if certificate.expired:
        yield Finding(path, f"it expired on {certificate.not_after:%Y-%m-%d}", f"invoke device --imei {name} --renew")
    if not key.exists():
        yield Finding(key, "it is missing", f"bring it back, or: invoke device --imei {name} --renew")
    else:
        yield from _key(key, certificate)
    issuer = family.issuer_of(workspace, certificate)
    if issuer is None:
        yield Finding(path, "no authority of this workspace issued it", "bring back the one that did")
        return
    rows = known.get(issuer.name)  # None: its database is elsewhere, or damaged, which stands above
    row = rows.get(certificate.serial) if rows else None
    if rows is not None and row is None:
        yield Finding(path, "the authority's database does not know it", "restore the database from a backup")
    elif row and row.status == "R":
        yield Finding(path, "it was revoked", f"invoke device --imei {name} --renew")
    if not chain.exists() or chain.read_bytes() != identity.chain_pem(workspace, certificate):
        yield Finding(chain, "it is not this certificate and its authorities'", f"it is written again by: {again}")


def _key(path: Path, certificate: Certificate) -> Iterator[Finding]:
    try:
        if inspect.read_key_digest(path) != certificate.public_key:
            yield Finding(path, "it is not the key of its certificate", "bring back the one that is")
    except ThingmintError as error:
        yield unreadable(path, error)
    yield from _mode(path)


def _mode(path: Path) -> Iterator[Finding]:
    if files.open_to_others(path):
        yield Finding(path, f"others may read it (mode {path.stat().st_mode & 0o777:o})", f"chmod 600 {path}")
