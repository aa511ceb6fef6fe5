"""The audit of devices/: each device's files against each other, and against its authority."""

import errno
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from thingmint.errors import ThingmintError, may_use
from thingmint.pki import inspect
from thingmint.pki.audit.finding import Finding, of_key, unreadable
from thingmint.pki.audit.kin import Kin
from thingmint.pki.authority import family
from thingmint.pki.device import identity
from thingmint.pki.device.record import KEYGEN, DeviceFiles, Record
from thingmint.pki.inspect import Certificate
from thingmint.pki.signer import Signer
from thingmint.pki.signing import revocation
from thingmint.pki.store.index import Row
from thingmint.workspace import Workspace

Known = Mapping[str, Mapping[str, Row]]
"""By authority, every row by serial number. An authority is absent whose database is elsewhere, or damaged."""


@dataclass(frozen=True)
class Devices:
    """`locked_out`: those whose certificate was revoked. That is somebody's will, and nothing of theirs is broken."""

    count: int
    findings: tuple[Finding, ...]
    locked_out: tuple[str, ...]


def examine(workspace: Workspace, kin: Kin, known: Known) -> Devices:
    """Changes nothing."""
    if workspace.devices.is_dir() and not may_use(workspace.devices):  # no empty one: nothing in it can be seen
        refused = PermissionError(errno.EACCES, "", str(workspace.devices))
        return Devices(0, (unreadable(workspace.devices, refused),), ())
    findings: list[Finding] = []
    locked_out: list[str] = []
    paths = identity.certificates(workspace)
    for path in paths:
        try:
            certificate = inspect.read_certificate(path)
        except ThingmintError as error:
            findings.append(unreadable(path, error))
            continue
        issuer = kin.issuer_of(certificate)
        row = known.get(issuer or "", {}).get(certificate.serial)
        if row and row.status == "R":
            locked_out.append(f"{path.stem} (revoked)")
            findings += _listed(next(one for one in kin.signers if one.name == issuer), certificate)
        else:
            findings += _device(path, certificate, kin, issuer, known)
    findings += _begun(workspace, known)
    # A staged *.new, or what is half written, is nothing yet: the next renewal makes it anew.
    found = [path for path in (workspace.devices / "renewing").glob("*") if path.name[0] != "."]
    renewing = [path for path in found if path.suffix != ".new"]
    for name in sorted({path.stem for path in renewing}):
        cure = f"invoke device --imei {name} finishes it"
        findings.append(Finding(workspace.devices / "renewing" / name, "a renewal was cut off", cure))
    return Devices(len(paths), tuple(findings), tuple(locked_out))


def _listed(signer: Signer, certificate: Certificate) -> Iterator[Finding]:
    """A revocation list that does not name a device that was locked out. Where there is none, nobody wanted one."""
    if signer.crl.exists() and not revocation.lists(signer, certificate.serial):
        what = f"it does not list {certificate.common_name!r} ({certificate.serial}), which is revoked"
        yield Finding(signer.crl, what, f"make it anew: invoke crl{family.option(signer.name)}")


def _device(path: Path, certificate: Certificate, kin: Kin, issuer: str | None, known: Known) -> Iterator[Finding]:
    """A device that is in use."""
    name = path.stem
    own = DeviceFiles(*(path.with_name(f"{name}{end}") for end in (".key", ".csr", ".pem", ".chain.pem", ".json")))
    if certificate.common_name != name:
        yield Finding(path, f"it is for {certificate.common_name!r}", "bring back the right one")
    if certificate.expired:
        yield Finding(path, f"it expired on {certificate.not_after:%Y-%m-%d}", own.renewed_by)
    yield from _key(own, name, certificate)
    yield from _request(own.csr)
    if issuer is None:
        yield Finding(path, "no authority of this workspace issued it", "bring back the one that did")
        return
    if issuer in known and certificate.serial not in known[issuer]:
        yield Finding(path, "the authority's database does not know it", "restore the database from a backup")
    yield from _companions(own, name, certificate, kin)


