"""Revocation lists (RFC 5280, 5): made by `openssl ca -gencrl`, read back before they are published."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from thingmint import files, openssl
from thingmint.errors import CheckError
from thingmint.pki.bench import Bench, explained
from thingmint.pki.keys import access
from thingmint.pki.signer import Signer
from thingmint.pki.signing.transaction import transaction
from thingmint.pki.store import index
from thingmint.pki.store.database import Database
from thingmint.pki.store.index import Row
from thingmint.shell import Finished

DAYS = 30
_CODE = re.compile("[0-9A-F]{48}", re.ASCII)  # a service's verification code, which is a proof's common name


@dataclass(frozen=True)
class Crl:
    """A published list: how many certificates it revokes, and when the next one is due (UTC).

    Apart from those, `proofs` of possession, each of which was revoked as soon as the service had it.
    """

    path: Path
    revoked: int
    proofs: int
    next_update: datetime


def make_crl(bench: Bench, signer: Signer) -> Crl | None:
    """Make and publish the list of all that the database calls revoked. None with --dry.

    Raises InputError where the signer cannot sign, CheckError where the list is not the database's.
    """
    workspace = bench.workspace
    line = openssl.ca_gencrl(cnf=signer.cnf.name, out=workspace.from_ca(workspace.staged(signer.crl)), days=DAYS)
    if bench.session.dry:
        access.ca(bench, signer, line)
        return None
    signer.able_to_sign()
    access.unlock(bench.session, signer)
    if bench.hardened and not signer.crl_number.exists():
        workspace.write(signer.crl_number, b"01\n", mode=files.SECRET)
    staged = workspace.staged(signer.crl)
    try:
        with transaction(bench, signer):
            workspace.stage(signer.crl, mode=files.PUBLIC)
            active, revoked = signer.index.read_bytes(), Database(signer).revoked()
            files.replace(signer.index, index.render(revoked), mode=files.SECRET)  # those in the ledger alone, too
            made = _read_back(access.ca(bench, signer, line), staged, signer, revoked)
            files.replace(signer.index, active, mode=files.SECRET)
        workspace.publish(signer.crl)
    finally:
        staged.unlink(missing_ok=True)  # of a list that was not made
    return made


def lists(signer: Signer, serial: str) -> bool:
    """Whether the published list revokes it. False, too, where no list can be read."""
    from cryptography import x509

    try:
        published = x509.load_pem_x509_crl(signer.crl.read_bytes())
        return published.get_revoked_certificate_by_serial_number(int(serial, 16)) is not None
    except (OSError, ValueError):
        return False


def _read_back(finished: Finished, path: Path, signer: Signer, revoked: Sequence[Row]) -> Crl:
    from cryptography import x509

    try:
        crl = x509.load_pem_x509_crl(path.read_bytes())
        issuer = x509.load_pem_x509_certificate(signer.certificate.read_bytes())
    except ValueError as error:
        raise explained(CheckError, f"openssl made no readable revocation list ({error})", finished) from None
    listed = {f"{one.serial_number:X}".zfill(2) for one in crl}
    wanted = {row.serial.lstrip("0").zfill(2) for row in revoked}
    if listed != wanted or not crl.is_signature_valid(issuer.public_key()) or crl.next_update_utc is None:  # type: ignore[arg-type]
        raise explained(CheckError, "the revocation list is not the database's", finished)
    proofs = sum(_CODE.fullmatch(row.common_name) is not None for row in revoked)
    return Crl(signer.crl, len(listed) - proofs, proofs, crl.next_update_utc)
