"""What a simulated modem holds outlives it, is its owner's alone, and no two share it."""

import json
import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.thing.conftest import IMEI, PlugIn
from tests.thing.terminal import Terminal, opened, write
from thingmint.errors import InputError, ToolError
from thingmint.ids import DeviceId
from thingmint.lab.thing.faults import HARMLESS, Faults
from thingmint.lab.thing.port import plugged_in
from thingmint.lab.thing.sectags import SecTags

ID = DeviceId(IMEI)
QUICK = Faults(instant=True)


def test_what_was_written_is_there_the_next_time(tmp_path: Path) -> None:
    with plugged_in(tmp_path, ID, QUICK) as thing, opened(thing.port) as terminal:
        terminal.say(write(10, 1, "a\r\nb\n"))
        terminal.say("AT%KEYGEN=11,2,0")
        before = terminal.say("AT%CMNG=1")
        uuid = thing.memory.uuid
    with plugged_in(tmp_path, ID, QUICK) as thing, opened(thing.port) as terminal:
        assert terminal.say("AT%CMNG=1") == before
        assert thing.memory.uuid == uuid
    memory = SecTags.open(tmp_path, ID)
    assert memory.read(10, 1) == b"a\r\nb\n"
    assert (memory.read(11, 2) or b"").startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert memory.imei == IMEI


def test_it_is_on_disk_before_it_is_answered(tmp_path: Path) -> None:
    with plugged_in(tmp_path, ID, QUICK) as thing, opened(thing.port) as terminal:
        terminal.say(write(10, 1, "abc"))
        assert json.loads((tmp_path / f"{ID}.json").read_bytes())["entries"] == [
            {"tag": 10, "kind": 1, "content": "abc"}
        ]


def test_folder_and_file_are_their_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "lab/modems"
    with plugged_in(folder, ID, QUICK) as thing, opened(thing.port) as terminal:
        terminal.say(write(10, 1, "abc"))
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / f"{ID}.json").stat().st_mode & 0o777 == 0o600
    assert "KEY" not in repr(SecTags.open(folder, ID))


def test_nothing_is_on_disk_before_there_is_something_to_keep(tmp_path: Path) -> None:
    folder = tmp_path / "modems"
    SecTags.open(folder, ID)
    assert not folder.exists()
    with plugged_in(folder, ID, QUICK) as thing:
        assert SecTags.open(folder, ID).uuid == thing.memory.uuid


def test_two_modems_have_two_identities(tmp_path: Path) -> None:
    one, two = (SecTags.open(tmp_path, DeviceId(text)) for text in ("1", "2"))
    assert one.uuid != two.uuid
    assert one.identity_key != two.identity_key


def test_one_of_a_device_at_a_time(tmp_path: Path) -> None:
    with plugged_in(tmp_path, DeviceId("thing-a"), QUICK):
        for text in ("thing-a", "THING-A"):  # some file systems take them for one
            with pytest.raises(InputError, match="plugged in already"), plugged_in(tmp_path, DeviceId(text), QUICK):
                pass
    with plugged_in(tmp_path, DeviceId("thing-a"), QUICK):
        pass


def test_a_damaged_memory_is_named_and_kept(tmp_path: Path) -> None:
    path = tmp_path / f"{ID}.json"
    for damage in (b"", b"[]", b'{"imei": "1"}', b'{"entries": 7}'):
        path.write_bytes(damage)
        with pytest.raises(ToolError, match="damaged"), plugged_in(tmp_path, ID):
            pass
        assert path.read_bytes() == damage


def test_many_run_side_by_side(tmp_path: Path, plug_in: PlugIn) -> None:
    pairs = [plug_in(imei=f"{number:015}", real=True) for number in range(12)]
    answers: dict[int, list[str]] = {}

    def talk(number: int, terminal: Terminal) -> None:
        terminal.paced(write(10, 0, f"{number}" * 600).encode() + b"\r")
        terminal.read(0.2)
        answers[number] = terminal.say("AT+CGSN")

    threads = [threading.Thread(target=talk, args=(number, terminal)) for number, (_, terminal) in enumerate(pairs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: [f"{number:015}", "OK"] for number in range(12)}
    for number, (thing, _) in enumerate(pairs):
        assert thing.memory.read(10, 0) == f"{number}".encode() * 600


def test_the_port_is_gone_when_it_is_unplugged(tmp_path: Path) -> None:
    with plugged_in(tmp_path, ID) as thing:
        assert Path(thing.port).is_symlink()
    assert not Path(thing.port).is_symlink()
    assert not [thread for thread in threading.enumerate() if "_guarded" in thread.name]


def test_another_firmware_logs_its_lines_once_somebody_reads(tmp_path: Path) -> None:
    def application(emit: Callable[[str], None], _pause: Callable[[float], None]) -> None:
        for number in range(3):
            emit(f"[00:00:0{number}.000,000] <inf> azure_iot_hub_sample: line {number}")

    with plugged_in(tmp_path, ID, application=application) as thing, Terminal(thing.port) as terminal:
        lines = terminal.until(re.compile(rb"line 2\r\n")).decode().split("\r\n")
    assert [line[-6:] for line in lines] == ["line 0", "line 1", "line 2", ""]


def test_a_firmware_waits_for_no_reader_and_a_late_one_misses_nothing(tmp_path: Path) -> None:
    done = threading.Event()

    def application(emit: Callable[[str], None], _pause: Callable[[float], None]) -> None:
        emit("connected")
        emit("sent")
        done.set()

    with plugged_in(tmp_path, ID, application=application) as thing:
        assert done.wait(15)
        with Terminal(thing.port) as terminal:
            assert terminal.until(re.compile(rb"sent\r\n")) == b"connected\r\nsent\r\n"


def test_an_application_that_never_ends_ends_with_its_board(tmp_path: Path) -> None:
    def application(emit: Callable[[str], None], _pause: Callable[[float], None]) -> None:
        while True:
            emit("tick")

    with plugged_in(tmp_path, ID, application=application) as thing, Terminal(thing.port) as terminal:
        assert b"tick\r\ntick\r\n" in terminal.read(1)


def test_what_fails_behind_the_port_is_told(tmp_path: Path) -> None:
    def application(_emit: Callable[[str], None], _pause: Callable[[float], None]) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"), plugged_in(tmp_path, ID, HARMLESS, application=application) as thing:
        thing.wait()
