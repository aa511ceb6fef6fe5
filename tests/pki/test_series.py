"""Many devices at once: the same result as one by one, bad ones named, and a cut anywhere is gone on from."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from tests.conftest import MakeSession
from tests.pki import forks
from tests.pki.test_authority import fingerprint, make_both, openssl
from tests.pki.test_faults import require_whole
from tests.pki.test_identity import make_device
from thingmint.errors import CheckError, HubError
from thingmint.ids import AuthorityName, DeviceId
from thingmint.pki import bench, inspect
from thingmint.pki.audit import audit
from thingmint.pki.authority import authority, family
from thingmint.pki.device import series
from thingmint.pki.device.series import Outcome
from thingmint.pki.wish import Wish
from thingmint.session import Session

SERIES = """
import sys
from pathlib import Path
from thingmint import config
from thingmint.console import Console
from thingmint.ids import DeviceId
from thingmint.pki.authority import family
from thingmint.pki.device import series
from thingmint.pki.wish import Wish
from thingmint.session import make_session
with open(sys.argv[0] + ".runs", "a") as runs:
    runs.write(f"{__name__} ")
if __name__ == "__main__":
    session = make_session(Path(sys.argv[1]), config.load({"THINGMINT_PKI_KEY": "ec:P-256"}), Console())
    ids = [DeviceId.parse(f"s{n}") for n in range(int(sys.argv[2]))]
    batches = [ids[first : first + 20] for first in range(0, len(ids), 20)]
    series.make(session, family.signer(session.workspace), batches, Wish(), done=lambda outcome: None)
