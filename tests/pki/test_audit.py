"""The audit: silent on a whole workspace, and each planted break is found by name; it changes nothing."""

import contextlib
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pki.test_authority import fingerprint, make_both
from tests.pki.test_identity import make_device
from thingmint import config
from thingmint.console import Console
from thingmint.errors import ToolError
from thingmint.ids import DeviceId
from thingmint.pki import bench, inspect
from thingmint.pki.audit import audit
from thingmint.pki.authority import family
from thingmint.pki.bench import Bench
from thingmint.pki.device import identity
from thingmint.pki.signing import transaction
from thingmint.pki.wish import Wish
from thingmint.session import Session, make_session

Break = Callable[[Path], object]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    loaded = config.load({"THINGMINT_PKI_KEY": "ec:P-256"})
    session = make_session(tmp_path_factory.mktemp("base") / "ws", loaded, Console(quiet=True))
    make_both(session)
    make_device(session, DeviceId.parse("one"))
    make_device(session, DeviceId.parse("two"))
    return session.workspace.root


@pytest.fixture
def whole(session: Session, base: Path) -> Session:
    shutil.copytree(base, session.workspace.root)
    return session


def test_a_whole_workspace_has_no_finding(whole: Session) -> None:
    report = audit.audit(whole.workspace)
    assert report.findings == ()
    assert (report.authorities, report.certificates, report.devices) == (2, 4, 2)


def duplicate_row(root: Path) -> None:
    index = root / "ca/subca/db/index.txt"
    index.write_text(index.read_text() + index.read_text().splitlines()[0] + "\n")


def second_valid_row(root: Path) -> None:
    index = root / "ca/subca/db/index.txt"
    fields = index.read_text().splitlines()[0].split("\t")
    index.write_text(index.read_text() + "\t".join([*fields[:3], "00" * 16, *fields[4:]]) + "\n")


def first_issued(root: Path) -> Path:
    return min((root / "ca/subca/certs").iterdir())


def in_ledger(statement: str) -> Break:
    def change(root: Path) -> None:
        with contextlib.closing(sqlite3.connect(root / "ca/subca/db/ledger.sqlite3")) as book, book:
            assert book.execute(statement).rowcount

    return change


def another_end(root: Path) -> None:
    index = root / "ca/subca/db/index.txt"
    index.write_bytes(re.sub(rb"V\t\d\d", b"V\t49", index.read_bytes(), count=1))


def given_serial(root: Path) -> None:
    (root / "ca/subca/db/serial.txt").write_text(f"{first_issued(root).stem}\n")


