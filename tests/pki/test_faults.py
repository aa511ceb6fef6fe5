"""Kills, two at once, a full disk: afterwards the authority is whole, and running again finishes the job."""

import dataclasses
import random
import signal
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import MakeSession
from tests.pki import forks
from tests.pki.test_authority import make_both
from tests.pki.test_identity import make_device
from thingmint.errors import CheckError, ToolError
from thingmint.ids import DeviceId
from thingmint.pki import bench, inspect
from thingmint.pki.audit import audit
from thingmint.pki.authority import family
from thingmint.pki.signing import transaction
from thingmint.pki.store import index, snapshot
from thingmint.pki.store.database import Database
from thingmint.session import Session


def require_whole(session: Session, *, devices: list[str]) -> None:
    """Every invariant of an authority: rows, files, keys and chains tell one story."""
    for signer in (family.root(session.workspace), family.signer(session.workspace)):
        assert {path.stem for path in signer.certs.iterdir()} == set(Database(signer).everything())
        assert not snapshot.pending(signer.db)
        assert not list(signer.db.glob("*.new"))
        own = inspect.read_certificate(signer.certificate)
        assert inspect.read_key_digest(signer.key) == own.public_key
    issuer = inspect.read_certificate(family.signer(session.workspace).certificate)
    for name in devices:
        certificate = inspect.read_certificate(session.workspace.devices / f"{name}.pem")
        assert certificate.issued_by(issuer)
        assert inspect.read_key_digest(session.workspace.devices / f"{name}.key") == certificate.public_key


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_at_every_rename_of_issuing_is_recovered_by_running_again(
    session: Session, make_session_in: MakeSession, when: str
) -> None:
    """Until a run gets through: key, CSR, snapshot, openssl's six, commit, certificate, chain, record."""
    make_both(session)
    roots = list(forks.killed(session.workspace.root, forks.make_everything, when))
    assert len(roots) > 7
    for root in roots:
        assert forks.run(root, forks.make_everything) == 0
        require_whole(make_session_in(root), devices=["victim"])


@pytest.mark.parametrize("number", range(1, 29, 5))
def test_a_kill_in_a_fresh_folder_is_finished_by_the_next_run(session: Session, number: int) -> None:
    assert forks.kill_at_rename(session.workspace.root, forks.make_everything, number, "before") == -signal.SIGKILL
    assert forks.run(session.workspace.root, forks.make_everything) == 0
    require_whole(session, devices=["victim"])


def test_sixty_four_at_once_make_renew_and_list(session: Session) -> None:
    forks.run(session.workspace.root, forks.make_whole)
    jobs: list[forks.Job] = [partial(forks.make_device, name=f"d{n}") for n in range(56)]
    jobs += [forks.make_crl, forks.renew_one, forks.make_old_again, forks.make_authorities] * 2
    random.Random(3).shuffle(jobs)
    assert forks.wait([forks.start(session.workspace.root, job) for job in jobs]) == [0] * 64
    require_whole(session, devices=["one", "old", *(f"d{n}" for n in range(56))])
    assert audit.audit(session.workspace).findings == ()
    rows = index.read(family.signer(session.workspace).index)
    assert Counter(row.status for row in rows) == {"V": 58, "R": 1, "E": 1}


def test_the_same_device_twice_at_once_is_one_identity(session: Session) -> None:
    make_both(session)
    running = [forks.start(session.workspace.root, forks.make_everything) for _ in range(4)]
    assert forks.wait(running) == [0] * 4
    require_whole(session, devices=["victim"])
    rows = index.read(family.signer(session.workspace).index)
    assert [row.common_name for row in rows] == ["victim"]


def test_the_lock_outlives_a_killed_python_while_openssl_still_runs(session: Session, tmp_path: Path) -> None:
    make_both(session)
    # An openssl that takes its time: kill -9 of Python alone must not free the lock while it writes.
    slow = tmp_path / "openssl"
    started = tmp_path / "started"
    slow.write_text(f'#!/bin/sh\nif [ "$1" = ca ]; then : > "{started}"; sleep 2; fi\nexec openssl "$@"\n')
    slow.chmod(0o755)
    victim = forks.start(session.workspace.root, forks.make_victim, pki_openssl=str(slow))
    db = family.signer(session.workspace).db
    deadline = time.monotonic() + 30
    while not started.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert snapshot.pending(db)
    victim.kill()
    victim.join()
    began = time.monotonic()
    make_device(session, DeviceId.parse("later"))
    assert time.monotonic() - began > 0.5, "the lock was free while openssl was still at work"
    require_whole(session, devices=["later"])


def test_openssl_that_dies_or_lies_leaves_the_database_as_it_was(session: Session, tmp_path: Path) -> None:
    make_both(session)
    signer = family.signer(session.workspace)
    before = signer.index.read_bytes()
    own_openssl = session.settings.pki.openssl
    for name, script, error in (
        ("killed", 'if [ "$1" = ca ]; then kill -9 $$; fi', ToolError),
        ("strict", 'if [ "$1" = verify ]; then echo error 32 >&2; exit 2; fi', CheckError),
        ("lying", 'if [ "$1" = ca ]; then exit 0; fi', CheckError),
        ("torn", 'if [ "$1" = ca ]; then openssl "$@"; printf V >> subca/db/index.txt; exit 0; fi', CheckError),
        (
            "empty",
            'if [ "$1" = ca ]; then openssl "$@"; for f in subca/certs/*; do : > $f; done; exit 0; fi',
            CheckError,
        ),
    ):
        fake = tmp_path / name
        fake.write_text(f'#!/bin/sh\n{script}\nexec {own_openssl} "$@"\n')
        fake.chmod(0o755)
        settings = session.settings.model_copy(
            update={"pki": session.settings.pki.model_copy(update={"openssl": str(fake)})}
        )
        faulty = dataclasses.replace(session, loaded=dataclasses.replace(session.loaded, settings=settings))
        with pytest.raises(error):
            make_device(faulty, DeviceId.parse(name))
        assert signer.index.read_bytes() == before
        make_device(session, DeviceId.parse(name))  # running again finishes the job
        before = signer.index.read_bytes()
    require_whole(session, devices=["killed", "strict", "lying", "torn", "empty"])


def test_what_openssl_wrote_and_did_not_record_is_kept_apart(session: Session) -> None:
    make_both(session)
    signer = family.signer(session.workspace)
    own = make_device(session).files
    snapshot.take(signer.db)
    orphan = signer.certs / "0123456789ABCDEF.pem"
    orphan.write_bytes(own.certificate.read_bytes())
    signer.index.unlink()
    with bench.locked(session) as locked:
        transaction.recover(locked, signer)
    assert [path.name.endswith("0123456789ABCDEF.pem") for path in signer.quarantine.iterdir()] == [True]
    require_whole(session, devices=[own.certificate.stem])
