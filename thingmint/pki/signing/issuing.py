"""Issuing: checks before, openssl's line inside a transaction, everything it claims read back, then published.

Its exit code 0 is no success: it skips a CSR whose signature is wrong, and on a full disk it cuts its database short.
One request or many take the same path; series.py runs these steps side by side.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from thingmint import files, openssl
from thingmint.errors import CheckError, InputError
from thingmint.pki import inspect
from thingmint.pki.bench import Bench, explained
from thingmint.pki.inspect import Certificate
from thingmint.pki.keys import access
from thingmint.pki.signer import Signer
from thingmint.pki.signing.order import Keys, Request, Terms, look_at
from thingmint.pki.signing.readback import read_back, require_as_asked, require_strictly_valid
from thingmint.pki.signing.transaction import recover, revoke_within, transaction
from thingmint.pki.store import index
from thingmint.pki.store.database import Database
from thingmint.pki.store.index import Row
from thingmint.shell import Finished


def issue(
    bench: Bench, signer: Signer, requests: Sequence[Request], terms: Terms, *, superseded: Sequence[Path] = ()
) -> tuple[Certificate, ...]:
    """Sign and publish, all or none; in the order of `requests`. Empty with --dry.

    A certificate that an interrupted run had already issued for the same CSR is published instead of a second one. The
    certificates `superseded` are revoked first, in the same transaction: their names become free with it, or not at all.
    Raises InputError, ToolError or CheckError; the database is then as it was.
    """
    if bench.session.dry:
        return _issue_dry(bench, signer, requests, terms, superseded)
    recover(bench, signer)
    issuer = None if terms.profile.self_signed else signer.able_to_sign()
    keys = {request: look_at(request, terms) for request in requests}
    issued = already_issued(bench, signer, keys, terms, issuer)
    missing = {request: key for request, key in keys.items() if request not in issued}
    if missing:
        freed = _still_valid(signer, superseded)
        refused = refusals(signer, missing, freed=set(freed.values()))
        if refused:
            raise next(iter(refused.values()))
        access.unlock(bench.session, signer)  # asked before anything is changed
        staged = [bench.workspace.stage(request.out, mode=files.PUBLIC) for request in missing]
        with transaction(bench, signer) as known:
            for old, serial in freed.items():
                revoke_within(bench, signer, old, serial, reason="superseded")
            free_expired(bench, signer, missing)
            rows, finished = sign(bench, signer, list(missing), terms, issuer, staged=staged)
            try:
                fresh = read_back(signer, rows, missing, terms, issuer, hardened=bench.hardened)
            except CheckError as error:
                raise explained(CheckError, error.message.rstrip("."), finished) from None
            if bench.hardened and issuer:
                _require_strictly_valid(bench, signer, fresh)
            known.update((one.serial, one.public_key) for one in fresh.values())
        issued |= fresh
    for request in requests:
        # A batch's are empty so far; openssl on Windows writes CRLF.
        files.replace(bench.workspace.staged(request.out), issued[request].pem)
        bench.workspace.publish(request.out)
    return tuple(issued[request] for request in requests)


def _issue_dry(
    bench: Bench, signer: Signer, requests: Sequence[Request], terms: Terms, superseded: Sequence[Path]
) -> tuple[Certificate, ...]:
    for old in superseded:
        line = openssl.ca_revoke(cnf=signer.cnf.name, certificate=bench.workspace.from_ca(old), reason="superseded")
        access.ca(bench, signer, line)
    staged = [bench.workspace.stage(request.out, mode=files.PUBLIC) for request in requests]
    sign_dry(bench, signer, requests, terms, staged=staged)
    for request in requests:
        bench.workspace.publish(request.out)
    return ()


def sign_dry(
    bench: Bench, signer: Signer, requests: Sequence[Request], terms: Terms, *, staged: Sequence[Path] = ()
) -> None:
    """Show the line that would sign them."""
    access.ca(bench, signer, _line(bench, signer, requests, terms, staged=staged, end=None))


def already_issued(
    bench: Bench, signer: Signer, keys: Keys, terms: Terms, issuer: Certificate | None
) -> dict[Request, Certificate]:
    """Committed by a run that was cut off before it published: valid, for the CSR's key, and as it was asked for.

    Raises CheckError where one is not: it was never published, and never shall be.
    """
    rows = Database(signer).valid(request.common_name for request in keys)
    found = {}
    for request, key in keys.items():
        row = rows.get(request.common_name.casefold())
        path = signer.certificate_of(row.serial) if row else None
        if path is None or not path.exists():
            continue
        certificate = inspect.read_certificate(path)
        if certificate.public_key == key and certificate.common_name == request.common_name:
            require_as_asked(certificate, request, terms, issuer or certificate, hardened=bench.hardened)
            found[request] = certificate
    if found and bench.hardened and issuer:
        _require_strictly_valid(bench, signer, found)
    return found


def refusals(signer: Signer, keys: Keys, *, freed: Iterable[str] = ()) -> dict[Request, InputError]:
    """Why requests may not be signed: their names, or their keys, belong to others.

    `freed` are serial numbers that are about to be revoked.
    """
    database, gone = Database(signer), set(freed)
    taken = database.valid(request.common_name for request in keys)
    bearers = database.bearers(keys.values())
    refused: dict[Request, InputError] = {}
    twice = {key for key, count in Counter(keys.values()).items() if count > 1}
    for request, key in keys.items():
        holder = taken.get(request.common_name.casefold())
        bearer = bearers.get(key)
        if holder and holder.serial not in gone:
            refused[request] = _name_is_taken(signer, request, holder)
        elif key in twice:
            refused[request] = InputError(
                f"the key of {request.csr} is another device's as well: a key belongs to one identity.",
                things_to_try=["move both keys and CSRs away, and run this again: they are made anew"],
            )
        elif bearer and (bearer.common_name != request.common_name or bearer.status == "R"):
            refused[request] = InputError(
                f"the key of {request.csr} was certified before, for {bearer.common_name!r} (serial {bearer.serial}"
                f"{', revoked' if bearer.status == 'R' else ''}): a key belongs to one identity.",
                things_to_try=[f"move the key and {request.csr} away, and run this again: both are made anew"],
            )
    return refused


def _require_strictly_valid(bench: Bench, signer: Signer, issued: Mapping[Request, Certificate]) -> None:
    serials = [one.serial for one in issued.values()]
    require_strictly_valid(bench.workspace, bench.session.shell, bench.session.settings.pki.openssl, signer, serials)


def _name_is_taken(signer: Signer, request: Request, holder: Row) -> InputError:
    return InputError(
        f"{signer.name} has already issued a certificate for {holder.common_name!r} (serial {holder.serial}), "
        f"and {request.csr} is for another key.",
        things_to_try=[
            f"bring back the key that it was issued for; the certificate is {signer.certificate_of(holder.serial)}",
            f"a device: make a new one in its place: invoke device --imei {holder.common_name} --renew",
        ],
    )


def free_expired(bench: Bench, signer: Signer, requests: Iterable[Request]) -> None:
    """In a transaction: an expired certificate holds its name until openssl is told to look at the clock."""
    names = {request.common_name.casefold() for request in requests}
    if any(
        row.status == "V" and row.expired and row.common_name.casefold() in names for row in index.read(signer.index)
    ):
        before = {row.serial for row in index.read(signer.index)}
        finished = access.ca(bench, signer, openssl.ca_updatedb(cnf=signer.cnf.name))
        if before != {row.serial for row in index.read(signer.index)}:
            raise explained(CheckError, "openssl lost rows of its database", finished)


def sign(
    bench: Bench,
    signer: Signer,
    requests: Sequence[Request],
    terms: Terms,
    issuer: Certificate | None,
    *,
    staged: Sequence[Path] = (),
    batch: bool = False,
) -> tuple[tuple[Row, ...], Finished]:
    """In a transaction: openssl's line, and the rows that it added. One request goes into `staged`, many into certs/.

    `batch`: many, see Shell.run.
    """
    before = signer.index.read_bytes()
    end = _clipped_end(bench, issuer, terms.days)
    line = _line(bench, signer, requests, terms, staged=staged, end=end)
    finished = access.ca(bench, signer, line, batch=batch)
    try:
        rows = index.added(before, signer.index.read_bytes(), count=len(requests), where=signer.index)
    except OSError as error:
        raise explained(CheckError, f"what openssl wrote cannot be read back ({error})", finished) from None
    except CheckError as error:
        raise explained(CheckError, error.message.rstrip("."), finished) from None
    return rows, finished


def _line(
    bench: Bench,
    signer: Signer,
    requests: Sequence[Request],
    terms: Terms,
    *,
    staged: Sequence[Path],
    end: datetime | None,
) -> tuple[str, ...]:
    return openssl.ca_sign(
        cnf=signer.cnf.name,
        requests=[bench.workspace.from_ca(request.csr) for request in requests],
        out=bench.workspace.from_ca(staged[0]) if len(staged) == 1 == len(requests) else None,
        selfsign=terms.profile.self_signed,
        extensions=terms.profile.section if bench.hardened else None,
        days=terms.days,
        end=end,
    )


def _clipped_end(bench: Bench, issuer: Certificate | None, days: int | None) -> datetime | None:
    """The issuer's notAfter, where the wanted life would outlast it; chains fail at the first end."""
    if issuer is None:
        return None
    # A minute's margin: openssl reads the clock after this.
    wanted = datetime.now(UTC) + timedelta(days=days or bench.session.settings.pki.days, minutes=1)
    return issuer.not_after if wanted > issuer.not_after else None


def _still_valid(signer: Signer, certificates: Sequence[Path]) -> dict[Path, str]:
    """Those that are not revoked yet, with their serial numbers."""
    database = Database(signer)
    serials = {path: inspect.read_certificate(path).serial for path in certificates if path.exists()}
    return {path: serial for path, serial in serials.items() if database.status(serial) in {"V", "E"}}
