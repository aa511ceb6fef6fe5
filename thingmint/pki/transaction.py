"""`openssl ca` as a transaction: checks before, a snapshot, the article's line, checks after, commit, publish.

Its exit code 0 is no success, it takes no lock, syncs nothing and renames in six steps. So the caller holds the lock
(Bench), and here everything it claims is read back before anything is published. One request or many: the same path.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from thingmint import files, openssl
from thingmint.errors import CheckError, InputError, ToolError
from thingmint.pki import database, inspect, snapshot
from thingmint.pki.bench import Bench, explained
from thingmint.pki.database import Row
from thingmint.pki.inspect import Certificate, SigningRequest
from thingmint.pki.signer import Signer
from thingmint.shell import Finished
from thingmint.workspace import Workspace


@dataclass(frozen=True)
class Request:
    """A CSR to sign, where its certificate shall be published, and what the certificate has to be."""

    csr: Path
    out: Path
    common_name: str
    is_ca: bool = False


def issue(
    bench: Bench,
    signer: Signer,
    requests: Sequence[Request],
    *,
    extensions: str | None = None,
    selfsign: bool = False,
    days: int | None = None,
    superseded: Sequence[Path] = (),
) -> tuple[Certificate, ...]:
    """Sign and publish, all or none; in the order of `requests`. Empty with --dry.

    `days` None means the cnf's default_days; either is clipped to the signer's own notAfter. A certificate that an
    interrupted run had already issued for the same CSR is published instead of issuing a second. The certificates
    `superseded` are revoked first, in the same transaction: their names become free with it, or not at all.
    Raises InputError, ToolError or CheckError; the database is then as it was.
    """
    workspace = bench.workspace
    if bench.session.dry:
        for old in superseded:
            bench.openssl(*_revocation(bench, signer, old, "superseded"))
        staged = [workspace.stage(request.out, mode=files.PUBLIC) for request in requests]
        bench.openssl(*_line(bench, signer, requests, staged, extensions, selfsign=selfsign, days=days, end=None))
        for request in requests:
            workspace.publish(request.out)
        return ()
    issuer = None if selfsign else signer.able_to_sign()
    issued = _already_issued(signer, requests)
    missing = [request for request in requests if request not in issued]
    if missing:
        freed = _still_valid(signer, superseded)
        _require_acceptable(signer, missing, freed=set(freed.values()))
        staged = [workspace.stage(request.out, mode=files.PUBLIC) for request in missing]
        end = _clipped_end(bench, issuer, days)
        line = _line(bench, signer, missing, staged, extensions, selfsign=selfsign, days=days, end=end)
        with transaction(bench, signer):
            for old, serial in freed.items():
                _revoke(bench, signer, old, serial, "superseded")
            before = signer.index.read_bytes()
            finished = bench.openssl(*line)
            issued |= _read_back(finished, signer, missing, before=before, issuer=issuer)
            if bench.hardened and issuer:
                _require_strictly_valid(bench, signer, [issued[request] for request in missing])
        for source, request in zip(staged, missing, strict=True):
            files.replace(source, issued[request].pem)  # a batch's are empty so far; on Windows openssl writes CRLF
    for request in requests:
        workspace.publish(request.out)
    return tuple(issued[request] for request in requests)


def revoke(bench: Bench, signer: Signer, certificate: Path, *, reason: str) -> None:
    """Mark a certificate of this signer's as revoked. openssl would accept a foreign one: its issuer is checked here."""
    if bench.session.dry:
        bench.openssl(*_revocation(bench, signer, certificate, reason))
        return
    found = inspect.read_certificate(certificate)
    if not found.issued_by(signer.able_to_sign()):
        raise InputError(f"{certificate} was not issued by {signer.name}, which therefore cannot revoke it.")
    with transaction(bench, signer):
        _revoke(bench, signer, certificate, found.serial, reason)


@contextlib.contextmanager
def transaction(bench: Bench, signer: Signer) -> Iterator[None]:
    """What happens inside is kept whole or not at all: on any error, and at the next start after a kill."""
    recover(bench, signer)
    try:
        snapshot.take(signer.db)
        yield
    except BaseException:  # Ctrl-C too
        if snapshot.pending(signer.db):
            _put_back(signer)
        raise
    snapshot.commit(signer.db)


