"""Keys that the modem makes and keeps: certified, written back, gone on with after any cut, renewed."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.provisioning.desk import CERTIFICATE, KEY, ROOT, Desk
from thingmint.errors import CheckError, InputError, ModemError
from thingmint.ids import DeviceId
from thingmint.modem import keygen as client
from thingmint.modem.at import open_modem
from thingmint.pki import inspect
from thingmint.pki.audit import audit
from thingmint.pki.device import identity
from thingmint.pki.device.record import DeviceFiles, Record
from thingmint.workflows import targets
from thingmint.workflows.device import connection, devices, lifecycle
from thingmint.workflows.lab import simulated
from thingmint.workflows.modem import loading
from thingmint.workflows.modem.station import Leave


def files(desk: Desk, imei: str) -> DeviceFiles:
    return DeviceFiles.of(desk.session.workspace, DeviceId(imei))


def record(desk: Desk, imei: str) -> Record:
    found = Record.read(files(desk, imei).record)
    assert found
    return found


def boot(desk: Desk, imei: str) -> list[str]:
    lines: list[str] = []
    simulated.boot(desk.session, DeviceId(imei), lines.append)
    return lines


def test_the_key_never_leaves_and_the_device_connects(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    imei = desk.imei()
    with desk.plugged_in(imei, "instant") as thing:
        desk.keygen(imei, thing)
        desk.provision(imei, thing)
    own = files(desk, imei)
    assert not own.key.exists()
    assert desk.held(imei)[10, CERTIFICATE] == own.certificate.read_bytes()
    certificate = inspect.read_certificate(own.certificate)
    assert certificate.public_key == inspect.read_request(own.csr).public_key
    told = record(desk, imei)
    assert told.key_in_modem
    assert told.modem
    assert {one.kind for one in told.modem.credentials} == {"server root", "client certificate", "private key"}
    assert "Event was successfully sent" in " ".join(boot(desk, imei))
    said = capsys.readouterr().err
    assert "attestation signature not checked" in said
    assert "PRIVATE KEY" not in said


def test_again_changes_nothing_but_puts_back_a_certificate_that_is_gone(desk: Desk) -> None:
    imei = desk.imei()
    with desk.plugged_in(imei, "instant") as thing:
        desk.keygen(imei, thing)
        before = files(desk, imei).certificate.read_bytes()
        desk.keygen(imei, thing)
        thing.memory.delete(10, CERTIFICATE)
        desk.keygen(imei, thing)
    assert files(desk, imei).certificate.read_bytes() == before == desk.held(imei)[10, CERTIFICATE]


@pytest.mark.parametrize("in_modem", [True, False], ids=["made-in-modem", "made-here"])
def test_renewal_replaces_the_pair_wherever_the_old_key_was(desk: Desk, *, in_modem: bool) -> None:
    imei = desk.imei()
    with desk.plugged_in(imei, "instant") as thing:
        if in_modem:
            desk.keygen(imei, thing)
        else:
            desk.device(imei)
            desk.provision(imei, thing)
        old = inspect.read_certificate(files(desk, imei).certificate)
        desk.keygen(imei, thing, renew=True)
        desk.provision(imei, thing)
    new = inspect.read_certificate(files(desk, imei).certificate)
    assert new.public_key != old.public_key
    assert not files(desk, imei).key.exists()
    assert (desk.session.workspace.devices / "retired" / f"{imei}.{old.serial}.pem").exists()
    assert "Event was successfully sent" in " ".join(boot(desk, imei))


@pytest.mark.parametrize(
    ("switches", "kind"),
    [
        (("keygen-fails", "once"), ModemError),
        (("attestation=wrong-digest", "once"), CheckError),
        (("attestation=missing", "once"), ModemError),
        (("cfun=1", "cfun-refused", "once"), ModemError),
        (("write-error=515", "once"), ModemError),
    ],
    ids=str,
)
def test_a_fault_of_the_modem_is_named_and_the_second_run_finishes(
    desk: Desk, switches: tuple[str, ...], kind: type[Exception]
) -> None:
    imei = desk.imei()
    with desk.plugged_in(imei, "instant", *switches) as thing:
        with pytest.raises(kind):
            desk.keygen(imei, thing)
        desk.keygen(imei, thing)
        desk.provision(imei, thing)
    assert "Event was successfully sent" in " ".join(boot(desk, imei))


class Cut(BaseException):
    """Stands for a kill: nothing of ours may catch it."""


@contextmanager
def dying(monkeypatch: pytest.MonkeyPatch, where: object, name: str, *, after: bool = False) -> Iterator[None]:
    """The run ends where `name` is called, or when it has done its work."""
    real = getattr(where, name)

    def end(*arguments: object, **_: object) -> None:
        if after:
            real(*arguments)
        raise Cut

    monkeypatch.setattr(where, name, end)
    with pytest.raises(Cut):
        yield
    monkeypatch.setattr(where, name, real)


def test_a_key_that_a_cut_off_run_had_made_is_replaced_without_force(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The modem has made its key, and nothing of it is on the disk."""
    imei = desk.imei()
    with desk.plugged_in(imei, "instant") as thing:
        with dying(monkeypatch, client, "generate", after=True):
            desk.keygen(imei, thing)
        lost = desk.held(imei)[10, KEY]
        desk.keygen(imei, thing)
    assert desk.held(imei)[10, KEY] != lost
    assert desk.held(imei)[10, CERTIFICATE] == files(desk, imei).certificate.read_bytes()


