"""What the audit was once blind to, or loud about: lost databases, cut-off runs, folders in place of files, open folders."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pki.test_audit import base, whole
from tests.pki.test_authority import fingerprint, make_both
from tests.pki.test_identity import make_device
from thingmint.errors import InputError, ToolError
from thingmint.ids import AuthorityName, DeviceId
from thingmint.pki import bench, inspect
from thingmint.pki.audit import audit
from thingmint.pki.audit.finding import summed_up
from thingmint.pki.authority import family
from thingmint.pki.signing import transaction
from thingmint.session import Session
from thingmint.workflows.device import lifecycle

__all__ = ["base", "whole"]  # the fixtures


def told(session: Session) -> list[tuple[str, str]]:
    """Where, from the workspace on, and what; the audit has changed nothing."""
    root = session.workspace.root
    before = fingerprint(root)
    findings = audit.audit(session.workspace).findings
    assert fingerprint(root) == before
    return [(one.where.relative_to(root).as_posix(), one.what) for one in findings]


def folder_at(name: str) -> Callable[[Path], None]:
    def plant(root: Path) -> None:
        (root / name).unlink(missing_ok=True)
        (root / name).mkdir()

    return plant


@pytest.mark.parametrize("name", ["rootca", "subca"])
def test_a_database_that_is_gone_is_found_and_nothing_is_signed(whole: Session, name: str) -> None:
    shutil.rmtree(whole.workspace.ca / name / "db")
    assert told(whole) == [(f"ca/{name}/db", "its database is gone")]
    with bench.locked(whole) as locked, pytest.raises(ToolError, match=f"the database of {name} is gone") as caught:
        transaction.recover(locked, family.signer(whole.workspace, AuthorityName(name)))
    assert "from a backup" in caught.value.things_to_try[0]
    if name == "subca":
        with pytest.raises(ToolError, match="the database of subca is gone"):
            make_device(whole, DeviceId.parse("three"))
        assert not (whole.workspace.devices / "three.key").exists()


def test_issued_certificates_alone_say_that_a_database_is_gone(whole: Session) -> None:
    shutil.rmtree(whole.workspace.ca / "rootca/db")
    (whole.workspace.ca / "rootca/rootca.key").unlink()
    assert told(whole) == [("ca/rootca/db", "its database is gone")]
    shutil.rmtree(whole.workspace.ca / "rootca/certs")
    assert told(whole) == []  # its certificate alone: key and database are elsewhere


def test_a_key_that_is_not_here_is_told_and_is_no_fault(whole: Session) -> None:
    (whole.workspace.ca / "subca/subca.key").unlink()
    report = audit.audit(whole.workspace)
    assert report.findings == ()
    assert report.unchecked == ("the key of subca, which is not here",)


def test_a_certificate_that_was_issued_and_not_published_is_found_and_the_next_run_publishes_it(whole: Session) -> None:
    devices = whole.workspace.devices
    serial = inspect.read_certificate(devices / "one.pem").serial
    for end in ("pem", "chain.pem", "json"):
        (devices / f"one.{end}").unlink()
    assert told(whole) == [("devices/one.pem", f"a run was cut off: {serial} was issued and not published")]
    assert audit.audit(whole.workspace).findings[0].cure.endswith("invoke device --imei one")
    make_device(whole, DeviceId.parse("one"))
    assert told(whole) == []
    assert inspect.read_certificate(devices / "one.pem").serial == serial


def test_a_key_without_certificate_is_found_and_the_next_run_finishes_it(whole: Session) -> None:
    devices = whole.workspace.devices
    make_device(whole, DeviceId.parse("aside"))
    shutil.copy(devices / "aside.key", devices / "three.key")
    whole.workspace.device_file(DeviceId.parse("four"), ".csr").write_bytes((devices / "one.csr").read_bytes())
    assert told(whole) == [
        ("devices/four.csr", "it has lost its key"),
        ("devices/three.pem", "a run was cut off: there is a key and no certificate"),
    ]


@pytest.mark.parametrize(
    ("plant", "where", "said"),
    [
        (folder_at("devices/one.json"), "devices/one.json", "Is a directory"),
        (folder_at("devices/one.csr"), "devices/one.csr", "Is a directory"),
        (folder_at("devices/one.chain.pem"), "devices/one.chain.pem", "Is a directory"),
        (folder_at("devices/one.pem"), "devices/one.pem", "Is a directory"),
        (folder_at("devices/one.key"), "devices/one.key", "Is a directory"),
        (folder_at("ca/subca/subca.key"), "ca/subca/subca.key", "Is a directory"),
        (folder_at("ca/subca.cnf"), "ca/subca.cnf", "Is a directory"),
        (folder_at("ca/subca/db/serial.txt"), "ca/subca/db/serial.txt", "Is a directory"),
        (lambda root: (root / "devices/one.json").write_text("{"), "devices/one.json", "is damaged"),
        (lambda root: (root / "devices/one.json").write_bytes(b"\xff"), "devices/one.json", "is damaged"),
        (lambda root: shutil.copy(root / "devices/two.json", root / "devices/one.json"), "devices/one.json", "another"),
        (lambda root: (root / "devices/one.csr").write_text("x"), "devices/one.csr", "no readable CSR"),
        (lambda root: (root / "ca/subca.cnf").write_text("[ ca ]\n"), "ca/subca.cnf", "no section [ ca_default ]"),
        (lambda root: (root / "ca/subca/subca.key").chmod(0o640), "ca/subca/subca.key", "others may read it"),
        (lambda root: (root / "ca").chmod(0o777), "ca", "open to others (mode 777)"),
        (lambda root: (root / "devices").chmod(0o755), "devices", "open to others (mode 755)"),
        (lambda root: root.chmod(0o777), ".", "(mode 777)"),
    ],
)
def test_each_break_is_one_finding(whole: Session, plant: Callable[[Path], object], where: str, said: str) -> None:
    plant(whole.workspace.root)
    ((found, what),) = told(whole)
    assert found == where
    assert said in what


def test_folders_that_are_open_are_closed_by_the_next_run_and_the_workspaces_own_by_its_owner(whole: Session) -> None:
    workspace = whole.workspace
    for folder in (workspace.root, workspace.ca, workspace.devices):
        folder.chmod(0o777)
    assert [one.by_itself for one in audit.audit(workspace).findings] == [True, True, False]
    with bench.locked(whole):
        pass
    assert [one.cure for one in audit.audit(workspace).findings] == [f"chmod o-w {workspace.root}"]
    workspace.root.chmod(0o755)
    assert told(whole) == []  # as a clone is


def test_a_certificate_that_is_garbage_is_a_finding_and_hides_no_other(whole: Session) -> None:
    (whole.workspace.ca / "subca/subca.pem").write_text("nonsense")
    (whole.workspace.ca / "rootca/rootca.key").chmod(0o644)
    assert [where for where, _ in told(whole)] == [
        "ca/rootca/rootca.key",
        "ca/subca",
        "devices/one.pem",
        "devices/two.pem",
    ]


def test_no_error_sends_users_to_the_librarys_programmers(tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("nonsense")
    for read in (inspect.read_certificate, inspect.read_request):
        with pytest.raises(ToolError) as caught:
            read(tmp_path / "x.pem")
        assert "PEM" in caught.value.detail
        assert "http" not in caught.value.detail


def test_one_cause_is_told_once(whole: Session) -> None:
    for number in range(6):
        make_device(whole, DeviceId.parse(f"d{number}"))
    (whole.workspace.ca / "subca/db/ledger.sqlite3").unlink()
    findings = audit.audit(whole.workspace).findings
    rows = list(summed_up(findings))
    assert len(findings) == 8
    assert [one.what for one in rows[3:]] == ["… and 5 more"]
    assert {(one.cure, one.by_itself) for one in rows} == {("it is told by index.txt", True)}
    (whole.workspace.ca / "subca/subca.pem").unlink()
    (whole.workspace.devices / "two.key").unlink()
    whats = [one.what for one in summed_up(audit.audit(whole.workspace).findings)]
    assert whats[0] == "an authority that has issued certificates has no certificate itself"
    assert whats.count("no authority of this workspace issued it") == 3
    assert "it is missing" in whats
    assert "… and 5 more" in whats


def test_where_there_is_nothing_the_check_says_so_and_makes_nothing(session: Session) -> None:
    root = session.workspace.root
    with pytest.raises(InputError, match="does not exist") as caught:
        lifecycle.ca_check(session)
    assert "make them: invoke rootca subca" in caught.value.things_to_try
    assert not root.exists()
    root.mkdir()
    with pytest.raises(InputError, match="no authority in"):
        lifecycle.ca_check(session)
    assert list(root.iterdir()) == []
    make_both(session)
    (root / ".gitignore").unlink()
    shutil.rmtree(session.workspace.devices)
    lifecycle.ca_check(session)
    assert {path.name for path in root.iterdir()} == {"ca"}


def test_devices_whose_authorities_are_gone_are_not_told_to_make_new_ones(whole: Session) -> None:
    shutil.rmtree(whole.workspace.ca)
    with pytest.raises(InputError) as caught:
        lifecycle.ca_check(whole)
    assert caught.value.things_to_try[0].endswith("back from a backup")