@pytest.mark.parametrize(
    ("plant", "said"),
    [
        (in_ledger("DELETE FROM issued WHERE name = 'one'"), "it does not know yet that 'one'"),
        (in_ledger("UPDATE issued SET status = 'R', revoked = '1' WHERE name = 'one'"), "it has forgotten that 'one'"),
        (in_ledger("UPDATE issued SET subject = '/CN=else' WHERE name = 'one'"), "'else' until"),
        (in_ledger("UPDATE issued SET public_key = NULL WHERE name = 'one'"), "it does not know the key of 'one'"),
        (in_ledger("UPDATE issued SET public_key = 'x' WHERE name = 'one'"), "it knows another key for 'one'"),
        (in_ledger("UPDATE issued SET public_key = 'x'"), "one key was certified for 'one' and 'two'"),
        (lambda root: (root / "ca/subca/db/ledger.sqlite3").write_bytes(b"x" * 5000), "ledger.sqlite3 cannot be used"),
        (lambda root: (root / "ca/subca/db/ledger.sqlite3").unlink(), "it does not know yet that 'two'"),
        (another_end, "and its row says 2049"),
        (given_serial, "was given already"),
        (lambda root: (root / "ca/subca/db/serial.txt").write_text("zz\n"), "holds no serial number"),
        (lambda root: (root / "ca/subca/db/index.txt.attr").unlink(), "is missing"),
        (lambda root: (root / "ca/subca/db/index.txt.new").touch(), "cut off"),
        (lambda root: (root / "ca/subca/db/index.txt").unlink(), "cannot be read"),
        (lambda root: (root / "ca/subca/db/index.txt").write_bytes("V\t".encode("utf-16")), "no text file"),
        (lambda root: (root / "ca/subca/db/index.txt").write_text("\n"), "line 1 is no row"),
        (lambda root: (root / "ca/subca/db/serial.txt").unlink(), "is missing"),
        (duplicate_row, "2 times"),
        (second_valid_row, "has 2 valid certificates"),
        (lambda root: first_issued(root).unlink(), "is missing"),
        (lambda root: first_issued(root).write_bytes(b""), "no readable certificate"),
        (lambda root: first_issued(root).rename(root / "ca/subca/certs/00.pem"), "no row of the database knows it"),
        (lambda root: (root / "devices/one.key").write_bytes((root / "devices/two.key").read_bytes()), "not the key"),
        (lambda root: (root / "devices/one.key").chmod(0o644), "others may read it (mode 644)"),
        (lambda root: (root / "devices/one.key").unlink(), "is missing"),
        (
            lambda root: (root / "devices/one.pem").write_bytes((root / "devices/two.pem").read_bytes()),
            "it is for 'two'",
        ),
        (lambda root: (root / "devices/one.chain.pem").unlink(), "not this certificate and its authorities'"),
        (lambda root: (root / "ca/subca/subca.pem").unlink(), "has no certificate"),
        (lambda root: (root / "ca/subca.cnf").unlink(), "is missing"),
        (lambda root: (root / "devices/renewing").mkdir() or (root / "devices/renewing/one.key").touch(), "cut off"),
        (lambda root: (root / "ca/subca/db/snapshot").mkdir(), "cut off while it signed"),
        (lambda root: (root / "ca/rootca/rootca.key").write_text("nonsense"), "no readable private key"),
    ],
)
def test_each_break_is_found_and_nothing_is_changed(whole: Session, plant: Break, said: str) -> None:
    plant(whole.workspace.root)
    before = fingerprint(whole.workspace.root)
    findings = audit.audit(whole.workspace).findings
    assert any(said in one.what for one in findings), findings
    assert all(one.cure for one in findings)
    assert fingerprint(whole.workspace.root) == before
    # What it says that the next run does, the next run does; and it hides nothing that a person has to do.
    with bench.locked(whole) as locked, contextlib.suppress(ToolError):
        for signer in family.everybody(whole.workspace):
            transaction.recover(locked, signer)
        make_the_leftovers_anew(locked)
    afterwards = audit.audit(whole.workspace).findings
    assert [one for one in afterwards if one.by_itself] == []
    assert {one.where for one in findings if not one.by_itself} <= {one.where for one in afterwards}


def make_the_leftovers_anew(locked: Bench) -> None:
    """The next run that signs: `recover` leaves openssl's own temporary files to openssl."""
    if (locked.workspace.ca / "subca/db/index.txt.new").exists():
        identity.make(locked, family.signer(locked.workspace), DeviceId.parse("three"), Wish())


def test_a_revoked_certificate_is_told_and_is_no_fault(whole: Session) -> None:
    subprocess.run(
        ["openssl", "ca", "-config", "subca.cnf", "-revoke", "../devices/one.pem"],
        cwd=whole.workspace.ca, check=True, capture_output=True,
    )  # fmt: skip
    serial = inspect.read_certificate(whole.workspace.devices / "one.pem").serial
    findings = audit.audit(whole.workspace).findings
    assert [(one.what, one.by_itself) for one in findings] == [
        (f"it does not know yet that 'one' ({serial}) is revoked", True)
    ]
    with bench.locked(whole) as locked:
        transaction.recover(locked, family.signer(whole.workspace))
    report = audit.audit(whole.workspace)
    assert report.findings == ()
    assert report.locked_out == ("one (revoked)",)
