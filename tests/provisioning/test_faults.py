"""The fault table: each fault ends in its own error, and a second run finishes the job."""

import re
import time
from pathlib import Path

import pytest

from tests.provisioning.desk import Desk
from thingmint.errors import CheckError, InputError, ModemError, ThingmintError
from thingmint.lab import control
from thingmint.lab.state import LabFolder
from thingmint.lab.thing.port import Thing
from thingmint.modem import at, attention, commands, credentials
from thingmint.workflows.modem.station import Leave

# Those that strike once are gone in the second run of the same modem; the others in the second one's absence of a switch.
TABLE = (
    (("instant", "cfun=1", "cfun-refused", "once"), ModemError, "AT\\+CFUN=4"),
    (("instant", "write-error=513", "once"), ModemError, "CME ERROR: 513"),
    (("instant", "write-error=514", "once"), ModemError, "CME ERROR: 514"),
    (("instant", "write-error=518", "once"), ModemError, "CME ERROR: 518"),
    (("instant", "memory-full", "once"), ModemError, "CME ERROR: 515"),
    (("instant", "no-host"), ModemError, "no AT host"),
    (("instant", "silent"), ModemError, "answer"),
    (("baud=9600",), ModemError, "(does not answer|only garbage comes back)(?s:.*)115200 baud"),
    (("instant", "stores=crlf"), ModemError, "CRLF"),
    (("instant", "stores=no-newline"), ModemError, "newline"),
    (("instant", "stores=half"), ModemError, "truncated at [0-9]+ of [0-9]+"),
    (("unplug=400",), ModemError, "disappeared|gone|unplugged"),
    (("reboot=400",), ModemError, "restarted"),
    (("unplug=100", "at-write=3"), ModemError, "disappeared"),
    (("reboot=100", "at-write=3"), ModemError, "restarted"),
    (("instant", "imei=352656100367872"), CheckError, "352656100367872"),
)  # fmt: skip


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is silent here stays so: nothing is gained by waiting as long as for a real board."""
    monkeypatch.setattr(attention, "_TRIES", (0.5, 0.5))
    monkeypatch.setattr(credentials, "_WRITE_SECONDS", 3.0)


def await_port(thing: Thing) -> None:
    end = time.monotonic() + 20
    while not Path(thing.port).exists():
        assert time.monotonic() < end, f"{thing.port} is not back"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("switches", "kind", "words"), TABLE, ids=lambda value: "+".join(value) if isinstance(value, tuple) else ""
)
def test_a_fault_is_named_and_the_second_run_finishes(
    desk: Desk, switches: tuple[str, ...], kind: type[ThingmintError], words: str
) -> None:
    imei = desk.device()
    with desk.plugged_in(imei, *switches) as thing:
        with pytest.raises(kind) as caught:
            desk.provision(imei, thing)
        said = caught.value.render()
        assert re.search(words, said), said
        if "once" in switches or switches[0].startswith(("unplug", "reboot")):
            await_port(thing)  # half a second after it vanished
            desk.provision(imei, thing)
    assert caught.value.things_to_try
    assert "PRIVATE KEY" not in said
    with desk.plugged_in(imei, "instant") as thing:
        desk.provision(imei, thing)
    desk.require_loaded(imei)


@pytest.mark.parametrize(
    "switches",
    [
        ("instant", "stores=crlf", "once"),
        ("instant", "stores=half", "once"),
        ("instant", "write-error=527", "once"),
        ("drop=100",),
        ("drop=1", "at-write=3"),
        ("no-answer",),
        ("urc",),
        ("log",),
        ("urc", "log", "echo"),
        ("slow=0.05",),
        ("instant", "overwrite=refuse"),
        ("instant", "cfun=1"),
        ("instant", "cmee-refused"),
        ("instant", "tcp"),
        ("instant", "firmware=mfw_nrf9160_1.3.2"),
    ],
    ids="+".join,
)
def test_what_can_be_mended_on_the_way_is_mended(desk: Desk, switches: tuple[str, ...]) -> None:
    imei = desk.device()
    with desk.plugged_in(imei, *switches) as thing:
        desk.provision(imei, thing)
    desk.require_loaded(imei)


@pytest.mark.parametrize("mode", [0, 1, 4])
def test_the_functional_mode_is_what_it_was(desk: Desk, mode: int) -> None:
    imei = desk.device()
    with desk.plugged_in(imei, "instant", f"cfun={mode}") as thing:
        desk.provision(imei, thing)
        with at.open_modem(thing.port) as modem:
            assert commands.functional_mode(modem) == mode


def test_the_functional_mode_is_restored_after_a_failure(desk: Desk) -> None:
    imei = desk.device()
    with desk.plugged_in(imei, "instant", "cfun=1", "stores=crlf") as thing:
        with pytest.raises(ModemError):
            desk.provision(imei, thing)
        with at.open_modem(thing.port) as modem:
            assert commands.functional_mode(modem) == 1


def test_a_modem_of_another_device_is_left_alone_unless_told(desk: Desk) -> None:
    imei, other = desk.device(), desk.imei()
    with desk.plugged_in(other, "instant") as thing:
        with pytest.raises(CheckError, match=other):
            desk.provision(imei, thing)
        assert not desk.held(other)
        desk.provision(imei, thing, leave=Leave(mismatch=True))
    assert desk.held(other)[10, 2] == (desk.session.workspace.devices / f"{imei}.key").read_bytes()


def test_an_id_that_is_no_imei_is_warned_of_and_recorded(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.device("bench-7")
    with desk.plugged_in("bench-7", "instant") as thing:
        desk.provision("bench-7", thing)
    assert "nothing proves that this modem is its own" in capsys.readouterr().err
    record = (desk.session.workspace.devices / "bench-7.json").read_text()
    assert f'"imei": "{thing.memory.imei}"' in record


def test_what_is_in_the_way_is_left_unless_forced(desk: Desk) -> None:
    stranger, imei = desk.device(), desk.device()
    with desk.plugged_in(imei, "instant") as thing:
        desk.provision(stranger, thing, leave=Leave(mismatch=True))
        before = desk.held(imei)
        with pytest.raises(InputError, match="hold something else") as caught:
            desk.provision(imei, thing)
        assert desk.held(imei) == before
        assert "sec tag 10 · private key" in caught.value.detail
        desk.provision(imei, thing, leave=Leave(force=True))
    desk.require_loaded(imei)


def test_a_renewed_device_replaces_its_own_old_pair(desk: Desk) -> None:
    imei = desk.device()
    with desk.plugged_in(imei, "instant") as thing:
        desk.provision(imei, thing)
        desk.device(imei, renew=True)
        desk.provision(imei, thing)
    desk.require_loaded(imei)


def test_another_lab_ca_is_this_devices_own_root_to_replace(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    imei = desk.device()
    with desk.plugged_in(imei, "instant") as thing:
        thing.memory.write(10, 0, b"an older root\n")
        with pytest.raises(InputError, match="hold something else"):
            desk.provision(imei, thing)
        desk.provision(imei, thing, leave=Leave(force=True))
        desk.device(imei, renew=True)
        control.stop(desk.session)
        LabFolder(desk.session.workspace.lab).ca.unlink()
        desk.provision(imei, thing)
    desk.require_loaded(imei)
    assert "replaced: sec tag 10 · server root" in capsys.readouterr().err


def test_four_modems_at_once(desk: Desk) -> None:
    from concurrent.futures import ThreadPoolExecutor

    imeis = [desk.device() for _ in range(4)]

    def load(imei: str) -> None:
        with desk.plugged_in(imei) as thing:
            desk.provision(imei, thing)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(load, imeis))
    for imei in imeis:
        desk.require_loaded(imei)