"""


def ids(*names: str) -> list[DeviceId]:
    return [DeviceId.parse(name) for name in names]


def make_series(session: Session, *batches: list[DeviceId], wish: Wish = Wish()) -> list[Outcome]:  # noqa: B008 - frozen
    outcomes: list[Outcome] = []
    series.make(session, family.signer(session.workspace), batches, wish, done=outcomes.append)
    return outcomes


def test_a_series_is_whole_and_running_again_changes_no_byte(ready: Session) -> None:
    batches = [ids(*(f"s{batch}-{n}" for n in range(25))) for batch in range(3)]
    outcomes = make_series(ready, *batches, wish=Wish(days=30))
    assert [(one.made, one.unchanged, one.refused) for one in outcomes] == [(25, 0, ())] * 3
    require_whole(ready, devices=[one.text for batch in batches for one in batch])
    assert audit.audit(ready.workspace).findings == ()
    own = ready.workspace.devices / "s1-7.key"
    assert own.stat().st_mode & 0o777 == 0o600
    assert inspect.read_certificate(own.with_suffix(".pem")).lifetime_days == 30
    before = fingerprint(ready.workspace.root)
    assert [(one.made, one.unchanged) for one in make_series(ready, *batches)] == [(0, 25)] * 3
    assert fingerprint(ready.workspace.root) == before


def test_it_is_what_one_by_one_makes(ready: Session) -> None:
    make_device(ready, DeviceId.parse("single"))
    make_series(ready, ids("series"))

    def extensions(kind: str, path: str) -> list[str]:
        """Names and values, without the identifiers of the keys."""
        text = openssl(kind, "-noout", "-text", "-in", str(ready.workspace.devices / path))
        lines = text[text.index("X509v3") : text.index("Signature Algorithm", text.index("X509v3"))].splitlines()
        return [line.strip() for line in lines if not line.strip()[:2].isalnum() or not line.count(":") > 5]

    for kind, end in (("req", "csr"), ("x509", "pem")):
        assert extensions(kind, f"series.{end}") == extensions(kind, f"single.{end}") != []
    assert {path.name.removeprefix("series") for path in ready.workspace.devices.glob("series*")} == {
        path.name.removeprefix("single") for path in ready.workspace.devices.glob("single*")
    }


def test_rsa_and_a_chain_of_named_authorities(tmp_path: Path, make_session_in: MakeSession) -> None:
    session = make_session_in(tmp_path / "ws")
    make_both(session)
    with bench.locked(session) as locked:
        for name, parent, pathlen in (("policy", "rootca", 1), ("factory-a", "policy", None)):
            wish = Wish(pathlen=pathlen, key="ec:P-256")
            authority.make_intermediate(locked, wish, name=AuthorityName(name), parent=AuthorityName(parent))
    signer = family.signer(session.workspace, AuthorityName("factory-a"))
    series.make(session, signer, [ids("one", "two")], Wish(), done=lambda _outcome: None)
    certificate, *above = inspect.read_chain(session.workspace.devices / "one.chain.pem")
    assert certificate.key == "rsa:2048"
    assert [one.common_name[-9:] for one in above] == ["factory-a", "CA policy"]
    assert audit.audit(session.workspace).findings == ()


def test_what_a_cut_off_run_left_is_taken_up_and_what_is_wrong_is_named(ready: Session) -> None:
    devices = ready.workspace.devices
    for name in ("key-only", "pair", "orphan", "taken", "done", "Case"):
        make_device(ready, DeviceId.parse(name))
    for name, ends in {
        "key-only": (".csr", ".pem"), "pair": (".pem",), "orphan": (".key", ".pem"), "taken": (".key", ".csr", ".pem"),
    }.items():  # fmt: skip
        for end in ends:
            (devices / f"{name}{end}").unlink()
    shutil.copy(devices / "done.key", devices / "thief.key")
    (devices / "fresh.key.new").write_bytes(b"torn")
    wanted = ids("key-only", "pair", "orphan", "thief", "taken", "done", "case", "fresh")
    (outcome,) = make_series(ready, wanted)
    assert (outcome.made, outcome.unchanged) == (3, 1)  # key-only, pair, fresh; done
    refused = {one.device.text: one.problem for one in outcome.refused}
    assert refused.keys() == {"orphan", "thief", "taken", "case"}
    assert "its private key" in refused["orphan"]
    assert "certified before, for 'done'" in refused["thief"]
    assert "has already issued a certificate for 'taken'" in refused["taken"]
    assert "by case alone" in refused["case"]
    require_whole(ready, devices=["key-only", "pair", "done", "fresh"])


def test_one_key_under_two_names_of_a_batch_is_refused(ready: Session) -> None:
    make_series(ready, ids("one"))
    for name in ("two", "three"):
        shutil.copy(ready.workspace.devices / "one.key", ready.workspace.devices / f"{name}.key")
    (ready.workspace.ca / "subca/db/ledger.sqlite3").unlink()
    (outcome,) = make_series(ready, ids("two", "three"))
    assert len(outcome.refused) == 2
    assert outcome.made == 0


def run_series(root: Path, count: int) -> subprocess.Popen[bytes]:
    program = root.parent / "series.py"  # a file, as `invoke` is one
    program.write_text(SERIES)
    return subprocess.Popen([sys.executable, program, str(root), str(count)], start_new_session=True)


def wait_for(folder: Path, pattern: str) -> None:
    deadline = time.monotonic() + 30
    while not next(folder.glob(pattern), None) and time.monotonic() < deadline:
        time.sleep(0.002)


@pytest.mark.parametrize("whom", ["python", "group"])
@pytest.mark.parametrize("sign", ["devices/*.key*", "ca/subca/db/snapshot", "devices/*.chain.pem"])
def test_a_kill_at_any_moment_is_gone_on_from(ready: Session, whom: str, sign: str) -> None:
    """While the first keys are made, while openssl signs, while the next batch follows one that is published."""
    root = ready.workspace.root
    process = run_series(root, 100)
    wait_for(root, sign)
    if whom == "python":
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert len(list(ready.workspace.devices.glob("*.chain.pem"))) < 100
    names = [f"s{n}" for n in range(100)]
    make_series(ready, ids(*names))
    require_whole(ready, devices=names)
    assert audit.audit(ready.workspace).findings == ()


def workers_of(group: int) -> list[str]:
    argv = ["ps", "-ww", "-o", "args=", "-g", str(group)]  # -ww: a worker's own words stand far to the right
    shown = subprocess.run(argv, check=False, capture_output=True, text=True).stdout
    return [line for line in shown.splitlines() if "spawn_main" in line]


def test_the_workers_end_with_their_parent(ready: Session) -> None:
    process = run_series(ready.workspace.root, 2000)
    wait_for(ready.workspace.devices, "*.pem")
    assert workers_of(process.pid)
    assert (ready.workspace.root.parent / "series.py.runs").read_text() == "__main__ "  # and not in each worker
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while workers_of(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not workers_of(process.pid)


def test_others_get_their_turn(ready: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "SHIFT_SECONDS", 0.05)
    others: list[ForkServerProcess] = []
    turns: list[int | None] = []

    def done(_outcome: Outcome) -> None:
        if not others:
            others.append(forks.start(ready.workspace.root, forks.make_victim))
        turns.append(others[0].exitcode)

    batches = [ids(*(f"s{batch}-{n}" for n in range(20))) for batch in range(12)]
    series.make(ready, family.signer(ready.workspace), batches, Wish(), done=done)
    assert forks.wait(others) == [0]
    assert turns[0] is None
    assert turns[-1] == 0, "it had to wait until the series was over"
    require_whole(ready, devices=["victim"])


def test_a_hub_that_takes_its_time_locks_nobody_out(ready: Session) -> None:
    def supply() -> Iterator[list[DeviceId]]:
        yield ids("before")
        assert forks.run(ready.workspace.root, forks.make_victim) == 0
        yield ids("after")

    outcomes: list[Outcome] = []
    series.make(ready, family.signer(ready.workspace), supply(), Wish(), done=outcomes.append)
    assert [one.made for one in outcomes] == [1, 1]
    require_whole(ready, devices=["before", "victim", "after"])


def test_what_the_supply_raises_ends_it_and_what_was_begun_is_finished(ready: Session) -> None:
    def supply() -> Iterator[list[DeviceId]]:
        yield ids(*(f"s{n}" for n in range(30)))
        raise HubError("the hub has had enough.")

    with pytest.raises(HubError, match="had enough"):
        series.make(ready, family.signer(ready.workspace), supply(), Wish(), done=lambda _outcome: None)
    assert audit.audit(ready.workspace).findings == ()
    make_series(ready, ids(*(f"s{n}" for n in range(30))))
    require_whole(ready, devices=[f"s{n}" for n in range(30)])


def test_an_openssl_that_lies_about_a_batch_is_found_out(
    ready: Session, tmp_path: Path, make_session_in: MakeSession
) -> None:
    fake = tmp_path / "openssl"
    fake.write_text(
        '#!/bin/sh\nopenssl "$@" || exit\ncase "$*" in *-infiles*)\n'
        "last=$(ls -t subca/certs | head -1); other=$(ls -t subca/certs | sed -n 2p)\n"
        'cp "subca/certs/$other" "subca/certs/$last";; esac\n'
    )
    fake.chmod(0o755)
    lying = make_session_in(ready.workspace.root, pki_key="ec:P-256", pki_openssl=str(fake))
    before = (ready.workspace.ca / "subca/db/index.txt").read_bytes()
    with pytest.raises(CheckError, match="serial number"):
        make_series(lying, ids("a", "b", "c"))
    assert (ready.workspace.ca / "subca/db/index.txt").read_bytes() == before
    assert not list(ready.workspace.devices.glob("*.pem"))
    make_series(ready, ids("a", "b", "c"))
    require_whole(ready, devices=["a", "b", "c"])
