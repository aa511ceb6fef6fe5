"""`invoke modem` as a user runs it: the port first, Ctrl-C as the end, every switch in help and reference."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.thing.conftest import IMEI
from tests.thing.terminal import opened, write
from thingmint.lab.thing.faults import described

ROOT = Path(__file__).resolve().parents[2]
INVOKE = str(Path(sys.executable).with_name("invoke"))


@contextmanager
def modem(workspace: Path, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [INVOKE, "modem", "--imei", IMEI, *arguments],
        cwd=ROOT,
        env={**os.environ, "THINGMINT_WORKSPACE": str(workspace)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def run(workspace: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "THINGMINT_WORKSPACE": str(workspace)}
    done = subprocess.run([INVOKE, *words], cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done


def test_it_runs_until_ctrl_c_and_its_port_is_the_first_line(tmp_path: Path) -> None:
    workspace = tmp_path / "a workspace"
    with modem(workspace, "--fault", "instant", "--fault", "firmware=mfw_x") as process:
        assert process.stdout
        port = process.stdout.readline().rstrip("\n")
        with opened(port) as terminal:
            assert terminal.say("AT+CGMR") == ["mfw_x", "OK"]
            assert terminal.say(write(10, 0, "abc")) == ["OK"]
        process.send_signal(signal.SIGINT)
        rest, talk = process.communicate(timeout=30)
    assert process.returncode == 0
    assert rest == ""
    assert f"IMEI {IMEI}" in talk
    assert f"--imei {IMEI} --port '{port}'" in talk
    assert talk.endswith("unplugged\n")
    assert (workspace / f"lab/modems/{IMEI}.json").stat().st_mode & 0o777 == 0o600


def test_a_second_one_of_the_same_device_is_refused(tmp_path: Path) -> None:
    with modem(tmp_path) as process:
        assert process.stdout
        process.stdout.readline()
        assert "plugged in already" in run(tmp_path, "modem", "--imei", IMEI, code=2).stderr


def test_it_outlives_whoever_read_its_port(tmp_path: Path) -> None:
    with modem(tmp_path, "--fault", "instant") as process:
        assert process.stdout
        port = process.stdout.readline().strip()
        process.stdout.close()  # `… | head -1`
        with opened(port) as terminal:
            assert terminal.say("AT") == ["OK"]
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0


def test_wrong_words_are_refused_before_anything_is_made(tmp_path: Path) -> None:
    workspace = tmp_path / "none"
    assert "--fault echo" in run(workspace, "modem", "--imei", IMEI, "--fault", "ecko", code=2).stderr
    assert "device id" in run(workspace, "modem", "--imei", "../x", code=2).stderr
    assert "would run" in run(workspace, "--dry", "modem", "--imei", IMEI).stderr
    assert not workspace.exists()


def test_help_and_reference_name_every_switch() -> None:
    shown = run(ROOT, "--help", "modem").stdout
    entry = (ROOT / "docs/reference/tasks.md").read_text(encoding="utf-8").split("## modem\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `(.*?)` \| (.*) \|$", entry, re.MULTILINE)
    assert [(name.replace("\\|", "|"), text) for name, text in rows[1:]] == list(described())
    for name, text in described():
        assert f"  {name}\n      {text}\n" in shown


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGTERM to send")
def test_a_killed_one_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    for _ in range(2):
        with modem(tmp_path, "--fault", "instant") as process:
            assert process.stdout
            with opened(process.stdout.readline().strip()) as terminal:
                assert terminal.say("AT") == ["OK"]
            process.kill()
