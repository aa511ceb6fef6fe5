"""Renewal: old revoked and new issued together, nothing lost, and a kill anywhere is finished by the next run."""

import subprocess

import pytest

from tests.conftest import MakeSession
from tests.pki import forks
from tests.pki.test_faults import require_whole
from tests.pki.test_identity import make_device
from thingmint.errors import InputError
from thingmint.ids import DeviceId
from thingmint.pki import bench, inspect
from thingmint.pki.audit import audit
from thingmint.pki.authority import family
from thingmint.pki.device import renewal
from thingmint.pki.device.identity import Identity
from thingmint.pki.signing import revocation
from thingmint.pki.store import index
from thingmint.pki.wish import Wish
from thingmint.session import Session

ID = DeviceId.parse("victim")


def renew(session: Session, wish: Wish = Wish()) -> Identity:  # noqa: B008 - frozen
    with bench.locked(session) as locked:
        return renewal.renew(locked, family.signer(session.workspace), ID, wish)


def statuses(session: Session) -> list[str]:
    rows = index.read(family.signer(session.workspace).index)
    return [row.status for row in rows if row.common_name == ID.text]


def test_old_revoked_new_issued_old_files_kept(ready: Session) -> None:
    old = make_device(ready, ID)
    assert old.certificate
    key = old.files.key.read_bytes()
    new = renew(ready, Wish(days=9))
    assert new.certificate
    assert new.certificate.serial != old.certificate.serial
    assert new.certificate.lifetime_days == 9
    assert statuses(ready) == ["R", "V"]
    retired = ready.workspace.devices / "retired"
    assert (retired / f"victim.{old.certificate.serial}.key").read_bytes() == key
    assert (retired / f"victim.{old.certificate.serial}.key").stat().st_mode & 0o777 == 0o600
    assert inspect.read_certificate(retired / f"victim.{old.certificate.serial}.pem").serial == old.certificate.serial
    assert new.certificate.pem in new.files.chain.read_bytes()
    assert new.certificate.serial in new.files.record.read_text()
    assert not renewal.under_way(ready.workspace, ID)
    assert not make_device(ready, ID).new
    require_whole(ready, devices=["victim"])


def test_the_revocation_list_is_the_databases(ready: Session) -> None:
    old = make_device(ready, ID).certificate
    renew(ready)
    signer = family.signer(ready.workspace)
    with bench.locked(ready) as locked:
        first = revocation.make_crl(locked, signer)
        again = revocation.make_crl(locked, signer)
    assert first
    assert again
    assert first.revoked == 1
    assert old
    text = subprocess.run(
        ["openssl", "crl", "-noout", "-text", "-in", signer.crl], check=True, capture_output=True, text=True
    ).stdout
    assert f"Serial Number: {old.serial}" in text
    assert "Superseded" in text
    assert "X509v3 CRL Number: \n                2" in text
    refused = subprocess.run(
        ["openssl", "verify", "-crl_check", "-partial_chain", "-CAfile", signer.certificate, "-CRLfile", signer.crl,
         ready.workspace.devices / "retired" / f"victim.{old.serial}.pem"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert "certificate revoked" in refused.stderr
    require_whole(ready, devices=["victim"])


def test_a_lost_key_is_cured_by_renewing(ready: Session) -> None:
    make_device(ready, ID).files.key.unlink()
    with pytest.raises(InputError, match="has no private key here") as caught:
        make_device(ready, ID)
    assert "--renew" in caught.value.render()
    renew(ready)
    assert not make_device(ready, ID).new
    require_whole(ready, devices=["victim"])


def test_what_a_killed_run_had_begun_to_write_is_swept(ready: Session) -> None:
    make_device(ready, ID)
    leftovers = [ready.workspace.devices / folder / ".victim.key.4711.tmp" for folder in ("renewing", "retired")]
    for path in leftovers:
        path.parent.mkdir()
        path.touch()
    assert audit.audit(ready.workspace).findings == ()
    renew(ready)
    assert not any(path.exists() for path in leftovers)


def test_nothing_to_renew_is_said(ready: Session) -> None:
    with pytest.raises(InputError, match="has no certificate here"):
        renew(ready)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_at_every_rename_is_finished_by_the_next_run(
    ready: Session, make_session_in: MakeSession, when: str
) -> None:
    make_device(ready, ID)
    roots = list(forks.killed(ready.workspace.root, forks.renew_victim, when))
    assert len(roots) > 10
    for root in roots:
        copy = make_session_in(root, pki_key="ec:P-256")
        if renewal.under_way(copy.workspace, ID):
            renew(copy)
        assert statuses(copy) in (["V"], ["R", "V"])
        assert not make_device(copy, ID).new
        require_whole(copy, devices=["victim"])
    assert statuses(copy) == ["R", "V"]
