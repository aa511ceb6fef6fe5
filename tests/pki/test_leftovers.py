"""What an interrupted run, a backup or a person left behind: put back or set aside as evidence, never deleted."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pki import forks
from tests.pki.test_faults import require_whole
from thingmint.errors import ToolError
from thingmint.pki import bench, inspect
from thingmint.pki.audit import audit
from thingmint.pki.authority import family
from thingmint.pki.signer import Signer
from thingmint.pki.signing import transaction
from thingmint.pki.store import index, snapshot
from thingmint.pki.store.database import Database
from thingmint.session import Session


@pytest.fixture
def signer(ready: Session) -> Signer:
    forks.make_device(ready, "one")
    return family.signer(ready.workspace)


def recover(session: Session, signer: Signer) -> None:
    with bench.locked(session) as locked:
        transaction.recover(locked, signer)


def set_aside(signer: Signer) -> list[bytes]:
    """The contents of what is in quarantine."""
    return [path.read_bytes() for path in sorted(signer.quarantine.glob("*")) if path.is_file()]


def half_copied(db: Path) -> None:
    snapshot.take(db)
    (db / "snapshot").rename(db / "snapshot.new")
    (db / "snapshot.new/serial.txt").unlink()
    (db / "snapshot.new/index.txt").write_bytes(b"V\t36")


def half_removed(db: Path) -> None:
    snapshot.take(db)
    (db / "snapshot").rename(db / "snapshot.done")
    (db / "snapshot.done/index.txt").unlink()


def copied_again(db: Path) -> None:
    """Killed while it put back: some files are back, and the mark stands."""
    snapshot.take(db)
    (db / "index.txt").unlink()
    (db / "serial.txt").write_bytes(b"00\n")
    (db / "snapshot.done").mkdir()
    (db / "snapshot.new").mkdir()


@pytest.mark.parametrize("leave", [half_copied, half_removed, copied_again])
def test_a_snapshot_in_any_half_made_state_is_swept_or_put_back(
    session: Session, signer: Signer, leave: Callable[[Path], None]
) -> None:
    before = signer.index.read_bytes(), signer.serial.read_bytes()
    leave(signer.db)
    recover(session, signer)
    assert (signer.index.read_bytes(), signer.serial.read_bytes()) == before
    assert not list(signer.db.glob("snapshot*"))
    forks.make_victim(session)
    require_whole(session, devices=["one", "victim"])
    assert audit.audit(session.workspace).findings == ()


@pytest.mark.parametrize("name", ["index.txt", "index.txt.attr", "serial.txt"])
def test_what_a_damaged_snapshot_does_not_have_is_set_aside_never_removed(
    session: Session, signer: Signer, name: str
) -> None:
    snapshot.take(signer.db)
    (signer.db / "snapshot" / name).unlink()
    content = (signer.db / name).read_bytes()
    recover(session, signer)
    assert set_aside(signer) == [content]
    assert not make_again(session)
    assert audit.audit(session.workspace).findings == ()


def test_a_snapshot_whose_index_is_torn_is_mended_by_the_ledger(session: Session, signer: Signer) -> None:
    snapshot.take(signer.db)
    (signer.db / "snapshot/index.txt").write_bytes(signer.index.read_bytes()[:-20])
    recover(session, signer)
    assert not make_again(session)
    assert audit.audit(session.workspace).findings == ()


def test_without_a_ledger_a_damaged_snapshot_is_refused_and_nothing_changes(session: Session, signer: Signer) -> None:
    snapshot.take(signer.db)
    signer.ledger.unlink()
    (signer.db / "snapshot/index.txt").unlink()
    before = {path: path.read_bytes() for path in signer.folder.rglob("*") if path.is_file()}
    with pytest.raises(ToolError, match=r"snapshot/index\.txt cannot be read"):
        forks.make_victim(session)
    assert {path: path.read_bytes() for path in signer.folder.rglob("*") if path.is_file()} == before


def make_again(session: Session) -> bool:
    """Whether `one` would be issued a second time."""
    certificates = list(family.signer(session.workspace).certs.iterdir())
    forks.make_device(session, "one")
    return list(family.signer(session.workspace).certs.iterdir()) != certificates


def test_strangers_are_set_aside_with_a_snapshot_pending_and_named_without(session: Session, signer: Signer) -> None:
    own = (session.workspace.devices / "one.pem").read_bytes()
    stranger, folder = signer.certs / "0A.pem", signer.certs / "0B.pem"
    stranger.write_bytes(own)
    folder.mkdir()
    (folder / "inside").write_text("kept")
    forks.make_device(session, "two")  # goes on: they are in nobody's way
    findings = audit.audit(session.workspace).findings
    assert {one.where: one.by_itself for one in findings} == {stranger: False, folder: False}
    snapshot.take(signer.db)
    recover(session, signer)
    assert not stranger.exists()
    assert not folder.exists()
    assert set_aside(signer) == [own]
    assert [path.read_text() for path in signer.quarantine.glob("*/inside")] == ["kept"]
    assert audit.audit(session.workspace).findings == ()


def test_evidence_never_overwrites_evidence(session: Session, signer: Signer) -> None:
    for content in (b"first", b"second", b"third"):  # within one second
        (signer.db / "odd").write_bytes(content)
        Database(signer).set_aside(signer.db / "odd")
    assert sorted(set_aside(signer)) == [b"first", b"second", b"third"]


def test_an_index_from_a_backup_forgets_no_revocation(session: Session, signer: Signer) -> None:
    backup = signer.index.read_bytes()
    forks.revoke_one(session)
    told = signer.index.read_bytes()
    signer.index.write_bytes(backup)
    assert [(one.what.split(" that ")[0], one.by_itself) for one in audit.audit(session.workspace).findings] == [
        ("it has forgotten", True)
    ]
    recover(session, signer)
    assert signer.index.read_bytes() == told
    assert set_aside(signer) == [backup]
    serial = inspect.read_certificate(session.workspace.devices / "one.pem").serial
    assert Database(signer).status(serial) == "R"


def test_a_serial_number_of_the_past_overwrites_no_certificate(session: Session, signer: Signer) -> None:
    """With the article's cnf openssl counts; from a backup it would count over what it has issued."""
    given = inspect.read_certificate(session.workspace.devices / "one.pem")
    signer.serial.write_text(f"{given.serial.lower()}\n")
    Database(signer).sync(longest=0)
    signer.cnf.write_text(signer.cnf.read_text().replace("rand_serial", "# rand_serial"))
    assert [one.by_itself for one in audit.audit(session.workspace).findings] == [True]
    forks.make_device(session, "two")
    assert inspect.read_certificate(signer.certificate_of(given.serial)).common_name == "one"
    assert audit.audit(session.workspace).findings == ()


def test_a_last_row_without_its_line_end_is_a_torn_one(session: Session, signer: Signer) -> None:
    whole = signer.index.read_bytes()
    signer.index.write_bytes(whole[:-2])  # `/CN=on` would be a row, and another device's
    recover(session, signer)
    assert index.read(signer.index) == ()
    assert set_aside(signer) == [whole[:-2]]
    assert not make_again(session)


def test_a_key_that_the_ledger_missed_is_told_when_its_certificate_is_back(session: Session, signer: Signer) -> None:
    certificate = signer.certificate_of(inspect.read_certificate(session.workspace.devices / "one.pem").serial)
    kept = certificate.read_bytes()
    signer.ledger.unlink()
    certificate.write_bytes(b"")
    recover(session, signer)
    assert len(audit.audit(session.workspace).findings) == 1
    certificate.write_bytes(kept)
    assert [one.by_itself for one in audit.audit(session.workspace).findings] == [True]
    recover(session, signer)
    assert audit.audit(session.workspace).findings == ()
