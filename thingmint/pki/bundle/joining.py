"""A bundle joined to a workspace: authorities that are not here arrive whole; those that are, learn what they lack.

`plan` looks at everything and writes nothing; `carry_out` can be cut off anywhere and is then planned and run again.
"""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from thingmint import files, openssl
from thingmint.errors import InputError
from thingmint.pki import inspect, profile
from thingmint.pki.authority import family, layout
from thingmint.pki.bench import Bench
from thingmint.pki.bundle.bundle import Bundle, Share
from thingmint.pki.signer import Signer
from thingmint.pki.signing import transaction
from thingmint.pki.store import index, ledger
from thingmint.pki.store.database import Database
from thingmint.pki.store.index import Row
from thingmint.workspace import Workspace


@dataclass(frozen=True)
class Step:
    """What one authority of the bundle brings. `rows`: unknown here, or revoked there and not here."""

    share: Share
    signer: Signer
    new: bool
    key: bool = False
    rows: tuple[Row, ...] = ()
    certs: tuple[str, ...] = ()  # serial numbers
    crl_number: bytes | None = None  # where theirs is higher

    @property
    def changes(self) -> bool:
        return self.new or self.key or bool(self.rows or self.certs or self.crl_number)


def plan(bench: Bench, bundle: Bundle) -> tuple[Step, ...]:
    """Raises InputError where an authority here and one of the bundle cannot both be."""
    return tuple(_step(bench, share) for share in bundle.shares)


def carry_out(bench: Bench, steps: Iterable[Step]) -> None:
    """Each authority in turn, parents first; its key is the last thing that an existing one is given."""
    building = staging(bench.workspace)
    shutil.rmtree(building, ignore_errors=True)  # an interrupted run's
    files.make_private_directory(building)
    for step in steps:
        if step.new:
            _install(bench, step, building / step.signer.name)
        else:
            _add(bench, step)
        if step.signer.db.is_dir():
            own = step.share.certificate
            layout.write_cnf(bench, step.signer, root=step.share.is_root, pathlen=profile.pathlen_of(own))
    shutil.rmtree(building, ignore_errors=True)


def staging(workspace: Workspace) -> Path:
    """Where new authorities are put together; no authority can be called so."""
    return workspace.ca / ".importing"


def twice_valid(signer: Signer) -> list[str]:
    """Names with several valid certificates: each was issued in another workspace, and both did happen."""
    seen: set[str] = set()
    twice: set[str] = set()
    for row in Database(signer).everything().values() if signer.index.exists() else ():
        name = row.common_name.casefold()
        if row.valid:
            (twice if name in seen else seen).add(name)
    return sorted(twice)


def _step(bench: Bench, share: Share) -> Step:
    signer = family.signer(bench.workspace, share.name)
    _require_no_conflict(bench, share, signer)
    if not signer.certificate.exists():
        return Step(share, signer, new=True)
    transaction.recover(bench, signer)
    known = Database(signer).everything() if signer.index.exists() else {}
    rows = [row for row in share.rows or () if _is_news(signer, row, known)]
    lacking = [serial for serial in share.certs if not signer.certificate_of(serial).exists()]
    return Step(
        share,
        signer,
        new=False,
        key=share.key is not None and not signer.key.exists() and not signer.uri.exists(),
        rows=tuple(rows),
        certs=tuple(lacking),
        crl_number=share.crl_number if _number(share.crl_number) > _number(_read(signer.crl_number)) else None,
    )


def _is_news(signer: Signer, row: Row, known: Mapping[str, Row]) -> bool:
    ours = known.get(row.serial)
    if ours is None:
        return True
    if ours.subject != row.subject:
        raise InputError(
            f"the serial number {row.serial} of {signer.name} is {ours.common_name!r} here and {row.common_name!r} in "
            "the bundle: the two databases cannot become one. Nothing was written.",
            things_to_try=["import it into a workspace of its own: THINGMINT_WORKSPACE"],
        )
    return row.status == "R" and ours.status != "R"