def _key(own: DeviceFiles, name: str, certificate: Certificate) -> Iterator[Finding]:
    """The key, or the CSR where the key is in the modem."""
    if own.key.exists():
        yield from of_key(own.key, certificate)
        return
    try:
        if not own.key_in_modem:
            cure = f"bring it back, or: invoke device --imei {name} --renew"
            if not own.record.exists():
                cure += f"; if the key is in a modem: bring {own.record.name} back"
            yield Finding(own.key, "it is missing", cure)
        elif own.csr.exists() and inspect.read_request(own.csr).public_key != certificate.public_key:
            yield Finding(own.csr, "it is not the CSR of its certificate", "bring back the one that is")
    except (ThingmintError, OSError):
        return  # who looks at the record, or at the CSR, says why


def _request(csr: Path) -> Iterator[Finding]:
    """It may be gone: nothing needs it once there is a certificate."""
    try:
        if csr.exists():
            inspect.read_request(csr)
    except ThingmintError as error:
        yield Finding(csr, error.message, "move it away: nothing needs it any more")


def _companions(own: DeviceFiles, name: str, certificate: Certificate, kin: Kin) -> Iterator[Finding]:
    """Chain and record, which follow from the certificate."""
    again = f"it is written again by: invoke device --imei {name} --no-register"
    try:
        links = (certificate, *(one for one in kin.above(certificate) if not one.issued_by(one)))
        if not own.chain.exists() or own.chain.read_bytes() != b"".join(one.pem for one in links):
            yield Finding(own.chain, "it is not this certificate and its authorities'", again)
    except OSError as error:
        yield unreadable(own.chain, error)
    try:
        record = Record.read(own.record)
        if record and record.serial != certificate.serial:
            yield Finding(own.record, "it tells of another certificate", again)
        if record and record.keygen_begun is not None:
            yield _keygen_begun(own.record, record.keygen_begun, f"{name} --renew")
    except (ThingmintError, OSError) as error:
        yield unreadable(own.record, error)


def _keygen_begun(record: Path, sec_tag: int, name: str) -> Finding:
    what = f"a run was cut off while a modem made a key in sec tag {sec_tag}"
    return Finding(record, what, f"invoke device --imei {name}{KEYGEN} goes on")


def _begun(workspace: Workspace, known: Known) -> Iterator[Finding]:
    """Keys and CSRs without a certificate: a run was cut off, before the authority had signed or after."""
    certified = {path.stem for path in identity.certificates(workspace)}
    held = {path.stem for end in ("*.key", "*.csr") for path in workspace.devices.glob(end)}
    begun = sorted(held - certified)
    for record in sorted(workspace.devices.glob("*.json")):
        if record.stem not in held | certified and (told := _record(record)) and told.keygen_begun is not None:
            yield _keygen_begun(record, told.keygen_begun, record.stem)
    valid = {row.common_name: (name, row) for name, rows in known.items() for row in rows.values() if row.valid}
    for name in begun:
        where = workspace.devices / f"{name}.pem"
        if not where.with_name(f"{name}.key").exists():
            csr = where.with_name(f"{name}.csr")
            told = _record(csr.with_suffix(".json"))
            if told and told.key_in_modem:
                what = "a run was cut off: the CSR of a key in a modem waits"
                yield Finding(csr, what, f"invoke device --imei {name}{KEYGEN} finishes it")
                continue
            yield Finding(csr, "it has lost its key", "bring the key back, or move the CSR away")
            continue
        authority, row = valid.get(name, ("", None))
        ca = f" --ca {authority}" if authority not in {"", family.DEFAULT.text} else ""
        what = f"{row.serial} was issued and not published" if row else "there is a key and no certificate"
        cure = f"finished by the line of its series, or: invoke device --imei {name}{ca}"
        yield Finding(where, f"a run was cut off: {what}", cure)


def _record(path: Path) -> Record | None:
    """Of a device without a certificate: None where there is none, or nothing can be read."""
    try:
        return Record.read(path)
    except (ThingmintError, OSError):
        return None