def recover(bench: Bench, signer: Signer) -> None:
    """Undo what a run left that was cut off. Every use of a signer begins with this."""
    if bench.session.dry or not signer.db.is_dir():
        return
    snapshot.sweep(signer.db)
    if snapshot.pending(signer.db):
        bench.session.console.say(f"an earlier run was cut off: the database of {signer.name} is put back")
        for moved in _put_back(signer):
            bench.session.console.say(f"a certificate that it had not recorded is kept as {moved}")


def _put_back(signer: Signer) -> list[Path]:
    """The snapshot's files return; certificates that they do not know are kept apart, since nothing may be lost."""
    saved = signer.db / "snapshot" / "index.txt"
    known = {row.serial for row in database.read(saved)} if saved.exists() else set()
    strangers = [path for path in signer.certs.glob("*.pem") if path.stem not in known]
    moved = []
    for path in strangers:
        files.make_private_directory(signer.quarantine)
        target = signer.quarantine / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{path.name}"
        files.rename(path, target)
        moved.append(target)
    snapshot.put_back(signer.db)
    return moved


def _line(
    bench: Bench,
    signer: Signer,
    requests: Sequence[Request],
    staged: Sequence[Path],
    extensions: str | None,
    *,
    selfsign: bool,
    days: int | None,
    end: datetime | None,
) -> tuple[str, ...]:
    return openssl.ca_sign(
        cnf=signer.cnf.name,
        requests=[bench.workspace.from_ca(request.csr) for request in requests],
        out=bench.workspace.from_ca(staged[0]) if len(requests) == 1 else None,
        selfsign=selfsign,
        extensions=extensions,
        days=days,
        end=end,
    )


def _already_issued(signer: Signer, requests: Sequence[Request]) -> dict[Request, Certificate]:
    """Committed by a run that was cut off before it published: valid rows whose certificate is for the CSR's key."""
    rows = {row.common_name: row for row in database.read(signer.index) if row.status == "V"}
    found = {}
    for request in requests:
        row = rows.get(request.common_name)
        path = signer.certs / f"{row.serial}.pem" if row else None
        if path is None or not path.exists():
            continue
        certificate = inspect.read_certificate(path)
        if certificate.public_key == inspect.read_request(request.csr).public_key:
            files.replace(Workspace.staged(request.out), certificate.pem)
            found[request] = certificate
    return found


def _require_acceptable(signer: Signer, requests: Sequence[Request], *, freed: set[str]) -> None:
    """What openssl would sign, skip or abort on without saying which request it was."""
    recorded = database.read(signer.index)
    if not recorded and any(signer.certs.glob("*.pem")):
        raise ToolError(
            f"{signer.index} is empty, although {signer.certs} holds issued certificates.",
            things_to_try=["restore it from a backup; an empty one would let names and serials be given twice"],
        )
    rows = [row for row in recorded if row.status != "R" and row.serial not in freed]
    taken = {row.common_name.casefold(): row for row in rows}
    for request in requests:
        csr = inspect.read_request(request.csr)
        _require_subject(csr, request)
        row = taken.get(request.common_name.casefold())
        if row:
            raise InputError(
                f"{signer.name} has already issued a certificate for {row.common_name!r} (serial {row.serial}), "
                f"and {request.csr} is for another key.",
                things_to_try=[
                    f"bring back the key that it was issued for; the certificate is {signer.certs / row.serial}.pem",
                    f"or revoke it, in {signer.folder.parent}, then run this again:",
                    f"    openssl ca -config {signer.cnf.name} -revoke {signer.name}/certs/{row.serial}.pem",
                ],
            )


def _require_subject(csr: SigningRequest, request: Request) -> None:
    if csr.common_name != request.common_name or csr.subject != f"CN={csr.common_name}":
        raise InputError(
            f"the CSR {request.csr} is for the subject {csr.subject!r}, not for 'CN={request.common_name}'.",
            things_to_try=[f"move {request.csr} away and run this again: it is made anew"],
        )


