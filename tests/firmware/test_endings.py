"""A build that ends in the middle: nothing of it goes on, and the next one starts well."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.firmware.conftest import MakeSdk
from thingmint.console import Console
from thingmint.errors import ToolError
from thingmint.session import Session
from thingmint.shell import Shell
from thingmint.workflows.firmware.firmware import firmware

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="process groups and signals as POSIX has them")


def alive(word: str) -> list[str]:
    """Processes whose command line has `word` in it."""
    listed = subprocess.run(["ps", "-Aww", "-o", "stat=,args="], capture_output=True, text=True, check=True).stdout
    return [one for one in listed.splitlines() if word in one and not one.startswith("Z")]


def soon(condition: Callable[[], object], seconds: float = 30.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_ctrl_c_leaves_no_process_behind(session: Session, sdk_of: MakeSdk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three grandchildren that ignore SIGTERM, as a hanging linker would."""
    monkeypatch.setenv("STANDIN_FAULT", "hang")
    folder = str(session.workspace.root / "firmware/build/at_client-thingy91_nrf9160_ns")

    def press() -> None:
        assert soon(lambda: len(alive(folder)) >= 4)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press).start()
    with pytest.raises(KeyboardInterrupt):
        firmware(session, app="at_client", sdk=str(sdk_of("2.4.0")))
    assert soon(lambda: not alive(folder), 5)
    assert "[20/20]" in Path(folder, "west-build.log").read_text()
    monkeypatch.delenv("STANDIN_FAULT")
    assert firmware(session, app="at_client", sdk=str(sdk_of("2.4.0")))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux alone has a full device to write to")
def test_a_full_disk_ends_the_build_and_is_named(
    session: Session, sdk_of: MakeSdk, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = session.workspace.root / "firmware/build/at_client-thingy91_nrf9160_ns"
    folder.parent.mkdir(parents=True)
    log = folder.with_name(f"{folder.name}.log")
    log.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        firmware(session, app="at_client", sdk=str(sdk_of("2.4.0")))
    assert caught.value.filename == str(log)
    log.unlink(missing_ok=True)
    assert firmware(session, app="at_client", sdk=str(sdk_of("2.4.0")))


def test_what_a_followed_command_says_comes_line_by_line_and_as_one(tmp_path: Path) -> None:
    program = "import sys; print('out', flush=True); print('err', file=sys.stderr); print('\\xff\\r'); sys.exit(7)"
    lines: list[str] = []
    shell = Shell(Console())
    code = shell.follow([sys.executable, "-c", program], cwd=tmp_path, environment={}, on_line=lines.append)
    assert (code, lines[:2]) == (7, ["out", "err"])
    with pytest.raises(ToolError, match="was not found"):
        shell.follow(["no-such-program"], cwd=tmp_path, environment={}, on_line=lines.append)
    assert Shell(Console(quiet=True), dry=True).follow(["no-such"], cwd=tmp_path, environment={}, on_line=print) == 0


def test_an_error_of_the_reader_ends_the_command(tmp_path: Path) -> None:
    program = f"import time; print('x', flush=True); time.sleep(300)  # {tmp_path}"

    def refuse(_: str) -> None:
        raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        Shell(Console()).follow([sys.executable, "-c", program], cwd=tmp_path, environment={}, on_line=refuse)
    assert soon(lambda: not alive(str(tmp_path)), 5)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_kill_or_a_closed_terminal_leaves_no_process_behind(
    sdk_of: MakeSdk, tmp_path: Path, number: signal.Signals
) -> None:
    invoke = Path(sys.executable).with_name("invoke")
    line = [str(invoke), "firmware", "--app", "at_client", "--sdk", str(sdk_of("2.4.0"))]
    environment = {**os.environ, "THINGMINT_WORKSPACE": str(tmp_path / "ws"), "STANDIN_FAULT": "hang"}
    process = subprocess.Popen(line, env=environment, stderr=subprocess.DEVNULL, cwd=Path(__file__).parents[2])
    word = str(tmp_path / "ws/firmware/build")
    assert soon(lambda: len(alive(word)) > 3)
    process.send_signal(number)
    assert process.wait(30) == 128 + number
    assert soon(lambda: not alive(word)), alive(word)
