"""The audit: silent on a whole workspace, and each planted break is found by name; it changes nothing."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pki.test_authority import fingerprint, make_both
from tests.pki.test_identity import make_device
from thingmint.ids import DeviceId
from thingmint.pki import audit
from thingmint.session import Session

Break = Callable[[Path], object]


@pytest.fixture
def whole(session: Session) -> Session:
    make_both(session)
    make_device(session, DeviceId.parse("one"))
    make_device(session, DeviceId.parse("two"))
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


@pytest.mark.parametrize(
    ("plant", "said"),
    [
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


def test_a_revoked_certificate_still_in_use_is_found(whole: Session) -> None:
    subprocess.run(
        ["openssl", "ca", "-config", "subca.cnf", "-revoke", "../devices/one.pem"],
        cwd=whole.workspace.ca, check=True, capture_output=True,
    )  # fmt: skip
    assert [one.what for one in audit.audit(whole.workspace).findings] == ["it was revoked"]
