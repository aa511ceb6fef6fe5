"""A device that was locked out: what it is told, and that the line which lets it in again does."""

import json
import re
from collections.abc import Iterator

import pytest

from tests.commands.conftest import CommandLine

SERVICE, HUB = "provs-iotcore-0xacc5-dev", "iot-hub001-0xacc5-dev"
AGAIN = "to let it in again: invoke "


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """A CA that is enrolled, and verified on the hub as well; its lab runs until the module ends."""
    line = CommandLine(tmp_path_factory.mktemp("made") / "ws")
    line.ok("rootca", "subca", "enroll", "verify")
    yield line
    line.end()


def after(talk: str, words: str) -> list[str]:
    """The line that is told behind these words."""
    return talk.split(words)[1].splitlines()[0].removesuffix(" lets it in again").split()


def test_the_line_that_is_told_lets_a_device_of_the_provisioning_service_in_again(made: CommandLine) -> None:
    one = ("--imei", "dev-service")
    made.ok("device", *one, "--no-register", "connect", *one, "--dps")
    shown = made.ok("--dry", "device-revoke", *one).stderr
    assert f"block {one[1]} on {SERVICE} and disable its identity on {HUB}" in shown
    assert "would be revoked:" in shown
    assert f"block it on {SERVICE}, disable it on {HUB}? [y/N]" in made("device-revoke", *one).stderr
    revoked = made.ok("device-revoke", *one, "--yes").stderr
    freed = made.ok("enrollment-delete", *one, "--yes").stderr
    assert f"its identity on {HUB}, which is disabled" in freed
    assert after(freed, "next: invoke ") == after(revoked, AGAIN)[4:]
    assert after(freed, "next: invoke ")[:2] == ["device-delete", "--imei"]
    made.ok(*after(freed, "next: invoke "))


def test_the_line_that_is_told_lets_a_registered_device_in_again(made: CommandLine) -> None:
    one = ("--imei", "dev-registered")
    revoked = made.ok("device", *one, "device-revoke", *one, "--yes").stderr
    assert after(revoked, AGAIN)[-4:] == ["device", *one, "--renew"]
    # The other that is revoked is the device of the test before; a user never saw the two proofs.
    assert re.search(
        r"made: .*, (\d) revoked certificate\(s\) and 2 used proof\(s\) of possession, good until", revoked
    )
    deleted = made.ok("device-delete", *one, "--yes").stderr
    assert after(deleted, "next: invoke ")[0] == "enrollment-delete"
    made.ok(*after(revoked, AGAIN), "connect", *one)
    renewed = made.ok("device", *one, "--renew", "--no-register").stderr
    assert f"next: invoke connect --imei {one[1]}\n" in renewed


def test_a_disabled_identity_is_named_as_the_cause(made: CommandLine) -> None:
    one = ("--imei", "dev-disabled")
    made.ok("device", *one, "--no-register", "connect", *one, "--dps", "device-revoke", *one, "--yes")
    made.ok("enrollment-delete", *one, "--yes", "device", *one, "--renew", "--no-register")
    for way in ((), ("--dps",)):
        refused = made("connect", *one, *way)
        assert refused.returncode == 5
        assert f"{one[1]} is disabled on {HUB}." in refused.stderr
    made.ok(*after(refused.stderr, "let it in again: invoke "))


def test_a_renewed_certificate_that_the_hub_does_not_know_yet_is_named_as_the_cause(made: CommandLine) -> None:
    one = ("--imei", "dev-renewed")
    made.ok("device", *one, "--no-register", "connect", *one, "--dps")
    refused = made("device", *one, "--renew")
    assert f"invoke device --imei {one[1]} --renew --no-register" in refused.stderr
    renewed = made.ok("device", *one, "--renew", "--no-register").stderr
    assert f"next: invoke connect --imei {one[1]} --dps\n" in renewed
    refused = made("connect", *one)
    assert "The hub knows another certificate of it" in refused.stderr
    assert f"invoke connect --imei {one[1]} --dps" in refused.stderr


@pytest.mark.parametrize("cut", ["before", "while"])
def test_a_revocation_that_was_cut_before_its_list_was_made_is_gone_on_with(made: CommandLine, cut: str) -> None:
    """As after `openssl ca -revoke`, before `-gencrl` or in the middle of it."""
    one, ca = ("--imei", f"dev-cut-{cut}"), made.workspace / "ca/subca"
    made.ok("device", *one, "crl")
    before = (ca / "subca.crl").read_bytes()
    made.ok("device-revoke", *one, "--yes")
    (ca / "subca.crl").write_bytes(before)
    if cut == "while":
        (ca / "subca.crl.new").touch()
    broken = made("ca-check")
    assert broken.returncode == 4
    assert f"it does not list '{one[1]}'" in broken.stdout
    assert ("before it had made the revocation list" in broken.stdout) == (cut == "while")
    again = made.ok("device-revoke", *one, "--yes").stderr
    assert "is revoked already" in again
    assert f"made: {ca / 'subca.crl'}" in again
    made.ok("ca-check")
    assert "made:" not in made.ok("device-revoke", *one, "--yes").stderr


def test_a_list_that_openssl_could_not_make_leaves_nothing_behind(made: CommandLine) -> None:
    one, ca = ("--imei", "dev-failing"), made.workspace / "ca/subca"
    made.ok("device", *one, "crl")
    number = ca / "db/crlnumber.txt"
    kept = number.read_bytes()
    number.write_bytes(b"no number\n")
    assert made("device-revoke", *one, "--yes").returncode == 3
    number.write_bytes(kept)
    assert not (ca / "subca.crl.new").exists()
    assert "made:" in made.ok("device-revoke", *one, "--yes", "ca-check").stderr


def test_dry_shows_a_proof_again_after_one_was_made(made: CommandLine) -> None:
    for task in ("enroll", "verify"):
        shown = made.ok("--dry", task).stderr
        assert "-out subca/proof.csr.new" in shown
        assert "-in subca/proof.csr" in shown
        assert "would send the proof" in shown
    assert not (made.workspace / "ca/subca/proof.key").exists()


def test_an_unverified_authority_is_what_comes_next(made: CommandLine) -> None:
    told = made.ok("subca", "--name", "fb", "device", "--imei", "dev-fb", "--ca", "fb").stderr
    assert "next: invoke verify --ca fb connect --imei dev-fb" in told
    refused = made("connect", "--imei", "dev-fb", "--dps")
    assert "enroll the CA: invoke enroll --ca fb\n" in refused.stderr
    identity = next(one for one in json.loads(made.ok("devices", "--json").stdout) if one["deviceId"] == "dev-fb")
    assert identity["authenticationType"] == "certificateAuthority"
