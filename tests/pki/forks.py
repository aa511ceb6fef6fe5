"""Jobs in processes of their own, forked from a server that has imported everything: dozens at once cost little."""

import multiprocessing
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from tests.pki import modems
from thingmint import config
from thingmint.console import Console
from thingmint.ids import DeviceId
from thingmint.pki import bench, inspect
from thingmint.pki.authority import authority, family
from thingmint.pki.bundle import bundle, joining
from thingmint.pki.device import enclosed, identity, renewal
from thingmint.pki.signing import revocation, transaction
from thingmint.pki.store.database import Database
from thingmint.pki.wish import Wish
from thingmint.session import Session, make_session
from thingmint.workflows.authority import delegation

VICTIM = DeviceId.parse("victim")
Job = Callable[[Session], object]
_PRELOAD = ["tests.pki.forks", "tests.lines", "tests.everything"]


def context() -> ForkServerContext:
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(_PRELOAD)
    return found


def start(root: Path, job: "Job", **settings: str) -> ForkServerProcess:
    """Run `job`, a function of a module, in a session of its own in `root`; P-256 unless told otherwise."""
    process = context().Process(target=_run, args=(root, job, {"pki_key": "ec:P-256"} | settings))
    process.start()
    return process


def wait(processes: Sequence[ForkServerProcess]) -> list[int | None]:
    """Exit codes: 0, an error's own, or the signal as a negative number."""
    for process in processes:
        process.join(timeout=100)
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    return codes


def run(root: Path, job: "Job", **settings: str) -> int | None:
    return wait([start(root, job, **settings)])[0]


def killed(base: Path, job: "Job", when: str) -> Iterator[Path]:
    """Copies of the workspace `base`: `job` was killed in each, "before" or "after" its first rename, its second, …

    Ends when a run gets through, whose copy is the last one.
    """
    for number in range(1, 50):
        root = base.with_name(f"{base.name}-{when}-{number}")
        if base.exists():
            shutil.copytree(base, root)
        code = kill_at_rename(root, job, number, when)
        yield root
        if code == 0:
            return
    raise AssertionError("no run got through")


def kill_at_rename(root: Path, job: "Job", number: int, when: str) -> int:
    """0 if the job has fewer renames than that, otherwise the signal it died of."""
    code = run(root, partial(_die_at_rename, job=job, number=number, when=when))
    assert code in {0, -signal.SIGKILL}
    return code


def _die_at_rename(session: Session, job: "Job", number: int, when: str) -> None:
    left = number

    def deadly(real: Callable[[Path, Path], None]) -> Callable[[Path, Path], None]:
        def rename(source: Path, target: Path) -> None:
            nonlocal left
            left -= 1
            if left == 0 and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            real(source, target)
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        return rename

    for name in ("replace", "rename", "link"):
        setattr(os, name, deadly(getattr(os, name)))
    job(session)


def _run(root: Path, job: "Job", settings: dict[str, str]) -> None:
    sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - lives until this process ends
    environment = {f"THINGMINT_{name.upper()}": value for name, value in settings.items()}
    job(make_session(root, config.load(environment), Console()))


# --- jobs: each can be run again until it gets through -------------------------------------------------------------


def make_authorities(session: Session) -> None:
    with bench.locked(session) as locked:
        authority.make_root(locked, Wish())
        authority.make_intermediate(locked, Wish())


def make_whole(session: Session) -> None:
    """Two authorities, the device `one`, and an expired certificate for `old` whose files are gone."""
    make_authorities(session)
    make_device(session, "one")
    line = ["ca", "-config", "subca.cnf", "-batch", "-notext", "-startdate", "20200101000000Z", "-enddate",
            "20200102000000Z", "-in", "old.csr", "-out", "old.pem"]  # fmt: skip
    with bench.locked(session) as locked:
        locked.openssl("req", "-config", "subca.cnf", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                       "-keyout", "old.key", "-out", "old.csr", "-subj", "/CN=old")  # fmt: skip
        locked.openssl(*line)
        transaction.recover(locked, family.signer(session.workspace))
    for path in session.workspace.ca.glob("old.*"):
        path.unlink()


def make_device(session: Session, name: str) -> None:
    with bench.locked(session) as locked:
        identity.make(locked, family.signer(session.workspace), DeviceId.parse(name), Wish())


def make_victim(session: Session) -> None:
    make_device(session, "victim")


def make_old_again(session: Session) -> None:
    make_device(session, "old")


def make_everything(session: Session) -> None:
    make_authorities(session)
    make_victim(session)


def renew_victim(session: Session) -> None:
    with bench.locked(session) as locked:
        renewal.renew(locked, family.signer(session.workspace), DeviceId.parse("victim"), Wish())


def join_bundle(session: Session, packed: Path) -> None:
    with bench.locked(session) as locked:
        joining.carry_out(locked, joining.plan(locked, bundle.unpack(packed.read_bytes())))


def take_chain(session: Session, chain: Path) -> None:
    delegation.install(session, chain.read_bytes(), where="chain")


def renew_one(session: Session) -> None:
    """What `device --renew` does: a renewal that was cut off is finished, and none is begun after it."""
    device = DeviceId.parse("one")
    with bench.locked(session) as locked:
        if renewal.under_way(session.workspace, device) or _serial(session) == _first_serial(session):
            renewal.renew(locked, family.signer(session.workspace), device, Wish())


def revoke_one(session: Session) -> None:
    signer = family.signer(session.workspace)
    with bench.locked(session) as locked:
        transaction.recover(locked, signer)
        if Database(signer).status(_serial(session)) == "V":
            transaction.revoke(locked, signer, session.workspace.devices / "one.pem", reason="keyCompromise")


def make_crl(session: Session) -> None:
    with bench.locked(session) as locked:
        revocation.make_crl(locked, family.signer(session.workspace))


def _serial(session: Session) -> str:
    return inspect.read_certificate(session.workspace.devices / "one.pem").serial


def _first_serial(session: Session) -> str:
    """The row of `one` that came first."""
    return next(row.serial for row in Database(family.signer(session.workspace)).active() if row.common_name == "one")


def enclose_victim(session: Session) -> None:
    """As a workflow does with a modem: a CSR that waits is signed, otherwise the modem makes a key."""
    _enclose(session, renew=False)


def renew_enclosed_victim(session: Session) -> None:
    with bench.locked(session) as locked:
        if renewal.under_way(session.workspace, VICTIM) and enclosed.pending(session.workspace, VICTIM) is None:
            renewal.renew(locked, family.signer(session.workspace), VICTIM, Wish())
            return
    _enclose(session, renew=True)


def _enclose(session: Session, *, renew: bool) -> None:
    signer = family.signer(session.workspace)
    with bench.locked(session) as locked:
        csr = None
        if enclosed.modem_needed(session.workspace, VICTIM, renew=renew):
            enclosed.begin(locked, signer, VICTIM, 16)
            csr = modems.csr(VICTIM.text)
        enclosed.issue(locked, signer, VICTIM, csr, Wish(), renew=renew)