def _clipped_end(bench: Bench, issuer: Certificate | None, days: int | None) -> datetime | None:
    """The issuer's notAfter, where the wanted life would outlast it; chains fail at the first end."""
    if issuer is None:
        return None
    # A minute's margin: openssl reads the clock after this.
    wanted = datetime.now(UTC) + timedelta(days=days or bench.session.settings.pki.days, minutes=1)
    return issuer.not_after if wanted > issuer.not_after else None


def _read_back(
    finished: Finished, signer: Signer, requests: Sequence[Request], *, before: bytes, issuer: Certificate | None
) -> dict[Request, Certificate]:
    """Each request's certificate, found by its public key among the new rows: positions mean nothing. Durable after."""
    try:
        rows = database.added(before, signer.index.read_bytes(), count=len(requests), where=signer.index)
        issued = {certificate.public_key: certificate for certificate in (_read_new(signer, row) for row in rows)}
        result = {}
        for request in requests:
            certificate = issued.get(inspect.read_request(request.csr).public_key)
            if certificate is None:
                raise CheckError(f"openssl issued no certificate for the key of {request.csr}.")
            _require_as_asked(certificate, request, issuer or certificate)
            result[request] = certificate
    except OSError as error:
        raise explained(CheckError, f"what openssl wrote cannot be read back ({error})", finished) from None
    except CheckError as error:
        raise explained(CheckError, error.message.rstrip("."), finished) from None
    files.sync_directory(signer.certs)
    return result


def _require_strictly_valid(bench: Bench, signer: Signer, certificates: Sequence[Certificate]) -> None:
    """openssl's own verdict, beside the one of _require_as_asked: two implementations have to agree."""
    workspace = bench.workspace
    paths = [workspace.from_ca(signer.certs / f"{one.serial}.pem") for one in certificates]
    for first in range(0, len(paths), 200):  # a command line has its limits
        line = openssl.verify(issuer=workspace.from_ca(signer.certificate), certificates=paths[first : first + 200])
        finished = bench.session.shell.read((bench.session.settings.pki.openssl, *line), cwd=workspace.ca)
        if finished.exit_code:
            raise explained(CheckError, "openssl verify refuses what openssl ca has issued", finished)


def _read_new(signer: Signer, row: Row) -> Certificate:
    path = signer.certs / f"{row.serial}.pem"
    if not path.exists() or path.stat().st_size == 0:
        raise CheckError(f"openssl recorded {row.subject}, but its certificate {path} is missing or empty.")
    files.sync(path)
    return inspect.read_certificate(path)


def _require_as_asked(certificate: Certificate, request: Request, issuer: Certificate) -> None:
    problems = [
        text
        for wrong, text in (
            (certificate.common_name != request.common_name, f"its CN is {certificate.common_name!r}"),
            (certificate.is_ca != request.is_ca, f"its basicConstraints say CA:{certificate.is_ca}"),
            (not certificate.issued_by(issuer), "its signature is not the authority's"),
            (certificate.not_after > issuer.not_after, "it outlives its issuer"),
            (certificate.expired, "it is expired"),
        )
        if wrong
    ]
    if problems:
        raise CheckError(f"the certificate issued for {request.csr} is not what was asked for: {', '.join(problems)}.")


def _revocation(bench: Bench, signer: Signer, certificate: Path, reason: str) -> tuple[str, ...]:
    return openssl.ca_revoke(cnf=signer.cnf.name, certificate=bench.workspace.from_ca(certificate), reason=reason)


def _revoke(bench: Bench, signer: Signer, certificate: Path, serial: str, reason: str) -> None:
    """Inside a transaction."""
    finished = bench.openssl(*_revocation(bench, signer, certificate, reason))
    if status(signer, serial) != "R":
        raise explained(CheckError, f"openssl did not record {serial} as revoked", finished)


def _still_valid(signer: Signer, certificates: Sequence[Path]) -> dict[Path, str]:
    """Those that are not revoked yet, with their serial numbers."""
    serials = {path: inspect.read_certificate(path).serial for path in certificates if path.exists()}
    return {path: serial for path, serial in serials.items() if status(signer, serial) in {"V", "E"}}


def status(signer: Signer, serial: str) -> str:
    """V, R or E, or nothing where this signer did not issue it."""
    return next((row.status for row in database.read(signer.index) if row.serial == serial), "")
