"""Starting, finding and stopping labs: twice, at once, beside each other, after a kill, with a proxy set."""

import concurrent.futures
import contextlib
import dataclasses
import datetime as dt
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509

from tests.conftest import MakeSession
from tests.lab.clients import Lab, connect_clients, wait_until
from tests.paper import make
from thingmint.errors import HubError, InputError, ToolError
from thingmint.lab import control, requests, trials
from thingmint.lab.cloud import server
from thingmint.lab.cloud.journal import Journal
from thingmint.lab.cloud.store.store import Store
from thingmint.lab.state import LabFolder, LabRecord, Role, write
from thingmint.session import Session
from thingmint.workflows import targets

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def ended(session: Session) -> Iterator[Session]:
    """A session whose lab, if there is one, ends with the test."""
    yield session
    control.stop(session)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_lab_outlives_its_starter_and_keeps_its_state(ended: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://proxy.invalid:1")
    assert control.running(ended) is None
    assert control.stop(ended) is False
    running = control.start(ended)
    assert control.start(ended) == running
    assert control.running(ended) == running
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name)  # keeping the SDKs off it is their user's business
    lab = connect_clients(ended, running)
    lab.upload("kept", make("Kept CA"))
    lab.register("kept")
    first_secret = lab.target.login
    if os.name != "nt":
        assert mode(running.folder) == 0o700
        public = {"ca.pem", "ca-second.pem"}
        assert {p.name for p in running.folder.iterdir() if mode(p) != 0o600} == public
    os.kill(running.pid, signal.SIGKILL)
    wait_until(lambda: control.running(ended) is None)
    assert (running.folder / "lab.json").exists()  # stale, and known to be
    again = control.start(ended)
    assert again.pid != running.pid
    lab = connect_clients(ended, again)
    assert lab.registry.get_device("kept").device_id == "kept"
    assert lab.arm.certificates.get(lab.target.resource_group, lab.target.hub, "kept").properties.is_verified
    assert lab.target.login
    assert first_secret
    assert lab.target.login.secret == first_secret.secret
    assert control.stop(ended) is True
    assert control.stop(ended) is False
    assert not (running.folder / "lab.json").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a path is text")
def test_a_folder_whose_name_is_no_text(tmp_path: Path, make_session_in: MakeSession) -> None:
    session = make_session_in(tmp_path / os.fsdecode(b"ws-\xff"))
    assert control.start(session) == control.running(session)
    assert control.stop(session)


def test_two_starts_at_once_make_one_lab(ended: Session) -> None:
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        first, second = pool.map(control.start, [ended, ended])
    assert first == second


def test_two_labs_side_by_side(lab: Lab, ended: Session) -> None:
    beside = control.start(ended)
    assert beside.https_port != lab.running.https_port
    assert control.running(lab.session) == lab.running
    # A record that points at a lab of another workspace is not this workspace's lab.
    folder = LabFolder(beside.folder)
    other = LabRecord(1, lab.running.https_port, 1, 1, 1, "", Role.of(ended.settings))
    genuine = folder.record.read_bytes()
    write(folder.record, other)
    assert control.running(ended) is None
    folder.record.write_bytes(genuine)


@pytest.mark.parametrize("use", [control.start, control.found])
def test_another_hub_than_the_configured_one_is_refused(
    use: Callable[[Session], object], lab: Lab, make_session_in: MakeSession
) -> None:
    elsewhere = make_session_in(lab.session.workspace.root, azure_hub="another-hub-dev")
    with pytest.raises(InputError, match="plays another hub") as error:
        use(elsewhere)
    assert "another-hub-dev" in error.value.detail
    assert "iot-hub001-0xacc5-dev" in error.value.detail
    assert any("lab-down" in thing for thing in error.value.things_to_try)
    other = make_session_in(lab.session.workspace.root, azure_provisioning_service="another-service-dev")
    with pytest.raises(InputError, match="plays another hub") as error:
        use(other)
    running, configured = error.value.detail.splitlines()
    assert "provisioning service provs-iotcore-0xacc5-dev" in running
    assert "provisioning service another-service-dev" in configured


def test_a_task_that_starts_the_lab_says_where_to_watch_it(ended: Session, capsys: pytest.CaptureFixture[str]) -> None:
    watch = f"watch it: {targets.open_lab(ended).page}\n"
    out, err = capsys.readouterr()
    assert (out, err.count(watch)) == ("", 1)
    targets.open_lab(ended)
    assert "watch it" not in capsys.readouterr().err


def test_who_was_in_the_middle_of_something_is_told_that_the_lab_was_stopped(session: Session) -> None:
    lab = control.start(session)
    control.stop(session)
    for deed in (lambda: lab.telemetry(""), lambda: trials.begun(lab, "thing").__enter__()):
        with pytest.raises(HubError, match=r"the lab in .* was stopped\.") as told:
            deed()
        assert told.value.things_to_try[0] == "start it again: invoke lab-up"


