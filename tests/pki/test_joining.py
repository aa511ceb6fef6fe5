"""A bundle joins a workspace: whole, again without a change, merged, in conflict, and through kills at every rename."""

import dataclasses
import shutil
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import MakeSession
from tests.pki import forks
from tests.pki.test_authority import fingerprint, make_both
from tests.pki.test_bundle import collect
from tests.pki.test_identity import make_device
from thingmint.errors import InputError
from thingmint.ids import AuthorityName, DeviceId
from thingmint.pki import bench, inspect
from thingmint.pki.audit import audit
from thingmint.pki.authority import family
from thingmint.pki.bundle import bundle, joining
from thingmint.pki.bundle.bundle import Bundle
from thingmint.pki.bundle.joining import Step
from thingmint.pki.device import renewal
from thingmint.pki.signing import transaction
from thingmint.pki.store.database import Database
from thingmint.pki.wish import Wish
from thingmint.session import Session

ONE, TWO = DeviceId.parse("one"), DeviceId.parse("two")


@pytest.fixture
def owner(tmp_path: Path, authorities: Path, make_session_in: MakeSession) -> Session:
    session = make_session_in(shutil.copytree(authorities, tmp_path / "owner"), pki_key="ec:P-256")
    make_device(session, ONE)
    return session


def join(session: Session, found: Bundle) -> tuple[Step, ...]:
    with bench.locked(session) as locked:
        steps = joining.plan(locked, found)
        joining.carry_out(locked, steps)
    return steps


def revoke(session: Session, device: DeviceId) -> None:
    with bench.locked(session) as locked:
        certificate = session.workspace.device_file(device, ".pem")
        transaction.revoke(locked, family.signer(session.workspace), certificate, reason="keyCompromise")


def statuses(session: Session) -> dict[str, str]:
    rows = Database(family.signer(session.workspace)).everything().values()
    return {row.common_name: row.status for row in rows}


def require_sound(session: Session) -> None:
    assert audit.audit(session.workspace).findings == ()
    assert not joining.staging(session.workspace).exists()


def test_what_is_not_here_arrives_whole_and_signs(owner: Session, session: Session) -> None:
    steps = join(session, collect(owner))
    assert [step.new for step in steps] == [True, True]
    require_sound(session)
    assert not family.root(session.workspace).key.exists()
    assert family.signer(session.workspace).key.stat().st_mode & 0o777 == 0o600
    make_device(session, TWO)
    require_sound(session)
    with pytest.raises(InputError, match="has issued a certificate for one"):
        make_device(session, ONE)  # the owner's rows hold their names here, too


def test_running_again_changes_no_byte(owner: Session, session: Session) -> None:
    found = collect(owner)
    join(session, found)
    before = fingerprint(session.workspace.root)
    assert not any(step.changes for step in join(session, found))
    assert fingerprint(session.workspace.root) == before


def test_two_workspaces_of_one_authority_do_not_count_from_the_same_number(owner: Session, session: Session) -> None:
    join(session, collect(owner))
    assert family.signer(session.workspace).serial.read_bytes() != family.signer(owner.workspace).serial.read_bytes()


def test_each_side_learns_what_the_other_issued(owner: Session, session: Session) -> None:
    join(session, collect(owner))
    make_device(session, TWO)
    make_device(owner, DeviceId.parse("three"))
    join(owner, collect(session))
    join(session, collect(owner))
    assert statuses(owner) == statuses(session) == {"one": "V", "two": "V", "three": "V"}
    require_sound(owner)
    require_sound(session)
    public_key = inspect.read_certificate(session.workspace.device_file(TWO, ".pem")).public_key
    assert Database(family.signer(owner.workspace)).bearers([public_key])[public_key].common_name == "two"


@pytest.mark.parametrize("archived", [False, True])
def test_a_revocation_wins_whichever_side_tells_it(owner: Session, session: Session, *, archived: bool) -> None:
    make_device(owner, TWO)
    shared = collect(owner)
    join(session, shared)
    revoke(owner, ONE)
    if archived:
        family.signer(session.workspace).index.write_bytes(b"")
    (_, step) = join(session, collect(owner))
    assert [row.status for row in step.rows] == ["R"]
    assert statuses(session) == {"one": "R", "two": "V"}
    join(owner, shared)  # an older bundle, from before: it brings nothing back
    join(session, shared)
    assert statuses(owner) == statuses(session) == {"one": "R", "two": "V"}
    with bench.locked(session) as locked:
        transaction.recover(locked, family.signer(session.workspace))
    assert statuses(session)["one"] == "R"
    require_sound(session)


