"""flash as a whole: what is checked before a port is opened, what is told, and which port is taken."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from tests.firmware.images import AT_CLIENT, file, made
from thingmint import config
from thingmint.console import Console
from thingmint.errors import InputError, ModemError
from thingmint.firmware.stamp import Stamp
from thingmint.ids import DeviceId
from thingmint.lab.state import LabFolder
from thingmint.lab.thing.faults import parse
from thingmint.lab.thing.port import Thing, plugged_in
from thingmint.modem.link import Link
from thingmint.session import Session, make_session
from thingmint.workflows.firmware import flashing

IMEI = DeviceId("352656100367872")
Plug = Callable[..., Thing]


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return make_session(tmp_path / "ws", config.load({}), Console())


@contextlib.contextmanager
def plugging(folder: Path) -> Iterator[Plug]:
    with contextlib.ExitStack() as held:

        def plug_in(*switches: str, device: DeviceId = IMEI) -> Thing:
            return held.enter_context(plugged_in(folder, device, parse(switches)))

        yield plug_in


@pytest.fixture
def plug(session: Session) -> Iterator[Plug]:
    """Into the lab, where --port auto looks first."""
    with plugging(LabFolder(session.workspace.lab).modems) as plug_in:
        yield plug_in


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Plug]:
    with plugging(tmp_path / "elsewhere") as plug_in:
        yield plug_in


def test_what_was_built_is_written_proven_and_told(
    session: Session, plug: Plug, capsys: pytest.CaptureFixture[str]
) -> None:
    built = file(session.workspace.root, name="firmware/build/azure_iot_hub-thingy91_nrf9160_ns/zephyr/app_update.bin")
    Stamp("azure_iot_hub", "", "thingy91_nrf9160_ns", None).write(built.parents[1])
    thing = plug("recovery")
    flashing.flash(session, port="auto", app="azure_iot_hub")
    said = capsys.readouterr().err
    assert f"image: {built} · version 1.2.3+4 · {len(made())} bytes" in said
    assert "it holds no application" in said
    assert f"proven: the bootloader lists it by its digest, {made()[-32:].hex()}" in said
    assert said.index("target: lab") < said.index("bootloader:")
    assert thing.memory.image.read_bytes() == made()


def test_the_same_image_is_left_alone_and_another_replaces_it(
    session: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for data, text in (
        (made(), "written: "),
        (made(), "unchanged: the device holds this image"),
        (made(AT_CLIENT), "written: "),
    ):
        with plugged_in(tmp_path / "modems", IMEI, parse(["recovery"])) as thing:
            flashing.flash(session, port=thing.port, file=str(file(tmp_path, data)))
            assert text in capsys.readouterr().err
            thing.wait()  # the bootloader started it
            assert thing.memory.image.read_bytes() == data


def test_an_image_that_is_none_is_told_before_any_port_is_opened(session: Session, plug: Plug, tmp_path: Path) -> None:
    with contextlib.closing(Link(plug("recovery").port)) as held:  # whoever opened it would be told that it is busy
        for words, text in (
            ({}, "either an application or an image"),
            ({"app": "at_client", "file": "x.bin"}, "either an application or an image"),
            ({"file": str(tmp_path / "none.bin")}, "cannot be read"),
            ({"file": str(file(tmp_path, b"\x7fELF", "zephyr.elf"))}, "is an ELF file"),
            ({"file": str(file(tmp_path, made(reset=0x2024541D), "mps2.bin"))}, "another chip"),
            ({"app": "at_client"}, "no image of at_client was built"),
        ):
            with pytest.raises(InputError, match=text):
                flashing.flash(session, port=held.port, **words)
        with pytest.raises(InputError, match="no port was named"):
            flashing.flash(session, port=None, file=str(file(tmp_path)))
        with pytest.raises(ModemError, match="is busy"):
            flashing.flash(session, port=held.port, file=str(file(tmp_path)))


def test_dry_opens_no_port(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = make_session(tmp_path / "ws", config.load({}), Console(), dry=True)
    flashing.flash(session, port="/dev/ttyNONE", file=str(file(tmp_path)))
    assert "would write it into the device on /dev/ttyNONE" in capsys.readouterr().err


def test_with_auto_the_board_whose_bootloader_answers_is_taken(
    session: Session, elsewhere: Plug, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two boards on the bus; one runs its AT client."""
    client, waiting = elsewhere(device=DeviceId("at-client")), elsewhere("recovery", device=DeviceId("waiting"))
    bus = []
    for number, thing in enumerate((client, waiting)):
        port = ListPortInfo(thing.port)
        port.vid, port.pid, port.serial_number = 0x1915, 0x9100, f"TA9{number}"
        bus.append(port)
    monkeypatch.setattr(list_ports, "comports", lambda: bus)
    flashing.flash(session, port="auto", file=str(file(tmp_path, made(AT_CLIENT))))
    assert waiting.memory.image.read_bytes() == made(AT_CLIENT)
    del bus[1:]
    with pytest.raises(ModemError, match="no port answers SMP: TA90") as caught:
        flashing.flash(session, port="auto", file=str(file(tmp_path)))
    assert "middle button" in caught.value.things_to_try[0]
    bus[0].pid = 0x520F
    with pytest.raises(ModemError, match="USB bridge's bootloader") as caught:
        flashing.flash(session, port="auto", file=str(file(tmp_path)))
    assert "the other button" in caught.value.things_to_try[0]