def test_a_task_asks_a_lab_that_runs_once(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[LabFolder] = []

    def answering(folder: LabFolder) -> LabRecord | None:
        asked.append(folder)
        return requests.answering(folder)

    monkeypatch.setattr(control, "answering", answering)
    assert targets.open_lab(lab.session) == lab.running
    assert len(asked) == 1


def test_a_lab_that_dies_shows_the_end_of_its_log(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying = tmp_path / "python"
    dying.write_text("#!/bin/sh\necho some last words >&2\n")
    dying.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(dying))
    with pytest.raises(ToolError, match="did not start") as error:
        control.start(session)
    assert "some last words" in error.value.detail


def grow_a_column(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("ALTER TABLE device ADD COLUMN invented_later TEXT")


def become_anothers(path: Path) -> None:
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE recipe (title TEXT)")


def become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda path: path.write_bytes(os.urandom(5_000)), id="random"),
        pytest.param(lambda path: os.truncate(path, path.stat().st_size - 4096), id="cut-short"),
        become_a_folder,
        grow_a_column,
        become_anothers,
    ],
)
def test_a_database_that_cannot_be_used_is_named_with_its_cure(session: Session, spoil: Callable[[Path], None]) -> None:
    folder = LabFolder(session.workspace.lab)
    folder.make(session.shell)
    Store(folder.database).close()
    spoil(folder.database)
    for enter in (control.start, lambda session: control.serve(session, lambda _lab: None)):
        with pytest.raises(ToolError) as error:
            enter(session)
        assert f"the lab's database {folder.database} cannot be used" in error.value.message
        assert "move lab.sqlite3 away" in error.value.things_to_try[0]
        assert "Traceback" not in error.value.render() + folder.log.read_text()
    folder.database.rename(folder.path / "moved-away")
    control.start(session)
    control.stop(session)


def test_in_front_until_interrupted(session: Session, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from thingmint import config; from thingmint.console import Console\n"
        "from thingmint.lab import control; from thingmint.session import make_session\n"
        "s = make_session(Path(sys.argv[1]), config.load({}), Console(), echo=False, dry=False)\n"
        "control.serve(s, lambda lab: print('ready', lab.https_port, flush=True)); print('ended')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(session.workspace.root)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline().startswith("ready ")
        assert control.running(session)
        with pytest.raises(ToolError, match="a lab runs in"):
            control.serve(session, lambda _lab: None)
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "ended\n"
        assert process.wait() == 0
    assert control.running(session) is None


def test_it_ends_when_nothing_happens(tmp_path: Path, session: Session) -> None:
    folder = LabFolder(tmp_path / "lab")
    folder.make(session.shell)
    role = Role.of(session.settings)
    idle = dataclasses.replace(role, idle_seconds=0.6)
    records: list[LabRecord] = []
    begun = time.monotonic()
    server.run(folder, idle, ready=records.append)
    assert 0.6 < time.monotonic() - begun < 5
    assert len(records) == 1
    assert "stopping: nothing happened for" in folder.log.read_text()
    assert not folder.record.exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows removes no file that is open")
@pytest.mark.parametrize("again", [False, True], ids=["removed", "and another one is there"])
def test_it_ends_when_its_folder_is_gone(tmp_path: Path, session: Session, *, again: bool) -> None:
    folder = LabFolder(tmp_path / "lab")
    told: list[str] = []

    def ready(_record: LabRecord) -> None:
        shutil.rmtree(folder.path)
        if again:
            folder.make(session.shell)
            Store(folder.database).close()
            folder.record.write_text("another's")

    folder.make(session.shell)
    server.run(folder, Role.of(session.settings), ready=ready, tell=told.append)
    assert "was removed, or its lab.json or database" in "".join(told)
    assert folder.record.exists() is again


def test_the_labs_ca_is_short_lived_and_constrained(lab: Lab) -> None:
    assert lab.target.ca_file
    ca = x509.load_pem_x509_certificate(lab.target.ca_file.read_bytes())
    assert ca.not_valid_after_utc - ca.not_valid_before_utc <= dt.timedelta(days=7)
    constraints = ca.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    assert {str(name.value) for name in constraints.value.permitted_subtrees or ()} == {
        "localhost",
        lab.target.hub_host,
        "management.azure.com",
        "login.microsoftonline.com",
        "provs-iotcore-0xacc5-dev.azure-devices-provisioning.net",
        "global.azure-devices-provisioning.net",
        "127.0.0.1/32",
        "invalid",
    }


def test_the_log_stays_bounded(tmp_path: Path) -> None:
    folder = LabFolder(tmp_path)
    journal = Journal(folder)
    with contextlib.closing(journal):
        for number in range(2_000):
            journal.write(f"{number} " + "x" * 990)
    assert folder.log.stat().st_size < 1_300_000
    assert folder.log.read_text().splitlines()[-1].split()[1] == "1999"
