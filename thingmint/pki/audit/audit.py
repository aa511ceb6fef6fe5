"""An audit of ca/ and devices/: every invariant of the authorities, proven from the files; nothing is changed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from thingmint import files
from thingmint.errors import ThingmintError
from thingmint.pki import inspect
from thingmint.pki.audit import devices, records
from thingmint.pki.audit.finding import Finding, of_key, of_mode, unreadable
from thingmint.pki.audit.kin import Kin
from thingmint.pki.authority import family
from thingmint.pki.bundle import joining
from thingmint.pki.inspect import Certificate
from thingmint.pki.signer import Signer
from thingmint.pki.store import snapshot
from thingmint.pki.store.database import certificates as certificates_of
from thingmint.pki.store.index import Row
from thingmint.workspace import Workspace


@dataclass(frozen=True)
class Report:
    """What was looked at, and what was found."""

    authorities: int
    certificates: int
    devices: int
    findings: tuple[Finding, ...]
    unchecked: tuple[str, ...] = ()  # what cannot be looked at here, or not without asking for a secret
    locked_out: tuple[str, ...] = ()  # devices whose certificate was revoked, which is no fault


def audit(workspace: Workspace) -> Report:
    """Look at everything; the caller holds the lock, so that nobody changes it meanwhile."""
    findings = [*_folders(workspace)]
    authorities = certificates = 0
    known: dict[str, dict[str, Row]] = {}
    kin = Kin.of(workspace)
    for signer in kin.signers:
        try:
            if not signer.certificate.exists():
                findings.append(_half_made(signer))
                continue
            authorities += 1
            own = inspect.read_certificate(signer.certificate)
            findings += _own(workspace, signer, own, kin)
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
    found = devices.examine(workspace, kin, known)
    return Report(
        authorities,
        certificates,
        found.count,
        (*findings, *found.findings),
        unchecked=tuple(_unchecked(kin)),
        locked_out=found.locked_out,
    )


def _folders(workspace: Workspace) -> Iterator[Finding]:
    """Who may enter where keys are. A clone's own folder is as open as the umask: there, only a stranger's pen counts."""
    for folder in (workspace.ca, workspace.devices):
        if folder.is_dir() and files.open_to_others(folder):
            what = f"it is open to others (mode {folder.stat().st_mode & 0o777:o})"
            yield Finding(folder, what, "it is closed to them", by_itself=True)
    mode = workspace.root.stat().st_mode & 0o777 if files.open_to_others(workspace.root) else 0
    if mode & 0o002:
        what = f"everybody may put other folders in place of ca/ and devices/ (mode {mode:o})"
        yield Finding(workspace.root, what, f"chmod o-w {workspace.root}")


def _unchecked(kin: Kin) -> Iterator[str]:
    """Keys that are locked: nothing is asked here, so whether they are their certificates' shows when they are used."""
    for signer in kin.signers:
        if signer.uri.exists():
            yield f"the key of {signer.name}, which is on a token"
        elif signer.encrypted:
            yield f"{signer.key}, which is encrypted"
        elif not signer.key.exists():
            yield f"the key of {signer.name}, which is not here"


def _half_made(signer: Signer) -> Finding:
    if certificates_of(signer):
        what = "an authority that has issued certificates has no certificate itself"
        return Finding(signer.folder, what, f"bring back {signer.certificate.name}; its parent's certs/ has it too")
    cure = f"finish it: invoke {_task(signer)}; signed elsewhere: invoke ca-import --from {signer.name}.chain.pem"
    return Finding(signer.folder, "an authority that was begun has no certificate", cure)


def _task(signer: Signer) -> str:
    return signer.name if signer.name in {family.ROOT.text, family.DEFAULT.text} else f"subca --name {signer.name}"


def _own(workspace: Workspace, signer: Signer, own: Certificate, kin: Kin) -> Iterator[Finding]:
    """The authority's own files."""
    issuer = kin.issuer_of(own)
    parent = kin.certificates[issuer] if issuer else None
    if not own.is_ca:
        yield Finding(signer.certificate, "it is no CA certificate", "bring back the right one")
    if own.expired:
        yield Finding(signer.certificate, f"it expired on {own.not_after:%Y-%m-%d}", "make a new authority")
    if parent is None and family.root(workspace).certificate.exists():
        yield Finding(signer.certificate, "no authority here issued it", "bring back what belongs together")
    if parent and own.not_after > parent.not_after:
        yield Finding(signer.certificate, "it outlives its parent", "it fails when the parent ends")
    if signer.encrypted:
        yield from of_mode(signer.key)
    elif signer.key.exists():  # it may be offline
        yield from of_key(signer.key, own)
    if signer.token and signer.key.exists():  # (an unreadable URI raises)
        yield Finding(signer.uri, "its key is on a token, and in a file too", "move the one away that is not in use")
    if signer.lost_database:
        cure = "restore db/ from a backup: without it, names and serial numbers would be given twice"
        yield Finding(signer.db, "its database is gone", cure)
    if signer.db.is_dir():
        yield from _cnf(signer)
    if snapshot.pending(signer.db):
        what = "a run was cut off while it signed"
        yield Finding(signer.db / "snapshot", what, "the database is put back", by_itself=True)
    leftovers = [path for path in signer.db.glob("*.new") if path.name.startswith(("snapshot", *snapshot.TRACKED))]
    for path in leftovers:
        yield Finding(path, "a run was cut off", "it is made anew", by_itself=True)
    if (staged := workspace.staged(signer.crl)).exists():
        yield Finding(staged, "a run was cut off before it had made the revocation list", "it is taken away", True)


def _cnf(signer: Signer) -> Iterator[Finding]:
    """What of it `openssl ca` cannot do without; the rest is anybody's to edit."""
    again = f"it is rendered by: invoke {_task(signer)}"
    if not signer.cnf.exists():
        yield Finding(signer.cnf, "it is missing", again)
        return
    try:
        sections = set(re.findall(r"^\s*\[\s*(\w+)\s*\]", signer.cnf.read_text(errors="replace"), re.MULTILINE))
    except OSError as error:
        yield unreadable(signer.cnf, error)
        return
    lacking = [name for name in ("ca", "ca_default", "policy_default") if name not in sections]
    if lacking:
        yield Finding(signer.cnf, f"it is damaged: it has no section [ {lacking[0]} ]", again)
