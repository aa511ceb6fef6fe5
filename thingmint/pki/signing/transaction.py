"""`openssl ca` as a transaction: a snapshot, its line, checks, a commit by one rename; put back after any failure.

It takes no lock, syncs nothing and renames in six steps. So the caller holds the lock (Bench), and what happens inside
`transaction` is kept whole or not at all, through kills too: every use of an authority begins with `recover`.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from thingmint import files, openssl
from thingmint.errors import CheckError, InputError, ToolError
from thingmint.pki import inspect
from thingmint.pki.bench import Bench, explained
from thingmint.pki.keys import access
from thingmint.pki.signer import Signer
from thingmint.pki.store import index, snapshot
from thingmint.pki.store.database import Database


@contextlib.contextmanager
def transaction(bench: Bench, signer: Signer) -> Iterator[dict[str, str]]:
    """What happens inside is kept whole or not at all: on any error, and at the next start after a kill.

    Whoever issues inside may put down what the ledger shall know of it: serial number → digest of the public key.
    """
    recover(bench, signer)
    keys: dict[str, str] = {}
    try:
        snapshot.take(signer.db)
        yield keys
    except BaseException:  # Ctrl-C too
        if snapshot.pending(signer.db):
            _put_back(signer)
        raise
    snapshot.commit(signer.db)
    Database(signer).sync(keys)


def recover(bench: Bench, signer: Signer) -> None:
    """Undo what a run left that was cut off, and mend what can be mended. Every use of an authority begins with this.

    Raises ToolError where its database is damaged or gone, and nothing here knows what it held.
    """
    if bench.session.dry:
        return
    if signer.lost_database:
        raise ToolError(
            f"the database of {signer.name} is gone: there is no {signer.db}.",
            things_to_try=["restore db/ from a backup: without it, names and serial numbers would be given twice"],
        )
    if not signer.db.is_dir():
        return
    snapshot.sweep(signer.db)
    bench.workspace.staged(signer.crl).unlink(missing_ok=True)  # a list that was never made
    say = bench.session.console.say
    if snapshot.pending(signer.db):
        say(f"an earlier run was cut off: the database of {signer.name} is put back")
        for moved in _put_back(signer):
            say(f"a certificate that it had not recorded is kept as {moved}")
    if not signer.key.exists() and not signer.index.exists():
        return  # an authority whose key and database are elsewhere
    database = Database(signer)
    for deed in database.mend():
        say(deed)
    if not database.may_give(signer.serial.read_bytes() if signer.serial.exists() else b""):
        # rand_serial needs no counter, and with the article's cnf a fresh random start repeats none.
        serial = bench.openssl(*openssl.rand_serial(), redirect=bench.workspace.from_ca(signer.serial))
        files.replace(signer.serial, serial.stdout.encode("ascii"), mode=files.SECRET)
        say(f"{signer.serial} was missing, damaged or of the past: it is a new random number")
    database.sync()


def _put_back(signer: Signer) -> list[Path]:
    """The snapshot's files return; certificates that nobody knows are kept apart, since nothing may be lost.

    Raises ToolError, and changes nothing, where the saved index is damaged and no ledger knows what it held.
    """
    saved = signer.db / "snapshot" / "index.txt"
    database = Database(signer)
    try:
        known = index.read(saved)
    except ToolError:
        if not signer.ledger.exists():
            raise
        known = index.salvage(saved) if saved.exists() else ()
    moved = [database.set_aside(path) for path in database.strangers(known)]
    snapshot.put_back(signer.db, database.set_aside)
    return moved


def revoke(bench: Bench, signer: Signer, certificate: Path, *, reason: str) -> None:
    """Mark a certificate of this authority's as revoked. openssl would accept a foreign one: its issuer is checked here."""
    if bench.session.dry:
        access.ca(bench, signer, _line(bench, signer, certificate, reason))
        return
    found = inspect.read_certificate(certificate)
    if not found.issued_by(signer.able_to_sign()):
        raise InputError(f"{certificate} was not issued by {signer.name}, which therefore cannot revoke it.")
    access.unlock(bench.session, signer)
    with transaction(bench, signer):
        revoke_within(bench, signer, certificate, found.serial, reason=reason)


def revoke_within(bench: Bench, signer: Signer, certificate: Path, serial: str, *, reason: str) -> None:
    """The same, in a transaction that the caller has opened. Also of one whose row is in the ledger alone."""
    finished = access.ca(bench, signer, _line(bench, signer, certificate, reason))
    if Database(signer).status(serial) != "R":
        raise explained(CheckError, f"openssl did not record {serial} as revoked", finished)


def _line(bench: Bench, signer: Signer, certificate: Path, reason: str) -> tuple[str, ...]:
    return openssl.ca_revoke(cnf=signer.cnf.name, certificate=bench.workspace.from_ca(certificate), reason=reason)
