"""All that an authority ever issued: openssl's index.txt, which is kept short, and the ledger behind it."""

import contextlib
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from thingmint import files, openssl
from thingmint.errors import ThingmintError, ToolError
from thingmint.pki import inspect
from thingmint.pki.signer import Signer
from thingmint.pki.store import index, ledger
from thingmint.pki.store.index import Row
from thingmint.pki.store.ledger import Ledger

ACTIVE_ROWS = 250
"""From this length on, index.txt is emptied into the ledger after a transaction: openssl reads it whole each time."""


@dataclass(frozen=True)
class Database:
    """One authority's. Whoever changes it or asks for names holds the lock; `sync` comes first."""

    signer: Signer

    def active(self) -> tuple[Row, ...]:
        """What index.txt holds."""
        return index.read(self.signer.index)

    def status(self, serial: str) -> str:
        """V, R or E, or nothing where this authority did not issue it. Needs no lock."""
        for row in self.active():
            if row.serial == serial:
                return row.status
        with self._book() as book:
            archived = book.by_serial([serial]).get(serial) if book else None
        return archived.status if archived else ""

    @contextlib.contextmanager
    def _book(self) -> Iterator[Ledger | None]:
        """The ledger, or None where nothing was issued yet."""
        if not self.signer.ledger.exists():
            yield None
            return
        with ledger.opened(self.signer.ledger) as book:
            yield book

    def sync(self, keys: Mapping[str, str] | None = None, *, longest: int = ACTIVE_ROWS) -> None:
        """Bring into the ledger what openssl has recorded since, and empty an index.txt of more than `longest` rows.

        Between transactions only. The ledger is durable before the index is emptied.
        `keys`: serial number → digest of the public key, as far as known; the others are read from certs/.
        Raises ToolError where certs/ holds certificates that neither knows: the database was lost or replaced.
        """
        rows = self.active()
        with self._book() as book:
            ignorant = book is None or book.is_empty()
        if ignorant:
            strangers = self.strangers(rows)
            if strangers:
                raise ToolError(
                    f"{self.signer.index} does not know {strangers[0]}"
                    f"{f' and {len(strangers) - 1} others' if len(strangers) > 1 else ''}.",
                    things_to_try=[
                        "restore the folder db/ from a backup: without it, names and serials would be given twice",
                        f"or, if these were never delivered, move them to {self.signer.quarantine}",
                    ],
                )
        if not rows and not self.signer.ledger.exists():
            return
        with ledger.opened(self.signer.ledger) as book:
            known = book.by_serial(row.serial for row in rows)
            changed = [row for row in rows if known.get(row.serial) != row]
            digests = dict(keys or {})
            # A certificate that was damaged or away when its row came is read as soon as it is back.
            wanted = [row.serial for row in changed if row.serial not in known] + book.without_key()
            for serial in wanted:
                if serial not in digests and (key := self._public_key(serial)):
                    digests[serial] = key
            book.record(changed, digests)
        if len(rows) > longest:
            files.replace(self.signer.index, b"", mode=files.SECRET)

    def _public_key(self, serial: str) -> str | None:
        """None where the certificate is gone or damaged: the audit names it, and issuing goes on."""
        try:
            found = inspect.read_certificate(self.signer.certificate_of(serial))
        except ThingmintError:
            return None
        return found.public_key if found.serial == serial else None

    def valid(self, names: Iterable[str]) -> dict[str, Row]:
        """The valid rows of these common names, whatever their case, by casefolded name."""
        with self._book() as book:
            rows = book.by_name(names) if book else []
        return {row.common_name.casefold(): row for row in rows if row.valid}

    def bearers(self, public_keys: Iterable[str]) -> dict[str, Row]:
        """Which of these public keys were certified before, and in which row."""
        with self._book() as book:
            return book.by_public_key(public_keys) if book else {}

    def revoked(self) -> list[Row]:
        """Every revoked row, archived or not."""
        with self._book() as book:
            return book.revoked() if book else []

    def everything(self) -> dict[str, Row]:
        """Every row by serial number; index.txt is newer than the ledger."""
        return self.archived()[0] | {row.serial: row for row in self.active()}

    def archived(self) -> tuple[dict[str, Row], dict[str, str]]:
        """What the ledger holds: rows, and digests of public keys, by serial number."""
        with self._book() as book:
            return ({row.serial: row for row in book.all()}, book.public_keys()) if book else ({}, {})

    def strangers(self, rows: Sequence[Row]) -> list[Path]:
        """Certificates in certs/ that neither `rows` nor the ledger know."""
        unknown = {path.stem: path for path in certificates(self.signer)}
        for row in rows:
            unknown.pop(row.serial, None)
        with self._book() as book:
            for serial in book.by_serial(unknown) if book else ():
                del unknown[serial]
        return [unknown[serial] for serial in sorted(unknown)]

    def mendable(self) -> bool:
        """Whether the ledger alone knows every certificate, so that an index.txt that is damaged may begin anew."""
        return self.signer.ledger.exists() and not self.strangers(())

    def mend(self) -> Iterator[str]:
        """Put right what can be put right without guessing; says what was done. Nothing is deleted.

        A missing or damaged index.txt is replaced where the ledger knows every certificate in certs/. Revocations that
        a damaged one still tells are kept.
        """
        if not self.signer.attributes.exists() and self.signer.db.is_dir():
            files.replace(self.signer.attributes, b"unique_subject = yes\n", mode=files.SECRET)
            yield f"{self.signer.attributes} was missing: it is written anew"
        try:
            self.active()
        except ToolError as error:
            if not self.mendable():
                raise
            rows = index.salvage(self.signer.index) if self.signer.index.exists() else ()
            with ledger.opened(self.signer.ledger) as book:
                known = book.by_serial(row.serial for row in rows)
                book.record([row for row in rows if row.status == "R" and row.serial in known], {})
            if self.signer.index.exists():
                yield f"{error.message} It is kept as {self.set_aside(self.signer.index)}"
            files.replace(self.signer.index, b"", mode=files.SECRET)
            yield f"{self.signer.index} begins anew, empty: the ledger beside it knows all {len(certificates(self.signer))} certificates"
        else:
            yield from self._revoke_again()

    def _revoke_again(self) -> Iterator[str]:
        """A revocation is final: an index.txt that has forgotten some, as one from a backup has, is told of them."""
        rows, revoked = self.active(), self.forgotten()
        if revoked:
            kept = self._evidence(self.signer.index)
            files.create(kept, self.signer.index.read_bytes())
            told = index.render(revoked.get(row.serial, row) for row in rows)
            files.replace(self.signer.index, told, mode=files.SECRET)
            yield f"{self.signer.index} had forgotten {len(revoked)} revocation(s), which the ledger knows; it was kept as {kept}"

    def forgotten(self) -> dict[str, Row]:
        """The revoked rows, by serial number, that index.txt does not call revoked, although it has them."""
        doubtful = [row.serial for row in self.active() if row.status != "R"]
        with self._book() as book:
            known = book.by_serial(doubtful) if book else {}
        return {serial: row for serial, row in known.items() if row.status == "R"}

    def may_give(self, serial: bytes) -> bool:
        """Whether serial.txt may hold this: a number that was not given before."""
        if not openssl.is_serial(serial):
            return False
        with self._book() as book:
            return not (book and book.by_serial([serial.decode("ascii").strip().upper()]))

    def set_aside(self, path: Path) -> Path:
        """Move evidence to quarantine/."""
        target = self._evidence(path)
        files.rename(path, target)
        return target

    def _evidence(self, path: Path) -> Path:
        """A free name in quarantine/, that tells when."""
        files.make_private_directory(self.signer.quarantine)
        stem = f"{datetime.now(UTC):%Y%m%dT%H%M%S}"
        names = (f"{stem}{f'-{number}' if number else ''}-{path.name}" for number in itertools.count())
        return next(one for name in names if not (one := self.signer.quarantine / name).exists())


def certificates(signer: Signer) -> list[Path]:
    """Every file SERIAL.pem in certs/, in no order."""
    if not signer.certs.is_dir():
        return []
    with os.scandir(signer.certs) as entries:
        return [signer.certs / entry.name for entry in entries if entry.name.endswith(".pem")]
