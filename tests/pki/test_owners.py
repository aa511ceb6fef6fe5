"""Files of another owner or with a wrong mode: mended where they are ours, else named with their owner and a cure that cures."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import MakeSession
from tests.pki import forks
from thingmint.errors import ThingmintError, explain_os_error
from thingmint.pki.audit import audit
from thingmint.pki.store import snapshot
from thingmint.session import Session

USER = 23456
"""Nobody's number on most machines, as in a container."""

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="playing two users needs root, on a POSIX system"
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("base") / "ws"
    assert forks.run(root, forks.make_whole) == 0
    return root


@pytest.fixture
def workspace(base: Path) -> Iterator[Path]:
    """USER's, where USER can reach it: pytest's own folders are root's alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        root = Path(shutil.copytree(base, folder / "ws"))
        give(folder, USER)
        yield root


def give(path: Path, owner: int) -> None:
    """chown -R."""
    for one in (path, *path.rglob("*")):
        os.chown(one, owner, owner)


def as_user(session: Session, job: forks.Job, said: Path) -> None:
    """Run it as USER; what a person would read goes to `said`."""
    with said.open("w", encoding="utf-8") as told:
        os.setgroups([])
        os.setgid(USER)
        os.setuid(USER)
        os.umask(0o022)
        try:
            job(session)
        except (ThingmintError, OSError) as error:
            known = explain_os_error(error) if isinstance(error, OSError) else error
            told.write(known.render())
            told.flush()
            os._exit(known.exit_code)


def run_as_user(root: Path, job: forks.Job, tmp_path: Path) -> tuple[int | None, str]:
    said = tmp_path / "said"
    code = forks.run(root, partial(as_user, job=job, said=said))
    return code, said.read_text()


def roots(name: str) -> Callable[[Path], None]:
    def take(root: Path) -> None:
        os.chown(root / name, 0, 0)
        (root / name).chmod(0o700 if (root / name).is_dir() else 0o600)

    return take


def mode(name: str, bits: int) -> Callable[[Path], None]:
    return lambda root: (root / name).chmod(bits)


def pending_snapshot(root: Path) -> None:
    snapshot.take(root / "ca/subca/db")
    roots("ca/subca/db/snapshot")(root)


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (roots("ca"), "ca"),
        (roots("devices"), "devices"),
        (roots("ca/.ca.lock"), ".ca.lock"),
        (roots("ca/subca.cnf"), "subca.cnf"),
        (roots("ca/subca"), "subca"),
        (roots("ca/subca/subca.key"), "subca.key"),
        (roots("ca/subca/db/index.txt"), "index.txt"),
        (roots("ca/subca/db/ledger.sqlite3"), "ledger.sqlite3"),
        (roots("devices/one.key"), "one.key"),
        (roots("devices/one.json"), "one.json"),
        (pending_snapshot, "snapshot"),
        (mode("ca/subca/certs", 0o555), "certs"),
        (mode("ca/subca/db", 0o555), "db"),
        (mode("ca/subca/db/index.txt", 0), "index.txt"),
        (mode("ca/subca/db/ledger.sqlite3", 0o444), "ledger.sqlite3"),
        (mode("ca/subca/subca.key", 0o644), "subca.key"),
    ],
)
def test_the_error_names_path_and_owner_and_its_cure_cures(
    workspace: Path, tmp_path: Path, spoil: Callable[[Path], None], named: str
) -> None:
    spoil(workspace)
    code, said = run_as_user(workspace, make_both_devices, tmp_path)
    assert code in {2, 3}, said
    assert named in said
    assert ("root" if "chown" in said else str(USER)) in said or "may be read by others" in said
    cure = next(line for line in said.splitlines() if "chown -R" in line or "chmod" in line)
    subprocess.run(shlex.split(re.sub(r".*?(?=chown|chmod)", "", cure, count=1)), check=True)
    assert run_as_user(workspace, make_both_devices, tmp_path) == (0, "")


@pytest.mark.parametrize("name", [".", ".."])
def test_nobody_is_told_to_take_over_a_folder_that_is_no_workspaces_own(
    workspace: Path, tmp_path: Path, name: str
) -> None:
    roots(name)(workspace)
    code, said = run_as_user(workspace, make_both_devices, tmp_path)
    assert code == 2
    assert "belongs to root" in said
    assert "chown" not in said
    assert "name another folder in THINGMINT_WORKSPACE" in said


def make_both_devices(session: Session) -> None:
    forks.make_device(session, "one")
    forks.make_victim(session)


@pytest.mark.parametrize("name", ["ca", "devices", "ca/subca/db/index.txt", "ca/subca/db/serial.txt"])
def test_what_is_ours_and_read_only_is_no_obstacle(workspace: Path, tmp_path: Path, name: str) -> None:
    (workspace / name).chmod(0o555 if (workspace / name).is_dir() else 0o444)
    assert run_as_user(workspace, make_both_devices, tmp_path) == (0, "")


def test_root_works_in_somebodys_folder_and_what_it_leaves_is_explained(workspace: Path, tmp_path: Path) -> None:
    """A container's root; or `sudo invoke`, which is told what it does."""
    assert forks.run(workspace, forks.make_victim) == 0
    code, said = run_as_user(workspace, forks.make_victim, tmp_path)
    assert code == 3
    assert "belongs to root" in said
    assert "sudo invoke" in said
    give(workspace, USER)
    assert run_as_user(workspace, forks.make_victim, tmp_path) == (0, "")


def test_sudo_is_told_that_it_leaves_files_behind(
    workspace: Path, make_session_in: MakeSession, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for sudo, owner, warned in ((False, USER, 0), (True, USER, 1), (True, 0, 0)):
        if sudo:
            monkeypatch.setenv("SUDO_UID", str(USER))
        give(workspace, owner)
        session = make_session_in(workspace, pki_key="ec:P-256")
        forks.make_device(session, "one")
        forks.make_device(session, "one")
        assert capsys.readouterr().err.count("this runs by sudo") == warned


def test_the_audit_names_what_it_may_not_see_and_goes_on(workspace: Path, tmp_path: Path) -> None:
    for name in ("ca/rootca/db/index.txt", "ca/subca/certs", "devices/one.key"):
        roots(name)(workspace)
    code, said = run_as_user(workspace, audited, tmp_path)
    assert code == 0
    found = (workspace / "found").read_text()
    for name in ("rootca/db/index.txt", "subca/certs", "one.key"):
        assert f"{name} belongs to root" in found
    assert said == ""


def test_a_folder_that_may_not_be_seen_is_not_taken_for_an_empty_one(workspace: Path, tmp_path: Path) -> None:
    roots("devices")(workspace)
    code, said = run_as_user(workspace, audited, tmp_path)
    assert (code, said) == (0, "")
    assert "devices belongs to root" in (workspace / "found").read_text()


def audited(session: Session) -> None:
    findings = audit.audit(session.workspace).findings
    (session.workspace.root / "found").write_text("\n".join(f"{one.what}: {one.cure}" for one in findings))
