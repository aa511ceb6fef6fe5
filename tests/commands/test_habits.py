"""What every task does alike: --dry, -e, Ctrl-C, a reader that leaves."""

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.commands.conftest import IMEI, INVOKE, ROOT, CommandLine


def test_dry_writes_nothing_and_what_comes_earlier_counts_as_made(bare: CommandLine) -> None:
    done = bare.ok("--dry", "rootca", "subca", "verify", "device", "--imei", IMEI, "connect", "--imei", IMEI)
    assert not bare.workspace.exists()
    for line in ("openssl ca -config rootca.cnf -selfsign", "would upload", f"-subj /CN={IMEI}", "would connect"):
        assert line in done.stderr
    bare.ok("--dry", "rehearse", "--imei", IMEI)
    bare.ok("--dry", "lab-up", "lab-down", "devices", "cas", "device-delete", "--imei", IMEI)
    assert not bare.workspace.exists()


def test_echo_shows_the_lines(bare: CommandLine) -> None:
    done = bare.ok("-e", "rootca")
    assert f"cd {bare.workspace}/ca" in done.stderr
    assert "openssl rand -hex 16 > rootca/db/serial.txt" in done.stderr


def test_the_last_task_of_a_line_tells_what_to_type_next(bare: CommandLine) -> None:
    done = bare.ok("rootca", "subca", "device", "--imei", IMEI, "--no-register")
    assert re.findall(r"^next: .*", done.stderr, re.MULTILINE) == [
        f"next: invoke device --imei {IMEI} registers it on the hub"
    ]
    assert done.stderr.splitlines()[-1].startswith("next: ")
    failed = bare("rootca", "subca", "device", "--imei", "../x")
    assert "next:" not in failed.stderr
    assert "next:" not in bare.ok("rootca", "config").stderr


def test_nothing_stays_of_a_lab_that_never_was(bare: CommandLine) -> None:
    assert "what stays" not in bare.ok("lab-down").stderr


def test_ctrl_c_ends_with_130_and_nothing_half_done(bare: CommandLine, tmp_path: Path) -> None:
    slow = tmp_path / "openssl"
    slow.write_text('#!/bin/sh\nif [ "$1" = ca ]; then sleep 20; fi\nexec openssl "$@"\n')
    slow.chmod(0o755)
    process = subprocess.Popen(
        [INVOKE, "lab-up", "rootca"], cwd=ROOT, env={**bare.environment, "THINGMINT_PKI_OPENSSL": str(slow)},
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    snapshot = bare.workspace / "ca/rootca/db/snapshot"
    deadline = time.monotonic() + 30
    while not snapshot.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, talk = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in talk
    assert "next:" not in talk  # what lab-up had suggested is no advice now
    assert not snapshot.exists()
    bare.ok("rootca")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_early_is_no_error(made: CommandLine, unbuffered: str) -> None:
    line = f"'{INVOKE}' show --imei {IMEI} | head -1"
    environment = {**made.environment, "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {line}"], cwd=ROOT, env=environment, check=False,
                          capture_output=True, text=True)  # fmt: skip
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
