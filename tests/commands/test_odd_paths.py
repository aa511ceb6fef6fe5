"""A workspace whose path is full of what shells, cnf files, URLs and SQLite read otherwise: the user's whole line works."""

import shlex
import subprocess
from pathlib import Path

import pytest

from tests.commands.conftest import IMEI, OwnProcess
from thingmint.pki import inspect

ODD = """it's "quoted" $HOME `id` \\b %d #1 a=b;c&d ünïcödé 日本 """ + "long " * 26


@pytest.mark.skipif("os.name == 'nt'", reason="Windows forbids most of these characters, and its paths end at 260")
def test_the_whole_line_works_on_an_odd_path_and_its_echo_can_be_replayed(tmp_path: Path) -> None:
    line = OwnProcess(tmp_path / ODD / "ws")
    assert len(ODD) > 180
    try:
        done = line.ok("-e", "rootca", "subca", "verify", "device", "--imei", IMEI, "connect", "--imei", IMEI)
        assert "heard:" in done.stderr
        assert "all is well" in line.ok("ca-check").stderr
    finally:
        line.ok("lab-down")
    verbs = ("cd ", "mkdir ", "touch ", "openssl ", "mv ", "rm ")
    echoed = [text for text in done.stderr.splitlines() if text.startswith(verbs)]
    assert shlex.split(echoed[0]) == ["cd", str(line.workspace / "ca")]
    replayed = tmp_path / f"{ODD}again" / "ws"
    (replayed / "ca").mkdir(parents=True)
    for cnf in ("rootca.cnf", "subca.cnf"):
        (replayed / "ca" / cnf).write_bytes((line.workspace / "ca" / cnf).read_bytes())
    script = "\n".join(["set -e", f"cd {shlex.quote(str(replayed / 'ca'))}", *echoed[1:]])
    subprocess.run(["sh", "-c", script], check=True, capture_output=True)
    device = inspect.read_certificate(replayed / "devices" / f"{IMEI}.pem")
    subca = inspect.read_certificate(replayed / "ca/subca/subca.pem")
    assert device.issued_by(subca)
    assert subca.issued_by(inspect.read_certificate(replayed / "ca/rootca/rootca.pem"))
    assert device.public_key == inspect.read_key_digest(replayed / "devices" / f"{IMEI}.key")
