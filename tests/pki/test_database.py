"""index.txt and the ledger: damage is mended or named, nothing is deleted, and the cost stays flat."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pki.test_faults import require_whole
from tests.pki.test_identity import make_device
from thingmint import config
from thingmint.console import Console
from thingmint.errors import InputError, ToolError
from thingmint.ids import DeviceId
from thingmint.pki import bench, inspect
from thingmint.pki.audit import audit
from thingmint.pki.authority import family
from thingmint.pki.signer import Signer
from thingmint.pki.signing import revocation, transaction
from thingmint.pki.store import index
from thingmint.pki.store.database import Database, certificates
from thingmint.session import Session, make_session

ONE, TWO = DeviceId.parse("one"), DeviceId.parse("two")


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory, authorities: Path) -> Path:
    """A workspace whose authority issued two certificates, one of them revoked."""
    root = shutil.copytree(authorities, tmp_path_factory.mktemp("issued") / "ws")
    session = make_session(root, config.load({"THINGMINT_PKI_KEY": "ec:P-256"}), Console(quiet=True))
    for device in (ONE, TWO):
        make_device(session, device)
    with bench.locked(session) as locked:
        signer = family.signer(session.workspace)
        transaction.revoke(locked, signer, session.workspace.devices / "two.pem", reason="keyCompromise")
    return root


@pytest.fixture
def signer(session: Session, issued: Path) -> Signer:
    """Of a copy of it."""
    shutil.copytree(issued, session.workspace.root)
    return family.signer(session.workspace)


def recover(session: Session, signer: Signer) -> None:
    with bench.locked(session) as locked:
        transaction.recover(locked, signer)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: path.unlink(),
    "emptied": lambda path: path.write_bytes(b""),
    "blank line": lambda path: path.write_bytes(path.read_bytes() + b"\n"),
    "duplicate row": lambda path: path.write_bytes(path.read_bytes() * 2),
    "UTF-16": lambda path: path.write_bytes(path.read_bytes().decode().encode("utf-16")),
    "torn": lambda path: path.write_bytes(path.read_bytes()[:-30]),
    "nonsense": lambda path: path.write_bytes(b"\0\xff" * 100),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_index_is_set_aside_and_nothing_is_forgotten(session: Session, signer: Signer, damage: str) -> None:
    before = signer.index.read_bytes()
    DAMAGE[damage](signer.index)
    damaged = signer.index.read_bytes() if signer.index.exists() else b""
    recover(session, signer)
    statuses = [Database(signer).status(row.serial) for row in index.parse(before.decode(), where=signer.index)]
    assert statuses == ["V", "R"]
    if damage not in {"missing", "emptied"}:
        assert [path.read_bytes() for path in signer.quarantine.iterdir()] == [damaged]
    report = audit.audit(session.workspace)
    assert (report.findings, report.locked_out) == ((), ("two (revoked)",))
    # The name and the key are still taken.
    for end in (".pem", ".key", ".csr"):
        (session.workspace.devices / f"one{end}").unlink()
    with pytest.raises(InputError, match="has issued a certificate for one"):
        make_device(session, ONE)


@pytest.mark.parametrize("damage", DAMAGE)
def test_where_nobody_knows_what_it_held_it_is_refused(session: Session, signer: Signer, damage: str) -> None:
    signer.ledger.unlink()
    DAMAGE[damage](signer.index)
    damaged = signer.index.read_bytes() if signer.index.exists() else None
    with pytest.raises(ToolError) as caught:
        make_device(session, DeviceId.parse("three"))
    assert "index.txt" in caught.value.message
    assert "restore" in caught.value.render()
    assert (signer.index.read_bytes() if signer.index.exists() else None) == damaged


def test_the_line_ends_of_openssl_on_windows_are_read(session: Session, signer: Signer) -> None:
    rows = Database(signer).active()
    signer.index.write_bytes(signer.index.read_bytes().replace(b"\n", b"\r\n"))
    assert Database(signer).active() == rows
    recover(session, signer)
    assert not signer.quarantine.exists()


def test_a_revocation_that_only_the_damaged_index_tells_is_kept(session: Session, signer: Signer) -> None:
    own = inspect.read_certificate(session.workspace.devices / "one.pem")
    with bench.locked(session) as locked:
        locked.openssl("ca", "-config", "subca.cnf", "-revoke", f"subca/certs/{own.serial}.pem")
    signer.index.write_bytes(signer.index.read_bytes() + b"torn")
    recover(session, signer)
    assert Database(signer).status(own.serial) == "R"


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes("1F".encode("utf-16"))])
def test_serial_and_attributes_are_written_anew(
    session: Session, signer: Signer, damage: Callable[[Path], None]
) -> None:
    damage(signer.serial)
    signer.attributes.unlink()
    make_device(session, DeviceId.parse("three"))
    assert signer.attributes.read_text() == "unique_subject = yes\n"
    require_whole(session, devices=["three"])


def test_a_damaged_ledger_is_named(session: Session, signer: Signer) -> None:
    signer.ledger.write_bytes(b"no database" * 1000)
    with pytest.raises(ToolError, match=r"ledger\.sqlite3 cannot be used"):
        make_device(session, DeviceId.parse("three"))


def test_an_archived_certificate_is_known_revoked_and_listed(session: Session, signer: Signer) -> None:
    Database(signer).sync(longest=0)
    assert signer.index.read_bytes() == b""
    assert not make_device(session, ONE).new
    with pytest.raises(InputError, match="was revoked"):
        make_device(session, TWO)
    one = inspect.read_certificate(session.workspace.devices / "one.pem")
    with bench.locked(session) as locked:
        transaction.revoke(locked, signer, session.workspace.devices / "one.pem", reason="superseded")
        assert Database(signer).status(one.serial) == "R"
        Database(signer).sync(longest=0)
        made = revocation.make_crl(locked, signer)
    assert made
    assert made.revoked == 2
    assert Database(signer).status(one.serial) == "R"
    assert signer.index.read_bytes() == b""
    assert len(Database(signer).everything()) == len(certificates(signer)) == 2


def test_a_key_is_never_certified_for_a_second_name(session: Session, signer: Signer) -> None:
    Database(signer).sync(longest=0)
    devices = session.workspace.devices
    (devices / "thief.key").write_bytes((devices / "one.key").read_bytes())
    (devices / "thief.key").chmod(0o600)
    with pytest.raises(InputError, match="was certified before, for 'one'"):
        make_device(session, DeviceId.parse("thief"))
    assert not (devices / "thief.pem").exists()


def test_an_expired_certificate_frees_its_name(session: Session, signer: Signer) -> None:
    argv = ["ca", "-config", "subca.cnf", "-batch", "-notext", "-startdate", "20200101000000Z", "-enddate",
            "20200102000000Z", "-in", "../devices/old.csr", "-out", "../devices/old.pem"]  # fmt: skip
    (session.workspace.devices / "old.key").touch()
    with bench.locked(session) as locked:
        for end in ("key", "csr"):
            (session.workspace.devices / f"old.{end}").unlink(missing_ok=True)
        locked.openssl(
            "req", "-config", "subca.cnf", "-newkey", "rsa:2048", "-nodes", "-keyout", "../devices/old.key",
            "-out", "../devices/old.csr", "-subj", "/CN=old",
        )  # fmt: skip
        locked.openssl(*argv)
    for end in ("key", "csr", "pem"):
        (session.workspace.devices / f"old.{end}").unlink()
    assert make_device(session, DeviceId.parse("old")).new
    assert [row.status for row in index.read(signer.index) if row.common_name == "old"] == ["E", "V"]
