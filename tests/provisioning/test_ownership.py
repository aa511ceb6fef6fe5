"""Whose a credential is: nothing of another device's goes without --force, and nothing is called proven that is not."""

import dataclasses
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import pytest

from tests.provisioning.desk import CERTIFICATE, KEY, Desk
from thingmint.errors import CheckError, InputError, ModemError
from thingmint.ids import DeviceId
from thingmint.lab.thing import modem as simulated_modem
from thingmint.lab.thing.sectags import Entry
from thingmint.modem import at, commands
from thingmint.modem import keygen as client
from thingmint.modem.credentials import Kind
from thingmint.pki import inspect
from thingmint.pki.device.record import DeviceFiles, Record
from thingmint.workflows.authority import authorities
from thingmint.workflows.modem import keygen, loading, provisioning
from thingmint.workflows.modem.loading import Wanted
from thingmint.workflows.modem.station import Leave


def record(desk: Desk, imei: str) -> Record:
    found = Record.read(DeviceFiles.of(desk.session.workspace, DeviceId(imei)).record)
    assert found
    return found


def test_a_strangers_key_is_never_taken_for_the_one_that_was_made(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run ends before its evidence is written, and goes on at another modem that has a key in that tag."""
    with desk.plugged_in("bench-8", "instant") as thing, monkeypatch.context() as patch:
        patch.setattr(loading, "load", lambda *_, **__: pytest.fail("cut"))
        with pytest.raises(pytest.fail.Exception):
            desk.keygen("bench-8", thing)
    with desk.plugged_in("other-8", "instant") as other:
        with at.open_modem(other.port) as modem:
            client.generate(modem, 10, "other-8")
        with pytest.raises(CheckError, match="not this one"):
            desk.provision("bench-8", other)
        with pytest.raises(CheckError, match="not this one"):
            desk.keygen("bench-8", other)
    with desk.plugged_in("bench-8", "instant") as thing:
        desk.keygen("bench-8", thing)
        desk.provision("bench-8", thing)


@pytest.mark.parametrize("fault", ["keygen-fails", "attestation=missing"])
def test_a_modem_that_makes_no_keys_leaves_a_written_device_as_it_was(desk: Desk, fault: str) -> None:
    imei = desk.device()
    with desk.plugged_in(imei, "instant", fault) as thing:
        desk.provision(imei, thing)
        with pytest.raises(ModemError):
            desk.keygen(imei, thing, renew=True)
        desk.provision(imei, thing)
    desk.require_loaded(imei)


def test_what_another_device_has_loaded_since_is_its_own(desk: Desk) -> None:
    """A's run was cut off in these tags; B has them now."""
    first, second = desk.device(), desk.device()
    with desk.plugged_in(first, "instant", "write-error=515", "once") as thing:
        with pytest.raises(ModemError):
            desk.provision(first, thing)
        desk.provision(second, thing, leave=Leave(mismatch=True, force=True))
        held = desk.held(first)
        with pytest.raises(InputError, match="hold something else"):
            desk.provision(first, thing)
    assert desk.held(first) == held


def test_what_was_to_be_replaced_by_force_and_was_not_is_asked_for_again(desk: Desk) -> None:
    stranger, imei = desk.device(), desk.device()
    with desk.plugged_in(imei, "instant", "cfun=1", "cfun-refused", "once") as thing:
        thing.memory.write(10, KEY, b"somebody's\n")
        with pytest.raises(ModemError, match="AT\\+CFUN=4"):
            desk.provision(imei, thing, leave=Leave(force=True))
        with pytest.raises(InputError, match="hold something else"):
            desk.provision(imei, thing)
    assert desk.held(imei) == {(10, KEY): b"somebody's\n"}
    assert stranger


def test_the_tags_outlive_the_certificate(desk: Desk) -> None:
    imei = desk.device()
    with desk.plugged_in(imei, "instant") as thing:
        provisioning.provision(desk.session, imei=imei, port=thing.port, sec_tag="42", secondary_tag="43")
        desk.device(imei, renew=True)
        desk.provision(imei, thing)
        assert not desk.held(imei)
        assert thing.memory.read(42, KEY) == (desk.session.workspace.devices / f"{imei}.key").read_bytes()
        keygen.device(desk.session, imei=imei, port=thing.port, renew=True)
    told = record(desk, imei)
    assert (told.sec_tag, told.secondary_tag, told.made_key and told.made_key.sec_tag) == (42, 43, 42)


def test_the_mode_from_before_a_lost_link_is_restored_by_the_next_run(desk: Desk) -> None:
    from tests.provisioning.test_faults import await_port

    imei = desk.device()
    with desk.plugged_in(imei, "unplug=400", "cfun=1") as thing:
        with pytest.raises(ModemError):
            desk.provision(imei, thing)
        await_port(thing)
        desk.provision(imei, thing)
        with at.open_modem(thing.port) as modem:
            assert commands.functional_mode(modem) == 1
    assert record(desk, imei).loading_begun is None


def test_a_modem_that_is_not_simulated_never_gets_the_labs_root_unasked(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    imei = desk.device()
    monkeypatch.setattr(simulated_modem, "MANUFACTURER", "Nordic Semiconductor ASA")
    with desk.plugged_in(imei, "instant") as thing:
        with pytest.raises(InputError, match="this is a real modem"):
            desk.provision(imei, thing)
        assert not desk.held(imei)
        desk.provision(imei, thing, leave=Leave(misfit=True))
    desk.require_loaded(imei)


def test_a_certificate_that_is_not_good_yet_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    imei = desk.device()

    class Yesterday:
        @staticmethod
        def now(zone: tzinfo) -> datetime:
            return datetime.now(zone) - timedelta(days=1)

    monkeypatch.setattr(provisioning, "datetime", Yesterday)
    with desk.plugged_in(imei, "instant") as thing, pytest.raises(InputError, match="is good from"):
        desk.provision(imei, thing)


def test_a_chain_that_has_no_room_is_refused_before_a_key_is_made(desk: Desk) -> None:
    parent = "policy-a"
    authorities.subca(desk.session, name=parent, pathlen="2", key="rsa:2048")
    for name in ("policy-b", "policy-c"):
        level = "1" if name == "policy-b" else "0"
        authorities.subca(desk.session, name=name, parent=parent, pathlen=level, key="rsa:2048")
        parent = name
    imei = desk.imei()
    with desk.plugged_in(imei, "instant") as thing, pytest.raises(InputError, match="and the AT host takes 4078"):
        keygen.device(desk.session, imei=imei, port=thing.port, ca="policy-c")
    assert not desk.held(imei)


def test_where_the_hub_trusts_none_of_them_the_whole_chain_is_loaded(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    authorities.subca(desk.session, name="factory-z", key="ec:P-256")
    imei = desk.imei()
    from thingmint.workflows.device import devices

    devices.device(desk.session, imei=imei, ca="factory-z")
    other_root = desk.session.workspace.devices / f"{imei}.chain.pem"
    with desk.plugged_in(imei, "instant") as thing:
        desk.provision(imei, thing)
    assert desk.held(imei)[10, CERTIFICATE] == other_root.read_bytes()
    assert "no authority above" in capsys.readouterr().err


def test_a_damaged_retired_file_is_in_nobodys_way(desk: Desk) -> None:
    imei = desk.device()
    retired = desk.session.workspace.devices / "retired"
    retired.mkdir(mode=0o700, exist_ok=True)
    (retired / f"{imei}.ABCD.pem").write_text("half")
    with desk.plugged_in(imei, "instant") as thing:
        desk.provision(imei, thing)
    desk.require_loaded(imei)


def test_of_two_modems_at_once_one_is_told_that_its_key_is_not_the_certificates(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = client.generate

    def second_inside_the_first(modem: at.Modem, tag: int, common_name: str) -> client.GeneratedKey:
        monkeypatch.setattr(client, "generate", real)
        with desk.plugged_in("race-2", "instant") as other:
            desk.keygen("race-1", other)
        return real(modem, tag, common_name)

    monkeypatch.setattr(client, "generate", second_inside_the_first)
    with desk.plugged_in("race-1", "instant") as thing, pytest.raises(CheckError, match="of another key"):
        desk.keygen("race-1", thing)
    certificate = inspect.read_certificate(desk.session.workspace.devices / "race-1.pem")
    assert desk.held("race-2")[10, CERTIFICATE] == certificate.pem


def test_no_repr_shows_a_key() -> None:
    secret = b"-----BEGIN PRIVATE KEY-----"
    assert "BEGIN" not in repr(Wanted(10, Kind.PRIVATE_KEY, "private key", "x.key", secret))
    assert "BEGIN" not in repr(Entry(10, 2, secret))


def test_a_record_with_a_tag_that_is_no_number_is_damaged(desk: Desk) -> None:
    imei = desk.device()
    path = desk.session.workspace.devices / f"{imei}.json"
    path.write_text(dataclasses.replace(record(desk, imei)).to_json().decode().rstrip("}\n") + ', "sec_tag": "10"}')
    with desk.plugged_in(imei, "instant") as thing, pytest.raises(Exception, match="is damaged"):
        desk.provision(imei, thing)


def test_auto_finds_the_one_simulated_modem_that_is_plugged_in(desk: Desk, tmp_path: Path) -> None:
    imei = desk.device()
    desk.modems.mkdir(exist_ok=True)
    left = desk.modems / "killed-1.port"
    left.symlink_to("/dev/null")
    for switches in (["instant"], ["instant", "tcp"]):
        with desk.plugged_in(imei, *switches):
            provisioning.provision(desk.session, imei=imei, port="auto")
    left.unlink()
    desk.require_loaded(imei)
