"""Replacing, deleting, renewing, revoking: what asks first, what stays, and how it is made good again."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.commands.conftest import IMEI, INVOKE, ROOT, CommandLine


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """After the user's own line; its lab runs until the module ends."""
    line = CommandLine(tmp_path_factory.mktemp("made") / "ws")
    line.ok("rootca", "subca", "verify", "device", "--imei", IMEI)
    yield line
    line.end()


def test_a_colleagues_certificate_is_not_overwritten(made: CommandLine, tmp_path: Path) -> None:
    other = CommandLine(tmp_path / "colleague")
    other.ok("rootca", "subca")
    mine = made.workspace / "ca"
    hidden = made.workspace / "hidden"
    mine.rename(hidden)
    (tmp_path / "colleague" / "ca").rename(mine)
    try:
        refused = made("verify")
        assert refused.returncode == 2
        assert "on the hub:" in refused.stderr
        assert "--replace" in refused.stderr
        made.ok("verify", "--name", "cert-0xacc5-subca-me")
        made.ok("verify", "--replace")
        assert all(one["isVerified"] for one in json.loads(made.ok("cas", "--json").stdout))
    finally:
        mine.rename(tmp_path / "colleague" / "ca")
        hidden.rename(mine)
    made.ok("verify", "--replace")
    made.ok("connect", "--imei", IMEI)


def test_deleting_asks_says_what_stays_and_can_be_undone(made: CommandLine) -> None:
    refused = made("device-delete", "--imei", IMEI)
    assert refused.returncode == 2
    assert "nothing was changed" in refused.stderr
    deleted = made.ok("device-delete", "--imei", IMEI, "--yes")
    assert f"{IMEI}.key" in deleted.stderr
    assert made("connect", "--imei", IMEI).returncode == 2
    assert "unchanged" in made.ok("device-delete", "--imei", IMEI, "--yes").stderr
    made.ok("device", "--imei", IMEI, "connect", "--imei", IMEI)
    made.ok("ca-delete", "--name", "cert-0xacc5-subca", "--yes")
    refused = made("connect", "--imei", IMEI)
    assert refused.returncode == 2
    assert "invoke verify\n" in refused.stderr
    made.ok("verify", "connect", "--imei", IMEI)


def test_renewed_revoked_and_let_in_again(made: CommandLine) -> None:
    one = ("--imei", "490154203237518")
    made.ok("device", *one, "--days", "20")
    soon = made("expiring")
    assert soon.returncode == 4
    assert re.search(r"device\t490154203237518\texpires in (19|20) days", soon.stdout)
    assert made.ok("expiring", "--within", "5d", "--json").stdout.strip() == "[]"
    made.ok("device", *one, "--renew", "connect", *one)
    assert made("device-revoke", *one, "--reason", "boredom").returncode == 2
    revoked = made.ok("device-revoke", *one, "--reason", "keyCompromise", "--yes")
    assert "disabled:" in revoked.stderr
    assert made.ok("device-revoke", *one, "--yes").stderr.count("unchanged:") == 3
    refused = made("connect", *one)
    assert refused.returncode == 2
    assert "was revoked" in refused.stderr
    again = made.ok("device", *one, "--renew")
    assert f"next: invoke device-delete --imei {one[1]} --yes device --imei {one[1]} lets it in again" in again.stderr
    assert made("connect", *one).returncode == 5
    made.ok("device-delete", *one, "--yes", "device", *one, "connect", *one)


def test_a_production_hub_wants_its_name_typed(made: CommandLine) -> None:
    child = pexpect.spawn(
        str(INVOKE), ["device-delete", "--imei", "other", "--yes"], cwd=str(ROOT), encoding="utf-8", timeout=30,
        env={**made.environment, "THINGMINT_AZURE_PRODUCTION": "true"},
    )  # fmt: skip
    child.expect("unchanged")  # nothing to delete: nothing to ask
    child.wait()
    made.ok("device", "--imei", "other")
    for typed, code in (("yes", 2), ("iot-hub001-0xacc5-dev", 0)):
        child = pexpect.spawn(
            str(INVOKE), ["device-delete", "--imei", "other", "--yes"], cwd=str(ROOT), encoding="utf-8", timeout=30,
            env={**made.environment, "THINGMINT_AZURE_PRODUCTION": "true"},
        )  # fmt: skip
        child.expect("Type the hub's name")
        child.sendline(typed)
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == code


def test_the_check_says_who_mends_what(bare: CommandLine) -> None:
    bare.ok("rootca")
    root = bare.workspace / "ca/rootca"
    (root / "db/serial.txt").unlink()
    (root / "rootca.key").chmod(0o644)
    broken = bare("ca-check")
    assert broken.returncode == 4
    rows = [line.split("\t") for line in broken.stdout.splitlines()]
    assert rows[0] == ["where", "what", "mended by", "cure"]
    assert {(row[0], row[2]) for row in rows[1:]} == {
        (str(root / "db/serial.txt"), "the next run"),
        (str(root / "rootca.key"), "you"),
    }
    assert "mends 1 by itself, 1 need you" in broken.stderr
    (root / "rootca.key").chmod(0o600)
    bare.ok("crl", "--ca", "rootca", "ca-check")
