"""The audit of one authority's database: index.txt, ledger, certs/ and serial.txt have to tell one story."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from thingmint import openssl
from thingmint.errors import ThingmintError
from thingmint.pki import inspect
from thingmint.pki.audit.finding import RESTORE, Finding, unreadable
from thingmint.pki.inspect import Certificate
from thingmint.pki.signer import Signer
from thingmint.pki.store.database import Database
from thingmint.pki.store.index import Row


@dataclass(frozen=True)
class Story:
    """What the three tell. `rows` is None where neither index nor ledger can be read, so that nothing follows from it."""

    rows: dict[str, Row] | None
    findings: tuple[Finding, ...]


def examine(signer: Signer, own: Certificate) -> Story:
    """`own` is the authority's certificate. Changes nothing."""
    database = Database(signer)
    findings = [*_files(signer, database)]
    active: dict[str, Row] | None = None
    archived: dict[str, Row] = {}
    keys: dict[str, str] = {}
    try:
        archived, keys = database.archived()
    except ThingmintError as error:
        return Story(None, (*findings, unreadable(signer.ledger, error)))
    try:
        active = {row.serial: row for row in database.active()}
    except ThingmintError as error:
        if not database.mendable():
            return Story(None, (*findings, unreadable(signer.index, error)))
        findings.append(Finding(signer.index, error.message, "it begins anew: the ledger knows all that it held", True))
    rows = archived | (active or {})
    findings += _two_books(signer, archived, active or {})
    findings += _names(signer, rows, keys)
    for row in rows.values():
        findings += _issued(signer, row, own, keys, in_ledger=row.serial in archived)
    for path in database.strangers(list(rows.values())):
        cure = f"restore a newer db/; if it was never delivered: move it to {signer.quarantine}"
        findings.append(Finding(path, "no row of the database knows it", cure))
    return Story(rows, tuple(findings))


def _files(signer: Signer, database: Database) -> Iterator[Finding]:
    if not signer.attributes.exists():
        yield Finding(signer.attributes, "it is missing", "it is written anew", by_itself=True)
    try:
        serial = signer.serial.read_bytes() if signer.serial.exists() else None
    except OSError as error:
        yield unreadable(signer.serial, error)
        return
    if serial is None or not openssl.is_serial(serial):
        what = "it is missing" if serial is None else "it holds no serial number"
        yield Finding(signer.serial, what, "it becomes a new random number", by_itself=True)
    elif not database.may_give(serial):
        what = "the number in it was given already"
        yield Finding(signer.serial, what, "it becomes a new random number", by_itself=True)


def _two_books(signer: Signer, archived: dict[str, Row], active: dict[str, Row]) -> Iterator[Finding]:
    """The index is the newer one, except that a revocation is final, whoever tells it."""
    for serial, row in active.items():
        other = archived.get(serial)
        if other is None or (row.status, row.revoked) != (other.status, other.revoked):
            if other and other.status == "R":
                what = f"it has forgotten that {row.common_name!r} ({serial}) was revoked"
                yield Finding(signer.index, what, "it is told again by the ledger", by_itself=True)
            else:
                what = f"it does not know yet that {row.common_name!r} ({serial}) is {_STATUS[row.status]}"
                yield Finding(signer.ledger, what, "it is told by index.txt", by_itself=True)
        if other and (row.subject, row.expires) != (other.subject, other.expires):
            what = f"it calls {serial} {other.common_name!r} until {other.expires}, and index.txt {row.common_name!r} until {row.expires}"
            yield Finding(signer.ledger, what, "see the certificate, and restore the wrong one from a backup")


_STATUS = {"V": "valid", "R": "revoked", "E": "expired"}


def _names(signer: Signer, rows: dict[str, Row], keys: dict[str, str]) -> Iterator[Finding]:
    for name, count in Counter(row.common_name.casefold() for row in rows.values() if row.valid).items():
        if count > 1:
            yield Finding(signer.index, f"{name!r} has {count} valid certificates", "revoke all but one")
    bearers = defaultdict(set)
    for serial, key in keys.items():
        bearers[key].add(rows[serial].common_name)
    for names in bearers.values():
        if len(names) > 1:
            what = f"one key was certified for {' and '.join(sorted(map(repr, names)))}"
            yield Finding(signer.ledger, what, "revoke those that did not make it, and give them keys of their own")


def _issued(
    signer: Signer, row: Row, issuer: Certificate, keys: dict[str, str], *, in_ledger: bool
) -> Iterator[Finding]:
    """One row against its certificate, and the ledger's public key against both."""
    path = signer.certificate_of(row.serial)
    if not path.exists():
        yield Finding(path, f"the certificate of {row.common_name!r} is missing", RESTORE)
        return
    try:
        certificate = inspect.read_certificate(path)
    except ThingmintError as error:
        yield unreadable(path, error)
        return
    if certificate.serial != row.serial or certificate.common_name != row.common_name:
        yield Finding(path, f"it is not the certificate of its row, {row.common_name!r}", RESTORE)
        return
    if certificate.not_after != row.ends:
        yield Finding(path, f"it ends at {certificate.not_after}, and its row says {row.ends}", RESTORE)
    if not certificate.issued_by(issuer):
        yield Finding(path, "this authority's key did not sign it", "restore the authority that did")
    if in_ledger and row.serial not in keys:
        what = f"it does not know the key of {row.common_name!r} ({row.serial})"
        yield Finding(signer.ledger, what, "it is told by the certificate", by_itself=True)
    elif in_ledger and keys[row.serial] != certificate.public_key:
        what = f"it knows another key for {row.common_name!r} ({row.serial}) than its certificate has"
        yield Finding(signer.ledger, what, "restore the wrong one from a backup")
