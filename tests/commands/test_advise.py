"""advise at the command line: a scorecard to read or as JSON, an exit code, and a lab that is as before."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence

import pytest

from tests.commands.conftest import IMEI, INVOKE, ROOT, CommandLine
from thingmint import config
from thingmint.console import Console
from thingmint.lab import control, trials
from thingmint.lab.advice.cases import CASES
from thingmint.lab.advice.seen import Stage
from thingmint.lab.thing import manners
from thingmint.session import make_session

NAMES = [case.name for case in CASES]


def test_a_device_that_hammers_is_told_so_with_exit_code_4(made: CommandLine) -> None:
    done = made("advise", "--imei", IMEI, "--fault", "hammer")
    assert done.returncode == 4, done.stderr
    rows = {name: line for line in done.stdout.splitlines() for name in NAMES if f" {name} " in line}
    assert list(rows) == NAMES
    assert rows["back-off"].startswith("fail")
    assert "It hammers" in rows["back-off"]
    assert rows["unknown-ca"].startswith("pass")
    assert "Cure: the application waits" in done.stdout
    assert "failed 2 of 13 cases: back-off, busy-hub" in done.stderr
    made.ok("connect", "--imei", IMEI)


def test_as_json_each_case_is_an_object_and_nothing_else_is_on_stdout(made: CommandLine) -> None:
    told = json.loads(made("advise", "--imei", IMEI, "--fault", "hammer", "--json").stdout)
    assert told["device"] == IMEI
    assert [one["case"] for one in told["cases"]] == NAMES
    assert {*told["cases"][0]} == {"case", "hub", "expected", "device", "result", "cure"}


def test_ctrl_c_leaves_a_lab_that_is_as_before(made: CommandLine) -> None:
    process = subprocess.Popen(
        [INVOKE, "advise", "--imei", IMEI], cwd=ROOT, env=made.environment, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout
    process.stdout.readline()  # the first case is over
    # One at a time:
    assert "advising already" in made("advise", "--imei", IMEI).stderr
    process.send_signal(signal.SIGINT)
    _, talk = process.communicate(timeout=30)
    assert process.returncode == 130, talk
    assert talk.endswith("interrupted; the lab behaves as before\n")
    made.ok("connect", "--imei", IMEI)


def test_where_nobody_connects_no_device_has_failed(made: CommandLine) -> None:
    done = made("advise", "--patience", "1")
    assert done.returncode == 5, done.stderr
    assert "a device was not seen to connect within 1 s" in done.stderr
    assert "--imei ID" in done.stderr


def test_connect_blames_the_trial_and_no_certificate(made: CommandLine) -> None:
    """Whoever is on trial: the server's certificate is shown before anybody can know who asks."""
    made.ok("lab-up")
    lab = control.running(make_session(made.workspace, config.load({}), Console()))
    assert lab
    with trials.begun(lab, "another") as trial:
        trial.play(Stage.STRANGER)
        done = made("connect", "--imei", IMEI)
    assert done.returncode == 5, done.stderr
    assert "has the device another on trial" in done.stderr
    made.ok("connect", "--imei", IMEI)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--imei", IMEI, "--fault", "hammr"], "--fault hammer"),
        (["--imei", IMEI, "--fault", "drop=100"], "invoke modem --imei ID --fault drop=100"),
        (["--fault", "hammer"], "--imei ID"),
        (
            ["--imei", IMEI, "--fault", "hammer", "--fault", "no-return"],
            "cannot have both faults: hammer and no-return",
        ),
        (["--imei", IMEI, "--patience", "soon"], "--patience 120"),
        (["--imei", IMEI, "--patience", "0"], "--patience 120"),
        (["--imei", "../x"], "../x"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_starts(
    bare: CommandLine, words: Sequence[str], named: str
) -> None:
    done = bare("advise", *words)
    assert (done.returncode, named in done.stderr) == (2, True), done.stderr
    assert not (bare.workspace / "lab").exists()


def test_azure_does_not_misbehave_on_purpose(bare: CommandLine) -> None:
    done = bare("advise", "--imei", IMEI, THINGMINT_TARGET="azure")
    assert done.returncode == 2
    assert "only the lab misbehaves on purpose" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell closes a stream")
def test_a_closed_stdout_is_told_before_anything_is_done(bare: CommandLine) -> None:
    done = subprocess.run(
        ["bash", "-c", f"exec '{INVOKE}' advise --imei {IMEI} --json >&-"], cwd=ROOT, env=bare.environment, check=False,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "stdout is closed, so that nothing can be shown" in done.stderr
    assert not bare.workspace.exists()


def test_dry_starts_nothing(bare: CommandLine) -> None:
    started = time.monotonic()
    assert "would drive" in bare.ok("--dry", "advise", "--imei", IMEI).stderr
    assert time.monotonic() - started < 20
    assert not (bare.workspace / "lab").exists()


def test_a_device_that_is_not_there_leaves_no_modem(made: CommandLine) -> None:
    done = made("advise", "--imei", "nosuch", "--fault", "hammer")
    assert done.returncode == 2, done.stderr
    assert not (made.workspace / "lab/modems/nosuch.json").exists()


def test_the_reference_lists_every_case_and_every_fault() -> None:
    text = (ROOT / "docs/reference/tasks.md").read_text(encoding="utf-8").split("## advise\n")[1].split("\n## ")[0]
    for case in CASES:
        assert f"| `{case.name}` | {case.hub} | {case.expected} |" in text
    for name, (what, _) in manners.FAULTS.items():
        assert f"| `{name}` | {what} |" in text
