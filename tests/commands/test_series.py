"""device --imei-file: a list as a spreadsheet writes it, registered and made; what is bad is named, the rest is done."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

from tests.commands.conftest import INVOKE, ROOT, CommandLine

BATCH = 50
SMALL = f"""
from invoke.main import program
from thingmint.pki.device import series
series.BATCH["ec"] = {BATCH}
program.run()
"""
"""`invoke` with a tenth of the usual batch: a list of several is made in a second."""


def test_a_spreadsheets_list_is_registered_made_and_connects(made: CommandLine, tmp_path: Path) -> None:
    rows = "".join(f"unit {n};49015420{n:07}\r\n" for n in range(120))
    ids = tmp_path / "ids.csv"
    ids.write_bytes(f"\ufeffName;IMEI\r\n{rows}x;bad id\r\ny;3,50458E+14\r\nunit 0;490154200000000\r\n".encode())
    done = made("device", "--imei-file", str(ids))
    assert done.returncode == 4
    assert "made: 120 · unchanged: 0 · refused: 0 · of 120" in done.stderr
    assert "line 122: x;bad id: it breaks the rule" in done.stderr
    assert "line 123: y;3,50458E+14: a spreadsheet made" in done.stderr
    assert "1 line(s) repeat an id" in done.stderr
    registered = {one["deviceId"] for one in json.loads(made.ok("devices", "--json").stdout)}
    assert {f"49015420{n:07}" for n in range(120)} <= registered
    made.ok("connect", "--imei", "490154200000119")
    assert "unchanged: 120" in made("device", "--imei-file", str(ids)).stderr
    made.ok("device", "--imei", "490154200000001")
    made.ok("ca-check")


def test_standard_input_is_a_list_too(made: CommandLine) -> None:
    done = subprocess.run(
        [INVOKE, "device", "--imei-file", "-", "--no-register"], cwd=ROOT, env=made.environment, check=True,
        input="# three\npiped-1\n\npiped-2\n", capture_output=True, text=True,
    )  # fmt: skip
    assert "made: 2" in done.stderr
    assert (made.workspace / "devices/piped-2.chain.pem").exists()


def test_what_contradicts_itself_touches_nothing(made: CommandLine, tmp_path: Path) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text("never\n")
    for words, said in (
        (("--imei", "one"), "--imei and --imei-file cannot be used together"),
        (("--renew",), "--renew and --imei-file cannot be used together"),
        (("--ca", "nobody"), "nobody.pem is missing"),
        (("--key", "dsa"), "--key 'dsa'"),
    ):
        done = made("device", "--imei-file", str(ids), *words)
        assert done.returncode == 2
        assert said in done.stderr
    assert made("device", "--imei-file", str(tmp_path / "gone.txt")).returncode == 2
    assert not list((made.workspace / "devices").glob("never*"))


def test_dry_shows_the_line_and_writes_nothing(bare: CommandLine, tmp_path: Path) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text("one\ntwo\n")
    done = bare.ok("--dry", "rootca", "subca", "device", "--imei-file", str(ids))
    assert "openssl ca -config subca.cnf -batch -notext -infiles ../devices/one.csr ../devices/two.csr" in done.stderr
    assert not bare.workspace.exists()


def test_a_terminal_shows_rate_and_remaining_time(made: CommandLine, tmp_path: Path) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text("".join(f"shown-{n}\n" for n in range(10 * BATCH)))
    words = ["-c", SMALL, "device", "--imei-file", str(ids), "--no-register"]
    child = pexpect.spawn(sys.executable, words, cwd=ROOT, env=made.environment, encoding="utf-8", timeout=60)
    # Whichever frame is drawn first with a rate; of what came in one piece no more than that frame.
    child.expect(rf"devices [^\r\n]*/{10 * BATCH}[^\r\n]*\d+/s[^\r\n]*?\d:\d\d:\d\d")
    child.expect(f"made: {10 * BATCH}")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_a_finished_list_needs_no_key(bare: CommandLine, tmp_path: Path) -> None:
    bare.ok("rootca", "subca")
    ids = tmp_path / "ids.txt"
    ids.write_text("one\ntwo\n")
    words = ("device", "--imei-file", str(ids), "--no-register")
    bare.ok(*words)
    (bare.workspace / "ca/subca/subca.key").rename(tmp_path / "offline.key")
    assert "unchanged: 2" in bare.ok(*words).stderr
    ids.write_text("one\nthree\n")
    refused = bare(*words)
    assert refused.returncode == 2
    assert "subca cannot sign" in refused.stderr


def workers_begin(_workspace: Path, group: int) -> bool:
    argv = ["ps", "-ww", "-o", "args=", "-g", str(group)]  # -ww: a worker's own words stand far to the right
    return "spawn_main" in subprocess.run(argv, check=False, capture_output=True, text=True).stdout


def keys_are_made(workspace: Path, _group: int) -> bool:
    return any(workspace.glob("devices/*.csr"))


def openssl_signs(workspace: Path, _group: int) -> bool:
    return (workspace / "ca/subca/db/snapshot").exists()


@pytest.mark.parametrize("sign", [workers_begin, keys_are_made, openssl_signs])
def test_ctrl_c_loses_nothing_and_the_same_line_goes_on(
    bare: CommandLine, tmp_path: Path, sign: Callable[[Path, int], bool]
) -> None:
    count = 6 * BATCH
    bare.ok("rootca", "subca")
    ids = tmp_path / "ids.txt"
    ids.write_text("".join(f"unit-{n}\n" for n in range(count)))
    words = ("device", "--imei-file", str(ids), "--no-register")
    process = subprocess.Popen(
        [sys.executable, "-c", SMALL, *words], cwd=ROOT, env=bare.environment, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    devices = bare.workspace / "devices"
    deadline = time.monotonic() + 30
    while not sign(bare.workspace, process.pid) and time.monotonic() < deadline:
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGINT)
    _, talk = process.communicate(timeout=30)
    assert process.returncode == 130, talk
    assert "Traceback" not in talk
    told = re.search(r"made: (\d+) ", talk)
    assert told
    assert len(list(devices.glob("*.chain.pem"))) == int(told[1]) < count
    assert "made: " in bare.ok(*words).stderr
    assert len(list(devices.glob("*.chain.pem"))) == count
    bare.ok("ca-check")