def test_a_missing_key_is_added_and_one_that_is_here_stays(owner: Session, session: Session) -> None:
    join(session, collect(owner))
    step = join(session, collect(owner, with_root_key=True))[0]
    assert step.key
    root = family.root(session.workspace)
    assert root.key.read_bytes() == family.root(owner.workspace).key.read_bytes()
    assert root.key.stat().st_mode & 0o777 == 0o600
    require_sound(session)
    root.key.unlink()
    root.uri.write_text("pkcs11:token=safe;object=rootca")
    assert not join(session, collect(owner, with_root_key=True))[0].changes  # on a token here: that is its key
    encrypted = dataclasses.replace(collect(owner).shares[1], key=b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert not join(session, dataclasses.replace(collect(owner), shares=(encrypted,)))[0].changes


def test_an_authority_known_by_its_certificate_alone_gets_the_rest(owner: Session, session: Session) -> None:
    bare = collect(owner)
    shares = tuple(dataclasses.replace(one, csr=None, key=None, rows=None, certs={}) for one in bare.shares)
    join(session, dataclasses.replace(bare, shares=shares))
    require_sound(session)
    join(session, bare)
    make_device(session, TWO)
    require_sound(session)


def test_the_same_name_issued_on_both_sides_is_told(owner: Session, session: Session) -> None:
    join(session, collect(owner))
    make_device(session, TWO)
    make_device(owner, TWO)
    join(session, collect(owner))
    assert joining.twice_valid(family.signer(session.workspace)) == ["two"]


def test_the_higher_crl_number_counts(owner: Session, session: Session) -> None:
    theirs = family.signer(owner.workspace).crl_number
    theirs.write_bytes(b"0A\n")
    join(session, collect(owner))
    ours = family.signer(session.workspace).crl_number
    assert ours.read_bytes() == b"0A\n"
    theirs.write_bytes(b"10\n")
    join(session, collect(owner))
    assert ours.read_bytes() == b"10\n"
    theirs.write_bytes(b"0B\n")
    assert not any(step.changes for step in join(session, collect(owner)))


# --- conflicts: refused before anything is written -----------------------------------------------------------------


def refused(session: Session, found: Bundle, said: str) -> str:
    before = fingerprint(session.workspace.root)
    with pytest.raises(InputError, match=said) as caught:
        join(session, found)
    after = {name: value for name, value in fingerprint(session.workspace.root).items() if not name.endswith(".lock")}
    assert after == {name: value for name, value in before.items() if not name.endswith(".lock")}
    return caught.value.render()


def test_another_authority_of_the_same_name_is_refused_with_both_thumbprints(owner: Session, session: Session) -> None:
    root, _ = make_both(session)
    found = collect(owner)
    shown = refused(session, found, "rootca is another authority here than in the bundle")
    assert root.certificate
    assert root.certificate.thumbprint in shown
    assert found.shares[0].certificate.thumbprint in shown
    assert "THINGMINT_WORKSPACE" in shown
    assert f"or move {session.workspace.ca} away" in shown  # the root's folder alone would end in the next refusal


def test_a_conflict_of_the_last_one_leaves_the_first_unwritten(owner: Session, session: Session) -> None:
    session.workspace.prepare()
    (session.workspace.ca / "subca").mkdir()
    refused(session, collect(owner), "has no certificate")
    assert not (session.workspace.ca / "rootca").exists()


def test_the_same_authority_under_another_name_is_refused(owner: Session, session: Session) -> None:
    found = collect(owner)
    other = dataclasses.replace(found.shares[0], name=AuthorityName("acme"))
    join(session, dataclasses.replace(found, shares=(other,)))
    refused(session, found, "rootca is here already, under the name acme")


def test_one_serial_number_for_two_names_is_refused(owner: Session, session: Session) -> None:
    join(session, collect(owner))
    found = collect(owner)
    root, sub = found.shares
    (row,) = sub.rows or ()
    odd = dataclasses.replace(sub, rows=(dataclasses.replace(row, subject="/CN=two"),))
    refused(session, dataclasses.replace(found, shares=(root, odd)), "cannot become one")


# --- kills -----------------------------------------------------------------------------------------------------------


def kill_at_every_rename(base: Path, packed: Path, when: str, make: MakeSession) -> list[Session]:
    """Each time in a copy of `base`, and finished by running again."""
    job = partial(forks.join_bundle, packed=packed)
    sessions = [make(root, pki_key="ec:P-256") for root in forks.killed(base, job, when)]
    for session in sessions:
        job(session)
        require_sound(session)
        assert not any(step.changes for step in join(session, bundle.unpack(packed.read_bytes())))
    return sessions


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_at_every_rename_is_finished_by_running_again(
    owner: Session, tmp_path: Path, make_session_in: MakeSession, when: str
) -> None:
    packed = tmp_path / "packed"
    packed.write_bytes(bundle.pack(collect(owner)))
    assert len(kill_at_every_rename(tmp_path / "fresh", packed, when, make_session_in)) > 4


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_at_every_rename_of_a_merge_loses_no_revocation(
    owner: Session, session: Session, tmp_path: Path, make_session_in: MakeSession, when: str
) -> None:
    join(session, collect(owner))
    make_device(owner, TWO)
    revoke(owner, ONE)
    packed = tmp_path / "packed"
    packed.write_bytes(bundle.pack(collect(owner, with_root_key=True)))
    sessions = kill_at_every_rename(session.workspace.root, packed, when, make_session_in)
    assert len(sessions) > 3
    assert [statuses(one) for one in sessions] == [{"one": "R", "two": "V"}] * len(sessions)


def test_an_import_that_was_cut_off_is_found_by_the_audit(owner: Session) -> None:
    joining.staging(owner.workspace).mkdir()
    assert [one.what for one in audit.audit(owner.workspace).findings] == ["an import was cut off"]


def test_a_renewal_on_one_side_supersedes_on_the_other(owner: Session, session: Session) -> None:
    join(session, collect(owner))
    with bench.locked(owner) as locked:
        renewal.renew(locked, family.signer(owner.workspace), ONE, Wish())
    join(session, collect(owner))
    rows = Database(family.signer(session.workspace)).everything().values()
    assert sorted(row.status for row in rows) == ["R", "V"]
    assert joining.twice_valid(family.signer(session.workspace)) == []