def test_a_renewal_that_was_cut_off_in_the_modem_makes_another_key(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the old certificate would be written beside a key that it does not fit."""
    imei = desk.imei()
    with desk.plugged_in(imei, "instant") as thing:
        desk.keygen(imei, thing)
        with dying(monkeypatch, client, "generate", after=True):
            desk.keygen(imei, thing, renew=True)
        with pytest.raises(InputError, match="was cut off"):
            desk.provision(imei, thing)
        desk.keygen(imei, thing)
        desk.provision(imei, thing)
    assert "Event was successfully sent" in " ".join(boot(desk, imei))


def test_a_key_that_was_replaced_behind_our_back_is_missed(desk: Desk) -> None:
    imei = desk.imei()
    with desk.plugged_in(imei, "instant") as thing:
        desk.keygen(imei, thing)
        with open_modem(thing.port) as modem:
            modem.ask("AT%CMNG=3,10,2")
            client.generate(modem, 10, imei)
        with pytest.raises(CheckError, match="another by now"):
            desk.provision(imei, thing)


def test_a_cut_after_signing_is_gone_on_with_without_another_key(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    imei = desk.imei()
    with desk.plugged_in(imei, "instant") as thing:
        with dying(monkeypatch, loading, "load"):
            desk.keygen(imei, thing)
        made = desk.held(imei)[10, KEY]
        desk.keygen(imei, thing)
    assert desk.held(imei)[10, KEY] == made
    assert desk.held(imei)[10, CERTIFICATE] == files(desk, imei).certificate.read_bytes()


def test_a_renewal_that_was_cut_off_is_finished_before_its_certificate_is_written(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    imei = desk.imei()
    with desk.plugged_in(imei, "instant") as thing:
        desk.keygen(imei, thing)
        with dying(monkeypatch, identity, "sign"):
            desk.keygen(imei, thing, renew=True)
        desk.keygen(imei, thing)
        desk.provision(imei, thing)
    assert "Event was successfully sent" in " ".join(boot(desk, imei))


def test_a_root_in_the_tag_is_no_obstacle_to_a_key(desk: Desk) -> None:
    imei = desk.imei()
    with desk.plugged_in(imei, "instant") as thing:
        thing.memory.write(10, ROOT, b"somebody's root\n")
        desk.keygen(imei, thing)
    assert desk.held(imei)[10, ROOT] == b"somebody's root\n"


def test_the_key_is_looked_for_in_the_tag_and_the_modem_that_made_it(desk: Desk) -> None:
    imei = desk.imei()
    with desk.plugged_in(imei, "instant") as thing:
        desk.keygen(imei, thing)
        desk.keygen(imei, thing, renew=True, tag="12")
        with pytest.raises(CheckError, match="it is in sec tag 12, not in 10"):
            desk.provision(imei, thing, tag="10")
        desk.provision(imei, thing)  # where it was loaded before
    assert "Event was successfully sent" in " ".join(boot(desk, imei))
    with (
        desk.plugged_in(imei, "instant", f"imei={desk.imei()}") as other,
        pytest.raises(CheckError, match=f"the one with the IMEI {imei}"),
    ):
        desk.provision(imei, other, leave=Leave(mismatch=True))


def test_a_modem_that_will_not_do_leaves_no_identity_on_the_hub(desk: Desk) -> None:
    imei, other = desk.imei(), desk.imei()
    with desk.plugged_in(other, "instant") as thing, pytest.raises(CheckError, match=other):
        desk.keygen(imei, thing)
    hub = targets.open_hub(desk.session)
    assert hub.registry.get(imei) is None


def test_somebody_elses_key_is_left_in_its_tag(desk: Desk) -> None:
    stranger, imei = desk.device(), desk.imei()
    with desk.plugged_in(imei, "instant") as thing:
        desk.provision(stranger, thing, leave=Leave(mismatch=True))
        before = desk.held(imei)
        with pytest.raises(InputError, match="hold something else"):
            desk.keygen(imei, thing)
        assert desk.held(imei) == before
        assert not files(desk, imei).certificate.exists()
        desk.keygen(imei, thing, leave=Leave(force=True))
    assert desk.held(imei)[10, CERTIFICATE] == files(desk, imei).certificate.read_bytes()


def test_a_key_that_is_not_in_this_modem_is_missed(desk: Desk) -> None:
    imei = desk.imei()
    with desk.plugged_in(imei, "instant") as thing:
        desk.keygen(imei, thing)
        thing.memory.delete(10, KEY)
        with pytest.raises(CheckError, match="was made in its modem"):
            desk.provision(imei, thing)


def test_such_a_device_is_whole_and_this_machine_cannot_speak_as_it(desk: Desk) -> None:
    imei = desk.imei()
    with desk.plugged_in(imei, "instant") as thing:
        desk.keygen(imei, thing)
    with pytest.raises(InputError, match="is in its modem"):
        connection.connect(desk.session, imei=imei)
    with pytest.raises(InputError, match="would make another one here") as caught:
        desk.device(imei, renew=True)
    assert "--keygen" in caught.value.render()
    devices.device(desk.session, imei=imei)
    assert not [one for one in audit.audit(desk.session.workspace).findings if imei in str(one.where)]
    lifecycle.device_revoke(desk.session, imei=imei, reason="keyCompromise", yes=True)
