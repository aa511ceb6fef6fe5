"""An image into a simulated device in recovery, over a real pty, through each fault."""

import contextlib
import dataclasses
import itertools
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.firmware.images import file, made
from thingmint.errors import CheckError, ModemError
from thingmint.firmware.flash import image, recovery, smp
from thingmint.firmware.flash.image import Image
from thingmint.firmware.flash.recovery import Device
from thingmint.ids import DeviceId
from thingmint.lab.thing.bootloader import SLOT
from thingmint.lab.thing.faults import parse
from thingmint.lab.thing.port import Thing, plugged_in
from thingmint.modem.link import Link

IMEI = DeviceId("352656100367872")
Plug = Callable[..., Thing]


@pytest.fixture(autouse=True)
def less_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smp, "_ANSWER", (1.0, 3))


@pytest.fixture
def plug(tmp_path: Path) -> Iterator[Plug]:
    with contextlib.ExitStack() as held:
        yield lambda *switches: held.enter_context(
            plugged_in(tmp_path / "modems", IMEI, parse(["recovery", *switches]))
        )


@pytest.fixture
def wanted(tmp_path: Path) -> Image:
    return image.read(file(tmp_path))


@contextlib.contextmanager
def opened(thing: Thing) -> Iterator[Device]:
    link = Link(thing.port)
    try:
        with recovery.opened(link) as device:
            yield device
    finally:
        link.close()


def write(device: Device, wanted: Image) -> list[int]:
    told: list[int] = []
    device.write(wanted, told.append)
    return told


def test_an_image_is_written_proven_and_started(plug: Plug, wanted: Image) -> None:
    thing = plug()
    with opened(thing) as device:
        assert device.application is None
        told = write(device, wanted)
        assert told == sorted(set(told))
        assert told[-1] == len(wanted.data)
        assert device.prove(wanted)
        assert device.holds(wanted)
        assert device.restart()
    assert thing.memory.image.read_bytes() == wanted.data
    thing.wait()  # ends, since the bootloader starts what it was given


def test_an_old_bootloader_tells_neither_buffer_nor_digest(plug: Plug, wanted: Image) -> None:
    with opened(plug("flash=old")) as device:
        steps = write(device, wanted)
        assert max(later - one for one, later in itertools.pairwise(steps)) < 384
        assert not device.prove(wanted)
        assert not device.holds(wanted)
        assert device.application


def test_a_lost_answer_is_asked_for_again(plug: Plug, wanted: Image) -> None:
    with opened(plug("flash=lost-answer")) as device:
        assert write(device, wanted)[-1] == len(wanted.data)
        assert device.prove(wanted)


def test_a_device_that_vanishes_is_written_again_from_the_first_byte(plug: Plug, wanted: Image) -> None:
    thing = plug("flash=unplug")
    with opened(thing) as device, pytest.raises(ModemError, match="disappeared") as caught:
        write(device, wanted)
    assert f"of {len(wanted.data)} bytes are written" in caught.value.message
    assert "run the same line again: it starts from the first byte" in caught.value.things_to_try
    assert not thing.memory.image.exists()
    until = time.monotonic() + 10
    while not Path(thing.port).exists() and time.monotonic() < until:
        time.sleep(0.05)
    with opened(thing) as device:
        write(device, wanted)
        assert device.prove(wanted)


def test_a_bootloader_that_asks_for_one_place_for_ever_is_given_up(plug: Plug, wanted: Image) -> None:
    with opened(plug("flash=stuck")) as device, pytest.raises(ModemError, match="does not get on: it asks for offset"):
        write(device, wanted)


def test_an_image_that_is_not_listed_afterwards_is_no_success(plug: Plug, wanted: Image) -> None:
    with opened(plug("flash=damaged")) as device:
        write(device, wanted)
        with pytest.raises(CheckError, match="lists no whole application now"):
            device.prove(wanted)


def test_another_image_in_its_place_is_no_success(plug: Plug, wanted: Image, tmp_path: Path) -> None:
    with opened(plug()) as device:
        write(device, wanted)
        other = image.read(file(tmp_path, made(b"another")))
        with pytest.raises(CheckError, match="another image than the one that was written"):
            device.prove(other)


def test_an_image_larger_than_the_slot_is_refused_by_the_device(plug: Plug, wanted: Image) -> None:
    large = dataclasses.replace(wanted, data=wanted.data.ljust(SLOT + 1, b"\0"))
    with opened(plug()) as device, pytest.raises(ModemError, match="does not fit its slot") as caught:
        write(device, large)
    assert "Nothing was written" in caught.value.message
    assert caught.value.detail == "SMP: EINVAL"


def test_log_lines_in_between_are_passed_over(wanted: Image, plug: Plug) -> None:
    class Chatty(Link):
        def line(self, seconds: float) -> bytes | None:
            found = super().line(seconds)
            return found if found is None else b"uart:~$ " + found + b"\r" if found[:2] == b"\x06\x09" else found

    link = Chatty(plug().port)
    try:
        with recovery.opened(link) as device:
            write(device, wanted)
            assert device.prove(wanted)
    finally:
        link.close()


def test_nothing_that_speaks_smp_is_told_with_the_button(tmp_path: Path) -> None:
    with plugged_in(tmp_path, IMEI) as thing, contextlib.closing(Link(thing.port)) as link:
        with (
            pytest.raises(ModemError, match="not in its bootloader's serial recovery") as caught,
            recovery.opened(link),
        ):
            pass
        assert "middle button" in caught.value.things_to_try[0]
        assert any("nrfutil device program" in thing for thing in caught.value.things_to_try)
        while link.line(5) != b"ERROR\r":  # what was asked is not left in its buffer
            pass
        link.transmit(b"AT\r")
        assert link.line(5) == b"OK\r"


def test_ctrl_c_says_what_it_leaves_behind(plug: Plug, wanted: Image) -> None:
    def stop(offset: int) -> None:
        if offset < 3000:
            signal.raise_signal(signal.SIGINT)

    with opened(plug()) as device, pytest.raises(KeyboardInterrupt, match="has no whole application now"):
        device.write(wanted, stop)
