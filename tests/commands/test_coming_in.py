"""connect --dps, cut off by Ctrl-C, and twice at once."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest

from tests.commands.conftest import INVOKE, ROOT, CommandLine, OwnProcess


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """A CA that is enrolled, and a device of it; its lab runs until the module ends."""
    line = CommandLine(tmp_path_factory.mktemp("made") / "ws")
    line.ok("rootca", "subca", "enroll", "device", "--imei", "dev-1", "--no-register")
    yield line
    line.end()


@pytest.mark.skipif(os.name == "nt", reason="its Ctrl-C reaches a whole console")
@pytest.mark.parametrize("option", [(), ("--websockets",)])
@pytest.mark.parametrize("late", [0.0, 0.1, 0.4, 0.8])
def test_an_interrupt_is_one_line(option: tuple[str, ...], late: float, made: CommandLine) -> None:
    running = subprocess.Popen(
        [INVOKE, "connect", "--imei", "dev-1", "--dps", *option],
        cwd=ROOT, env=made.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert running.stderr
    while not running.stderr.readline().startswith("registering"):
        assert running.poll() is None
    time.sleep(late)
    os.killpg(running.pid, signal.SIGINT)
    _, talk = running.communicate(timeout=30)
    assert running.returncode == 130
    assert talk.splitlines()[-1:] == ["interrupted; nothing is half done: run the same line again"]
    assert "Traceback" not in talk
    assert "Exception" not in talk


def test_one_device_twice_at_once_comes_in_twice(made: CommandLine) -> None:
    # With the SDK's own two seconds between registering and asking: they come between each other.
    line = OwnProcess(made.workspace)
    done: list[subprocess.CompletedProcess[str]] = []
    both = [threading.Thread(target=lambda: done.append(line("connect", "--imei", "dev-1", "--dps"))) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    talks = "\n".join(one.stderr for one in done)
    assert talks.count("assigned: dev-1 to") == 2, talks
    assert "id scope must be" not in talks


def test_dry_names_the_way_and_who_is_asked(made: CommandLine) -> None:
    assert "over websockets (port 443)" in made.ok("--dry", "connect", "--imei", "dev-1", "--websockets").stderr
    assert "would list the enrollments on provs-" in made.ok("--dry", "enrollments").stderr


def test_what_is_suggested_keeps_the_way_that_was_asked_for(made: CommandLine) -> None:
    made.ok("device", "--imei", "dev-2", "--no-register")
    refused = made("connect", "--imei", "dev-2", "--websockets")
    assert refused.returncode == 2
    assert "invoke connect --imei dev-2 --dps --websockets\n" in refused.stderr
