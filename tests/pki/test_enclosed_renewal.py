"""A modem makes a new key: the old pair is retired, wherever its key was, and a kill anywhere is finished."""

import dataclasses

import pytest

from tests.conftest import MakeSession
from tests.pki import forks, modems
from tests.pki.test_enclosed import ID, enclose
from tests.pki.test_identity import make_device
from tests.pki.test_renewal import statuses
from thingmint.errors import CheckError, InputError
from thingmint.pki import bench, inspect
from thingmint.pki.audit import audit
from thingmint.pki.authority import family
from thingmint.pki.device import enclosed, renewal
from thingmint.pki.device.identity import Identity
from thingmint.pki.device.record import Credential, Loading, Record
from thingmint.pki.wish import Wish
from thingmint.session import Session

LOADED = Loading(
    "352656100367872", "mfw_nrf9160_1.3.5", "nRF9160 SICA B0A", "hub.azure-devices.net", "2026-01-01T00:00:00+00:00",
    (Credential(0, "private key", "AB" * 32, "made in the modem"), Credential(16, "server root", "CD" * 32, "a root")),
)  # fmt: skip


def renew(session: Session) -> Identity:
    with bench.locked(session) as locked:
        return renewal.renew(locked, family.signer(session.workspace), ID, Wish())


@pytest.mark.parametrize("was", ["here", "in the modem"])
def test_the_old_pair_is_retired_wherever_its_key_was(ready: Session, was: str) -> None:
    old = make_device(ready, ID) if was == "here" else enclose(ready, modems.csr(ID.text))
    assert old.certificate
    key = old.files.key.read_bytes() if was == "here" else b""
    new = enclose(ready, modems.csr(ID.text), renew=True)
    assert new.certificate
    assert new.certificate.serial != old.certificate.serial
    retired = ready.workspace.devices / "retired"
    ends = {path.name.removeprefix(f"{ID}.{old.certificate.serial}") for path in retired.iterdir()}
    assert ends == {".csr", ".pem", ".json"} | ({".key"} if was == "here" else set())
    if was == "here":
        kept = retired / f"{ID}.{old.certificate.serial}.key"
        assert kept.read_bytes() == key
        assert kept.stat().st_mode & 0o777 == 0o600
    assert not old.files.key.exists()
    assert not renewal.under_way(ready.workspace, ID)
    assert not enclose(ready, None).new
    assert audit.audit(ready.workspace).findings == ()


def test_what_was_loaded_of_the_old_certificate_stays_with_it(ready: Session) -> None:
    own = enclose(ready, modems.csr(ID.text)).files
    record = Record.read(own.record)
    assert record
    own.record.write_bytes(dataclasses.replace(record, modem=LOADED, registered_on="a hub").to_json())
    assert Record.read(own.record) == dataclasses.replace(record, modem=LOADED, registered_on="a hub")
    assert not make_device(ready, ID).new
    enclose(ready, modems.csr(ID.text), renew=True)
    fresh = Record.read(own.record)
    assert fresh
    assert (fresh.modem, fresh.registered_on) == (None, "a hub")
    old = Record.read(ready.workspace.devices / "retired" / f"{ID}.{record.serial}.json")
    assert old
    assert old.modem == LOADED


@pytest.mark.parametrize(
    "damage",
    ["[]", '{"device_id": 1}', "{", '"key_in_modem": 1', '"keygen_begun": "16"', '"modem": {}', '"modem": {"a": 1}'],
)
def test_a_damaged_record_is_an_error_that_names_it(ready: Session, damage: str) -> None:
    own = enclose(ready, modems.csr(ID.text)).files
    if damage.startswith('"'):
        own.record.write_text(own.record.read_text().replace('"key_in_modem": true', damage))
    else:
        own.record.write_text(damage)
    with pytest.raises(Exception, match="record .* is damaged"):
        make_device(ready, ID)


def test_a_plain_renewal_is_refused_with_the_line_to_type(ready: Session) -> None:
    enclose(ready, modems.csr(ID.text))
    with pytest.raises(InputError, match="is in its modem") as caught:
        renew(ready)
    assert f"invoke device --imei {ID} --renew --keygen --port PORT" in caught.value.render()
    with bench.locked(ready) as locked, pytest.raises(InputError, match="is in its modem"):
        renewal.require_possible(locked, family.signer(ready.workspace), ID)


def test_a_modem_that_made_no_new_key_is_found_out(ready: Session) -> None:
    csr = modems.csr(ID.text)
    enclose(ready, csr)
    with pytest.raises(CheckError, match="the one that the certificate has already"):
        enclose(ready, csr, renew=True)
    assert not renewal.under_way(ready.workspace, ID)


def test_a_renewal_with_a_key_of_this_machine_is_finished_first(ready: Session) -> None:
    make_device(ready, ID)
    staged = renewal.staging(ready.workspace, ID)
    staged.key.parent.mkdir()
    staged.key.touch(0o600)
    with pytest.raises(InputError, match="it needs no modem") as caught:
        enclose(ready, modems.csr(ID.text), renew=True)
    assert f"finish it first: invoke device --imei {ID}" in caught.value.render()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_at_every_rename_of_a_first_certificate_is_finished(
    ready: Session, make_session_in: MakeSession, when: str
) -> None:
    roots = list(forks.killed(ready.workspace.root, forks.enclose_victim, when))
    assert len(roots) > 8
    for root in roots:
        assert forks.run(root, forks.enclose_victim) == 0
        copy = make_session_in(root, pki_key="ec:P-256")
        assert statuses(copy) == ["V"]
        assert audit.audit(copy.workspace).findings == ()
        assert enclosed.begun(copy.workspace, forks.VICTIM) is None


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("was", ["here", "in the modem"])
def test_a_kill_at_every_rename_of_a_renewal_is_finished_without_the_modem(
    ready: Session, make_session_in: MakeSession, when: str, was: str
) -> None:
    if was == "here":
        make_device(ready, forks.VICTIM)
    else:
        enclose(ready, modems.csr(forks.VICTIM.text), device=forks.VICTIM)
    roots = list(forks.killed(ready.workspace.root, forks.renew_enclosed_victim, when))
    assert len(roots) > 10
    for root in roots:
        copy = make_session_in(root, pki_key="ec:P-256")
        begun = renewal.under_way(copy.workspace, forks.VICTIM)
        if begun:
            with bench.locked(copy) as locked:
                renewal.renew(locked, family.signer(copy.workspace), forks.VICTIM, Wish())
        assert statuses(copy) in (["V"], ["R", "V"])
        assert not make_device(copy, forks.VICTIM).new
        if statuses(copy) == ["R", "V"]:
            assert not (copy.workspace.devices / "victim.key").exists()
            assert audit.audit(copy.workspace).findings == ()
        own = copy.workspace.devices / "victim.csr"
        certificate = inspect.read_certificate(own.with_suffix(".pem"))
        assert inspect.read_request(own).public_key == certificate.public_key
    assert statuses(copy) == ["R", "V"]
