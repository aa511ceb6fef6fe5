"""The user's own line, what it makes, and looking at it."""

import json
import re
from pathlib import Path

import pexpect

from tests.commands.conftest import IMEI, INVOKE, ROOT, CommandLine, OwnProcess
from tests.pki.test_authority import fingerprint


def test_the_users_own_line_is_idempotent(made: CommandLine) -> None:
    before = {name: value for name, value in fingerprint(made.workspace).items() if not name.startswith("lab/")}
    again = made.ok("rootca", "subca", "verify", "device", "--imei", IMEI)
    assert again.stderr.splitlines()[0].startswith("target: lab (")
    assert again.stderr.count("unchanged:") == 5
    after = {name: value for name, value in fingerprint(made.workspace).items() if not name.startswith("lab/")}
    assert after == before
    assert not (made.workspace / "ca/subca/proof.key").exists()


def test_connect_proves_that_the_hub_heard_it(made: CommandLine) -> None:
    done = made.ok("connect", "--imei", IMEI)
    assert json.loads(done.stdout).keys() == {"temperature", "timestamp"}
    assert "heard: iot-hub001-0xacc5-dev" in done.stderr
    listed = json.loads(made.ok("devices", "--json").stdout)
    assert [(one["deviceId"], one["authenticationType"]) for one in listed] == [(IMEI, "certificateAuthority")]
    assert listed[0]["lastActivityTime"]


def test_root_key_offline_still_verifies_and_connects(made: CommandLine) -> None:
    key = made.workspace / "ca/rootca/rootca.key"
    kept = key.read_bytes()
    key.unlink()
    made.ok("verify", "device", "--imei", IMEI, "connect", "--imei", IMEI)
    key.touch(mode=0o600)
    key.write_bytes(kept)


def test_show_is_the_articles_text(made: CommandLine) -> None:
    device = made.ok("show", "--imei", IMEI)
    assert "Certificate Request:" in device.stdout
    assert re.search(f"Subject: CN ?= ?{IMEI}\n", device.stdout)  # OpenSSL 3.5 prints no spaces
    assert "Development Root CA" in device.stderr
    assert "registered on iot-hub001-0xacc5-dev.azure-devices.net" in device.stderr
    assert "CA:TRUE, pathlen:0" in made.ok("show", "--ca", "subca").stdout


def test_lists_are_tables_or_json(made: CommandLine) -> None:
    assert made.ok("cas").stdout.splitlines()[0] == "name\tsubject\tisVerified\texpires\tthumbprint"
    assert json.loads(made.ok("cas", "--json").stdout)[0]["isVerified"] is True
    assert "pki.key\tec:P-256\tTHINGMINT_PKI_KEY" in made.ok("config").stdout


def test_a_narrow_terminal_still_shows_whole_ids(made: CommandLine) -> None:
    child = pexpect.spawn(
        str(INVOKE), ["devices"], cwd=str(ROOT), encoding="utf-8", timeout=30, dimensions=(24, 50), env=made.environment
    )
    shown = child.read()
    assert IMEI in shown
    assert "certificateAuthority" in shown


def test_rehearse_works_beside_a_running_lab_and_stops_its_own(made: CommandLine) -> None:
    done = made.ok("rehearse", "--imei", "490154203237518")
    assert re.search(r"^iot-hub001-0xacc5-dev heard 490154203237518: \{\"temperature\"", done.stdout, re.MULTILINE)
    (rehearsal,) = (made.workspace / "lab/rehearsals").iterdir()
    assert not (rehearsal / "lab/lab.json").exists()
    made.ok("connect", "--imei", IMEI)


def test_the_other_tasks_start_by_themselves(made: CommandLine, tmp_path: Path) -> None:
    """Each in a process of its own, where it imports what it needs; what they do is told elsewhere."""
    bundle, one = str(tmp_path / "team.bundle"), ("--imei", "one")
    secret = {"THINGMINT_PKI_PASSPHRASE": "env:SECRET", "SECRET": "correct horse battery"}
    other = OwnProcess(tmp_path / "other")
    for line, words in (
        (made, ("device", *one, "device-revoke", *one, "--yes")),
        (made, ("device", *one, "--renew")),
        (made, ("device-delete", *one, "--yes")),
        (made, ("crl", "expiring")),
        (made, ("ca-delete", "--name", "cert-0xacc5-subca", "--yes")),
        (made, ("ca-export", "--to", bundle)),
        (other, ("ca-import", "--from", bundle)),
        (other, ("subca", "--name", "factory-a", "--csr-to", str(tmp_path / "f.csr"))),
        (made, ("subca", "--name", "factory-a", "--csr", str(tmp_path / "f.csr"))),
    ):
        line.ok(*words, **secret)
