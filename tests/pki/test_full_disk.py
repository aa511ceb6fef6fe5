"""A disk that is full at every step: a clear error, and the same run finishes once there is room. Nothing is lost."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import MakeSession
from tests.pki import forks
from tests.pki.test_faults import require_whole
from thingmint.errors import ThingmintError, explain_os_error
from thingmint.pki import bench, inspect
from thingmint.pki.audit import audit
from thingmint.pki.authority import family
from thingmint.pki.signing import transaction
from thingmint.pki.store.database import Database
from thingmint.session import Session

Mount = Callable[[str], Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """A file system of its own, of the size that is asked for."""
    mounted: list[Path] = []

    def make(options: str) -> Path:
        folder = tmp_path / f"disk-{len(mounted)}"
        folder.mkdir()
        argv: list[str | Path] = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
        done = subprocess.run(argv, check=False, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"no small tmpfs can be mounted here: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    if os.geteuid() != 0:
        pytest.skip("mounting a small tmpfs needs root")
    yield make
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    assert forks.run(tmp_path / "base", forks.make_authorities) == 0
    return tmp_path / "base"


def leave(disk: Path, kib: int) -> Path:
    """A filler, so that no more than so many KiB are free."""
    filler = disk / "filler"
    filler.write_bytes(b"x" * max(0, shutil.disk_usage(disk).free - kib * 1024))
    return filler


def leave_files(disk: Path, count: int) -> Path:
    """A folder of files, so that no more than so many can be made."""
    filler = disk / "filler"
    filler.mkdir()
    while os.statvfs(disk).f_favail > count:
        (filler / str(os.statvfs(disk).f_favail)).touch()
    return filler


def remove(filler: Path) -> None:
    shutil.rmtree(filler) if filler.is_dir() else filler.unlink()


def gets_through(job: Callable[[], None]) -> bool:
    """Whether it did. What it says otherwise is an error of the right kind that tells the cause."""
    try:
        job()
    except (ThingmintError, OSError) as error:
        known = explain_os_error(error) if isinstance(error, OSError) else error
        assert known.exit_code in {3, 4}
        assert "free some" in known.render(), known.render()
        return False
    return True


@pytest.mark.parametrize(
    ("leaves", "options", "step"), [(leave, "size=512k", 4), (leave_files, "size=2m,nr_inodes=96", 1)]
)
def test_a_device_is_finished_once_there_is_room(
    base: Path,
    mount: Mount,
    make_session_in: MakeSession,
    leaves: Callable[[Path, int], Path],
    options: str,
    step: int,
) -> None:
    for left in range(0, 200 * step, step):
        disk = mount(options)
        session = make_session_in(Path(shutil.copytree(base, disk / "ws")), pki_key="ec:P-256")
        filler = leaves(disk, left)
        through = gets_through(partial(forks.make_victim, session))
        remove(filler)
        require_finished(session, forks.make_victim)
        if through:
            assert left >= 8 * step
            return
    pytest.fail("no run got through")


def test_the_authorities_are_finished_once_there_is_room(mount: Mount, make_session_in: MakeSession) -> None:
    for left in range(0, 400, 12):
        disk = mount("size=512k")
        session = make_session_in(disk / "ws", pki_key="ec:P-256")
        filler = leave(disk, left)
        through = gets_through(partial(forks.make_everything, session))
        remove(filler)
        require_finished(session, forks.make_everything)
        if through:
            assert left > 100
            return
    pytest.fail("no run got through")


def require_finished(session: Session, job: Callable[[Session], None]) -> None:
    job(session)
    require_whole(session, devices=["victim"])
    assert audit.audit(session.workspace).findings == ()
    assert (session.workspace.root / ".gitignore").read_bytes() == b"*\n"


def test_the_index_is_never_emptied_before_the_ledger_holds_it(
    base: Path, mount: Mount, make_session_in: MakeSession
) -> None:
    for left in range(0, 200, 4):
        disk = mount("size=512k")
        session = make_session_in(Path(shutil.copytree(base, disk / "ws")), pki_key="ec:P-256")
        signer = family.signer(session.workspace)
        for name in ("one", "two"):
            forks.make_device(session, name)
        serials = [
            inspect.read_certificate(session.workspace.devices / f"{name}.pem").serial for name in ("one", "two")
        ]
        with bench.locked(session) as locked:
            locked.openssl("ca", "-config", "subca.cnf", "-revoke", "../devices/one.pem")  # the ledger has to be told
        filler = leave(disk, left)
        through = gets_through(partial(Database(signer).sync, longest=0))
        assert [Database(signer).status(serial) for serial in serials] == ["R", "V"]
        assert bool(signer.index.read_bytes()) is not through
        remove(filler)
        with bench.locked(session) as locked:
            transaction.recover(locked, signer)
        report = audit.audit(session.workspace)
        assert (report.findings, report.locked_out) == ((), ("one (revoked)",))
        if through:
            assert left > 0
            return
    pytest.fail("no run got through")
