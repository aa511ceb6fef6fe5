"""A port that is listened to: real ptys, one that vanishes and comes back, and the simulated device's."""

import contextlib
import os
import threading
import time
import tty
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.monitor.logs import BOOT, CONNECTED, REGISTERED, TRYING, UNRESOLVED, log
from thingmint.errors import CheckError, ModemError
from thingmint.firmware.log.blocks import LONGEST
from thingmint.ids import DeviceId
from thingmint.lab.thing import sample
from thingmint.lab.thing.faults import HARMLESS
from thingmint.lab.thing.port import plugged_in
from thingmint.lab.thing.sectags import SecTags
from thingmint.session import Session
from thingmint.target import Target
from thingmint.workflows.firmware import monitoring

DEVICE = DeviceId("350457791791735879")
NOWHERE = Target(
    "lab", "sub", "group", "hub", "hub.azure-devices.net", "https://localhost:1", "localhost:1", "p", "localhost:1"
)


class Board:
    """A pty under a name that stays, as udev's links do."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.plug()

    def plug(self) -> None:
        self.master, slave = os.openpty()
        tty.setraw(slave)
        new = self.path.with_suffix(".new")
        new.symlink_to(os.ttyname(slave))
        new.replace(self.path)
        os.close(slave)

    def unplug(self) -> None:
        self.path.unlink()
        os.close(self.master)

    def say(self, data: bytes) -> None:
        while data:
            data = data[os.write(self.master, data) :]


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path / "port")


def meanwhile(act: Callable[[], None]) -> threading.Thread:
    """Once the port is open: what came before is thrown away."""

    def later() -> None:
        time.sleep(0.5)
        act()

    thread = threading.Thread(target=later, daemon=True)
    thread.start()
    return thread


def test_until_connected_ends_as_soon_as_that_is_proven(
    session: Session, board: Board, capsys: pytest.CaptureFixture[str]
) -> None:
    thread = meanwhile(lambda: board.say(log(REGISTERED, TRYING, CONNECTED, "<inf> app: later")))
    monitoring.monitor(session, port=str(board.path), until="connected", timeout="60")
    thread.join()
    shown = capsys.readouterr()
    assert "Connected to the hub." in shown.out
    assert "later" not in shown.out
    assert "\r" not in shown.out
    assert "listening" in shown.err


def test_the_time_out_bounds_the_wait_and_says_what_was_heard(
    session: Session, board: Board, capsys: pytest.CaptureFixture[str]
) -> None:
    thread = meanwhile(lambda: board.say(log(REGISTERED, UNRESOLVED)[:-2]))  # the last line has no end yet
    with pytest.raises(CheckError, match="NONAME"):
        monitoring.monitor(session, port=str(board.path), until="connected", timeout="2")
    thread.join()
    assert "Registered in the home network." in capsys.readouterr().out


def test_a_port_that_vanishes_and_comes_back_is_followed(
    session: Session, board: Board, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    monkeypatch.setattr(session.console, "say", heard.append)

    def reboot() -> None:
        board.say(log(TRYING, UNRESOLVED))
        time.sleep(0.3)
        board.unplug()
        time.sleep(0.6)
        board.plug()
        deadline = time.monotonic() + 30
        while not heard[-1].endswith("port is back") and time.monotonic() < deadline:
            time.sleep(0.05)
        board.say(log(BOOT, REGISTERED, TRYING, CONNECTED))

    thread = meanwhile(reboot)
    monitoring.monitor(session, port=str(board.path), until="connected", timeout="60")
    thread.join()
    out = capsys.readouterr().out
    assert any("is gone" in one for one in heard)
    assert "Rebooted." in out
    assert "1 failed attempt before that came to a good end." in out


def test_a_port_that_never_comes_back_ends_with_the_time(session: Session, board: Board) -> None:
    def pull() -> None:
        board.say(log(CONNECTED))
        time.sleep(0.3)
        board.unplug()

    thread = meanwhile(pull)
    began = time.monotonic()
    monitoring.monitor(session, port=str(board.path), timeout="2")  # it had reached the hub
    thread.join()
    assert time.monotonic() - began < 30


def test_a_port_that_is_not_there_at_first_is_an_error(session: Session, tmp_path: Path) -> None:
    with pytest.raises(ModemError, match="there is no port"):
        monitoring.monitor(session, port=str(tmp_path / "none"), timeout="5")


def test_a_line_without_an_end_is_cut(session: Session, board: Board, capsys: pytest.CaptureFixture[str]) -> None:
    thread = meanwhile(lambda: board.say(b"x" * (3 * LONGEST) + b"\r\n" + log(CONNECTED)))
    monitoring.monitor(session, port=str(board.path), until="connected", timeout="60")
    thread.join()
    assert "Connected to the hub." in capsys.readouterr().out


def test_the_simulated_devices_port(session: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def application(emit: Callable[[str], None], _pause: Callable[[float], None]) -> None:
        for line in log(BOOT, REGISTERED, TRYING, CONNECTED).decode().splitlines():
            emit(line)

    with plugged_in(tmp_path / "modems", DEVICE, HARMLESS, application=application) as thing:
        monitoring.monitor(session, port=thing.port, until="connected", timeout="60")
    out = capsys.readouterr().out
    assert BOOT in out
    assert out.endswith("\n\nRegistered in the home network.\nConnected to the hub.\n")


def test_the_simulated_devices_own_failure(session: Session, tmp_path: Path) -> None:
    def application(emit: Callable[[str], None], _pause: Callable[[float], None]) -> None:
        with contextlib.suppress(CheckError):
            sample.run(sample.Build(DEVICE.text, NOWHERE), SecTags.open(tmp_path / "empty", DEVICE), emit)

    with (
        plugged_in(tmp_path / "modems", DEVICE, HARMLESS, application=application) as thing,
        pytest.raises(CheckError, match="sec tag is empty"),
    ):
        monitoring.monitor(session, port=thing.port, timeout="4")
