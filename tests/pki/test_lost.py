"""What was lost or got in the way: a device's files, the ledger's content, a name in devices/ that is taken."""

import pytest

from tests.pki.test_identity import make_device
from tests.pki.test_series import ids, make_series
from thingmint.errors import InputError, ThingmintError, ToolError
from thingmint.ids import DeviceId
from thingmint.pki import bench
from thingmint.pki.audit import audit
from thingmint.pki.authority import family
from thingmint.pki.device import identity, renewal
from thingmint.pki.store.database import Database
from thingmint.pki.wish import Wish
from thingmint.session import Session

ONE = DeviceId.parse("one")


def lose(session: Session, *ends: str) -> None:
    for end in ends:
        (session.workspace.devices / f"one{end}").unlink()


def test_a_device_whose_files_are_lost_gets_no_key_that_does_not_fit(ready: Session) -> None:
    make_device(ready, ONE)
    lose(ready, ".key", ".csr", ".pem", ".chain.pem", ".json")
    with pytest.raises(InputError, match="its key is not here") as caught:
        make_device(ready, ONE)
    assert "invoke device --imei one --renew" in caught.value.render()
    assert not list(ready.workspace.devices.glob("one*"))


@pytest.mark.parametrize("ends", [(".key", ".csr", ".pem"), (".pem",), (".key", ".pem")])
def test_its_renewal_brings_back_what_the_authority_kept(ready: Session, ends: tuple[str, ...]) -> None:
    old = make_device(ready, ONE).certificate
    assert old
    lose(ready, *ends)
    signer = family.signer(ready.workspace)
    Database(signer).sync(longest=0)
    with bench.locked(ready) as locked:
        assert identity.bring_back(locked, ONE)
        renewal.renew(locked, signer, ONE, Wish())
        assert not identity.bring_back(locked, ONE)
    assert Database(signer).status(old.serial) == "R"
    assert not make_device(ready, ONE).new
    assert audit.audit(ready.workspace).findings == ()


def test_a_stray_key_is_retired_by_the_renewal(ready: Session) -> None:
    make_device(ready, ONE)
    other = make_device(ready, DeviceId.parse("other"))
    (ready.workspace.devices / "one.key").write_bytes(other.files.key.read_bytes())
    with pytest.raises(InputError, match="does not belong to"):
        make_device(ready, ONE)
    with bench.locked(ready) as locked:
        renewal.renew(locked, family.signer(ready.workspace), ONE, Wish())
    assert not make_device(ready, ONE).new


@pytest.mark.parametrize("damage", ["emptied", "gone"])
def test_a_ledger_without_its_rows_gives_no_name_twice(ready: Session, damage: str) -> None:
    make_device(ready, ONE)
    signer = family.signer(ready.workspace)
    Database(signer).sync(longest=0)
    signer.ledger.write_bytes(b"") if damage == "emptied" else signer.ledger.unlink()
    lose(ready, ".key", ".csr", ".pem")
    with pytest.raises(ToolError, match="does not know"):
        make_device(ready, ONE)


def test_a_series_counts_what_is_published_and_fails_where_it_is_not(ready: Session) -> None:
    (ready.workspace.devices / "two.json.new").mkdir()
    with pytest.raises((OSError, ThingmintError)):
        make_series(ready, ids("one", "two"))
    (ready.workspace.devices / "two.json.new").rmdir()
    (outcome,) = make_series(ready, ids("one", "two"))
    assert outcome.made == 2
    assert audit.audit(ready.workspace).findings == ()


def test_what_openssl_verify_refuses_is_not_published(ready: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = ready.workspace.root / "openssl"
    fake.write_text('#!/bin/sh\nif [ "$1" = verify ]; then echo "error 32" >&2; exit 2; fi\nexec openssl "$@"\n')
    fake.chmod(0o755)
    settings = ready.settings.model_copy(update={"pki": ready.settings.pki.model_copy(update={"openssl": str(fake)})})
    monkeypatch.setattr(type(ready), "settings", settings)
    with pytest.raises(ThingmintError, match="openssl verify refuses"):
        make_series(ready, ids("one", "two"))
    with pytest.raises(ThingmintError, match="openssl verify refuses"):
        make_series(ready, ids("one", "two"))
    assert not list(ready.workspace.devices.glob("*.pem"))
    monkeypatch.undo()
    (outcome,) = make_series(ready, ids("one", "two"))
    assert outcome.made == 2
