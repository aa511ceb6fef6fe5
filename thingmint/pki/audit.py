"""An audit of ca/ and devices/: every invariant of the authorities, proven from the files; nothing is changed."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from thingmint import files
from thingmint.errors import ThingmintError
from thingmint.pki import authority, database, identity, inspect, snapshot
from thingmint.pki.database import Row
from thingmint.pki.inspect import Certificate
from thingmint.pki.signer import Signer
from thingmint.workspace import Workspace


@dataclass(frozen=True)
class Finding:
    """One broken invariant, and what mends it: the next run by itself, or a person."""

    where: Path
    what: str
    cure: str


@dataclass(frozen=True)
class Report:
    """What was looked at, and what was found."""

    authorities: int
    certificates: int
    devices: int
    findings: tuple[Finding, ...]


def audit(workspace: Workspace) -> Report:
    """Look at everything; the caller holds the lock, so that nobody changes it meanwhile."""
    findings: list[Finding] = []
    authorities = certificates = 0
    issuer: Certificate | None = None
    sub_rows: dict[str, Row] = {}
    for signer in (authority.root(workspace), authority.intermediate(workspace)):
        if not signer.certificate.exists():
            if signer.folder.exists():
                findings.append(_half_made(signer))
            continue
        authorities += 1
        try:
            own = inspect.read_certificate(signer.certificate)
            rows = database.read(signer.index)
        except ThingmintError as error:
            findings.append(Finding(signer.folder, error.message, "restore it from a backup"))
            continue
        findings += _own(signer, own, issuer)
        findings += _database(signer, own, rows)
        certificates += len(rows)
        issuer, sub_rows = own, {row.serial: row for row in rows}
    devices = identity.certificates(workspace)
    for path in devices:
        findings += _device(path, issuer, sub_rows)
    # A staged *.new is nothing yet: the next renewal makes it anew.
    begun = [path for path in (workspace.devices / "renewing").glob("*") if path.suffix != ".new"]
    for name in sorted({path.stem for path in begun}):
        cure = f"invoke device --imei {name} finishes it"
        findings.append(Finding(workspace.devices / "renewing" / name, "a renewal was cut off", cure))
    return Report(authorities, certificates, len(devices), tuple(findings))


def _half_made(signer: Signer) -> Finding:
    return Finding(signer.folder, "an authority that was begun has no certificate", f"finish it: invoke {signer.name}")


def _own(signer: Signer, own: Certificate, parent: Certificate | None) -> Iterator[Finding]:
    """The authority's own files."""
    if not own.is_ca:
        yield Finding(signer.certificate, "it is no CA certificate", "bring back the right one")
    if own.expired:
        yield Finding(signer.certificate, f"it expired on {own.not_after:%Y-%m-%d}", "make a new authority")
    if not own.issued_by(parent or own):
        yield Finding(signer.certificate, "it was not issued by its parent", "bring back what belongs together")
    if parent and own.not_after > parent.not_after:
        yield Finding(signer.certificate, "it outlives its parent", "it fails when the parent ends")
    if signer.key.exists():  # it may be offline
        yield from _key(signer.key, own)
    if not signer.cnf.exists():
        yield Finding(signer.cnf, "it is missing", "the next run renders it")
    if snapshot.pending(signer.db):
        yield Finding(signer.db, "a run was cut off while it signed", "the next run puts the database back")
    for leftover in signer.db.glob("*.new"):
        yield Finding(leftover, "a run was cut off", "the next run that signs removes it")


def _database(signer: Signer, own: Certificate, rows: tuple[Row, ...]) -> Iterator[Finding]:
    """Rows and files tell one story: each row has its certificate, each certificate its row, no serial twice."""
    if not signer.serial.exists():
        yield Finding(signer.serial, "it is missing", "openssl rand -hex 16 into it, or restore it from a backup")
    if not signer.index.read_bytes().endswith(b"\n") and rows:
        yield Finding(signer.index, "its last row is torn", "restore it from a backup")
    for serial, count in Counter(row.serial for row in rows).items():
        if count > 1:
            yield Finding(signer.index, f"the serial {serial} stands {count} times", "restore it from a backup")
    for name, count in Counter(row.common_name.casefold() for row in rows if row.status == "V").items():
        if count > 1:
            yield Finding(signer.index, f"{name!r} has {count} valid certificates", "revoke all but one")
    for row in rows:
        yield from _issued(signer.certs / f"{row.serial}.pem", row, own)
    known = {row.serial for row in rows}
    for path in sorted(signer.certs.glob("*.pem")):
        if path.stem not in known:
            yield Finding(path, "no row of the database knows it", f"move it to {signer.quarantine}")


def _issued(path: Path, row: Row, issuer: Certificate) -> Iterator[Finding]:
    if not path.exists():
        yield Finding(path, f"the certificate of {row.common_name!r} is missing", "restore it from a backup")
        return
    try:
        certificate = inspect.read_certificate(path)
    except ThingmintError as error:
        yield Finding(path, error.message, "restore it from a backup")
        return
    if certificate.serial != row.serial or certificate.common_name != row.common_name:
        yield Finding(path, f"it is not the certificate of its row, {row.common_name!r}", "restore it from a backup")
    if not certificate.issued_by(issuer):
        yield Finding(path, "this authority's key did not sign it", "restore the authority that did")


def _device(path: Path, issuer: Certificate | None, rows: dict[str, Row]) -> Iterator[Finding]:
    """A device's files against each other and against the authority."""
    try:
        certificate = inspect.read_certificate(path)
    except ThingmintError as error:
        yield Finding(path, error.message, "restore it from a backup")
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
    if issuer is None or not certificate.issued_by(issuer):
        yield Finding(path, "the intermediate of this workspace did not issue it", "bring back the one that did")
        return
    row = rows.get(certificate.serial)
    if row is None:
        yield Finding(path, "the authority's database does not know it", "restore the database from a backup")
    elif row.status == "R":
        yield Finding(path, "it was revoked", f"invoke device --imei {name} --renew")
    if not chain.exists() or chain.read_bytes() != certificate.pem + issuer.pem:
        yield Finding(chain, "it is not this certificate and its authority's", f"it is written again by: {again}")


def _key(path: Path, certificate: Certificate) -> Iterator[Finding]:
    try:
        if inspect.read_key_digest(path) != certificate.public_key:
            yield Finding(path, "it is not the key of its certificate", "bring back the one that is")
    except ThingmintError as error:
        yield Finding(path, error.message, "restore it from a backup")
    if files.open_to_others(path):
        yield Finding(path, f"others may read it (mode {path.stat().st_mode & 0o777:o})", f"chmod 600 {path}")