def _require_no_conflict(bench: Bench, share: Share, signer: Signer) -> None:
    folder = bench.workspace.ca if share.is_root else signer.folder  # what another root signed would be refused next
    ways_out = [
        "import it into a workspace of its own: THINGMINT_WORKSPACE=/another/folder",
        f"or move {folder} away, if it is not needed; its devices are of no use without it",
    ]
    theirs = share.certificate
    if not signer.certificate.exists():
        for other in family.everybody(bench.workspace):
            if other.certificate.exists() and inspect.read_certificate(other.certificate).pem == theirs.pem:
                raise InputError(
                    f"{share.name} is here already, under the name {other.name}. Nothing was written.",
                    things_to_try=[f"rename the folder and its files to {share.name}", ways_out[0]],
                )
        if signer.folder.exists():
            raise InputError(
                f"{signer.folder} is there and has no certificate; the bundle's {share.name} would take its place. "
                "Nothing was written.",
                things_to_try=ways_out,
            )
        return
    ours = inspect.read_certificate(signer.certificate)
    if ours.pem != theirs.pem:
        raise InputError(
            f"{share.name} is another authority here than in the bundle. Nothing was written.",
            detail=f"in the bundle:  {theirs.thumbprint}  {theirs.common_name!r}\n"
            f"here:           {ours.thumbprint}  {ours.common_name!r}",
            things_to_try=ways_out,
        )


def _install(bench: Bench, step: Step, building: Path) -> None:
    """Put together beside, durably, then given its name as a whole."""
    share, new = step.share, Signer(building)
    content: dict[Path, bytes] = {new.certificate: share.certificate.pem}
    if share.csr is not None:
        content[new.csr] = share.csr
    if share.key is not None:
        content[new.key] = share.key
    if share.rows is not None:
        content |= {new.certificate_of(serial): pem for serial, pem in share.certs.items()}
        content |= _database(bench, new, share)
    for folder in (new.folder, *((new.certs, new.db) if share.rows is not None else ())):
        files.make_private_directory(folder)
    for path, data in content.items():
        mode = files.PUBLIC if path.suffix in {".pem", ".csr"} else files.SECRET
        files.create(path, data, mode=mode, durable=False)
    if share.rows:
        with ledger.opened(new.ledger) as book:
            book.record(share.rows, _keys(share, share.rows))
    files.sync_all([*content])
    files.rename(building, step.signer.folder)


def _database(bench: Bench, new: Signer, share: Share) -> dict[Path, bytes]:
    """openssl's files for the bundle's rows; the first use empties an index that is too long into the ledger."""
    serial = bench.openssl(*openssl.rand_serial(), redirect=bench.workspace.from_ca(new.serial))
    content = {
        new.index: index.render(share.rows or ()),
        new.attributes: b"unique_subject = yes\n",
        new.serial: serial.stdout.encode("ascii"),
    }
    return content if share.crl_number is None else {**content, new.crl_number: share.crl_number}


def _add(bench: Bench, step: Step) -> None:
    """Rows before certificates, since a row reserves its name; the key last, since it signs."""
    share, signer = step.share, step.signer
    if share.rows is not None and not signer.index.exists():
        layout.lay_out(bench, signer, root=share.is_root, pathlen=profile.pathlen_of(share.certificate))
    if step.rows:
        _revoke_in_index(signer, step.rows)
        with ledger.opened(signer.ledger) as book:
            book.record(step.rows, _keys(share, step.rows))
    moves = [(Workspace.staged(path), path) for path in map(signer.certificate_of, step.certs)]
    for staged, path in moves:
        staged.unlink(missing_ok=True)  # an interrupted run's
        files.create(staged, share.certs[path.stem], mode=files.PUBLIC, durable=False)
    files.rename_all(moves)
    if step.crl_number is not None:
        files.replace(signer.crl_number, step.crl_number, mode=files.SECRET)
    if step.key and share.key is not None:
        files.replace(signer.key, share.key, mode=files.SECRET)


def _revoke_in_index(signer: Signer, rows: Iterable[Row]) -> None:
    """First, and in one step: index.txt is newer than the ledger, and would bring back what the ledger calls revoked."""
    revoked = {row.serial: row for row in rows if row.status == "R"}
    active = index.read(signer.index)
    if any(row.serial in revoked for row in active):
        merged = [revoked.get(row.serial, row) for row in active]
        files.replace(signer.index, index.render(merged), mode=files.SECRET)


def _keys(share: Share, rows: Iterable[Row]) -> dict[str, str]:
    """The public keys, so that none is certified for a second name."""
    return {row.serial: inspect.parse_chain(share.certs[row.serial], where=row.serial)[0].public_key for row in rows}


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _number(crl_number: bytes | None) -> int:
    return int(crl_number or b"0", 16)
