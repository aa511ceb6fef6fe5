"""Locked CA keys over the command line: prompts on a real terminal, exit codes, and what still works without a key."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.commands.conftest import IMEI, INVOKE, ROOT, CommandLine
from tests.pki.test_authority import fingerprint
from tests.pki.test_hsm import PIN, needs_token, token

__all__ = ["token"]  # a fixture

PASSPHRASE = "correct horse battery"
ENV = {"THINGMINT_PKI_PASSPHRASE": "env:PASS", "PASS": PASSPHRASE}
UNSET = {"THINGMINT_PKI_PASSPHRASE": "env:UNSET"}  # asking for a passphrase is an error


@pytest.fixture
def line(tmp_path: Path) -> Iterator[CommandLine]:
    command = CommandLine(tmp_path / "ws")
    yield command
    command.end()


def typed(line: CommandLine, *words: str, answers: list[tuple[str, str]]) -> tuple[str, int | None]:
    """Run on a terminal, answer each prompt as it comes; returns what was shown and the exit code."""
    child = pexpect.spawn(
        str(INVOKE), list(words), cwd=str(ROOT), env={**line.environment, "TERM": "dumb"}, encoding="utf-8", timeout=60,
        dimensions=(24, 200),
    )  # fmt: skip
    shown = ""
    for prompt, answer in answers:
        child.expect_exact(prompt)
        shown += child.before or ""
        child.waitnoecho(10)
        child.sendline(answer)
    child.expect(pexpect.EOF)
    child.close()
    return shown + (child.before or ""), child.exitstatus


def test_a_passphrase_is_typed_twice_when_new_then_asked_once_with_three_tries(line: CommandLine) -> None:
    root, sub = "ca/rootca/rootca.key: ", "ca/subca/subca.key: "
    shown, code = typed(
        line, "rootca", "--encrypt", "subca", "--encrypt",
        answers=[
            (f"new passphrase for {root}", PASSPHRASE), ("the same once more: ", PASSPHRASE),
            (f"new passphrase for {sub}", "another one"), ("the same once more: ", "another one"),
        ],
    )  # fmt: skip
    assert code == 0
    assert "horse" not in shown
    asked = f"passphrase of {sub}"
    shown, code = typed(
        line, "device", "--imei", IMEI, "--no-register", "device", "--imei", "two", "--no-register",
        answers=[(asked, PASSPHRASE), (asked, "another"), (asked, "another one")],
    )  # fmt: skip
    assert code == 0, shown
    assert shown.count("is wrong; once more, please") == 2
    assert "horse" not in shown
    shown, code = typed(line, "device", "--imei", "three", "--no-register", answers=[(asked, "wrong")] * 3)
    assert code == 2
    assert "error: the passphrase of ca/subca/subca.key is wrong." in shown
    assert "Traceback" not in shown
    assert not (line.workspace / "devices/three.key").exists()


def test_from_a_descriptor(line: CommandLine, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"{PASSPHRASE}\n")
    argv = ["bash", "-c", f"'{INVOKE}' rootca --encrypt subca 3<'{secret}'"]
    environment = {**line.environment, "THINGMINT_PKI_PASSPHRASE": "fd:3"}
    done = subprocess.run(argv, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "ENCRYPTED" in (line.workspace / "ca/rootca/rootca.key").read_text()


def test_the_whole_path_with_encrypted_keys(line: CommandLine) -> None:
    done = line.ok("-e", "rootca", "--encrypt", "subca", "--encrypt", "verify", "device", "--imei", IMEI, **ENV)
    assert PASSPHRASE not in done.stdout + done.stderr
    # Without a passphrase: all that needs no key.
    needs_none: tuple[tuple[str, ...], ...] = (
        ("rootca", "subca", "verify", "device", "--imei", IMEI, "connect", "--imei", IMEI),
        ("show", "--ca", "subca"),
        ("show", "--imei", IMEI),
        ("cas", "--json"),
        ("devices", "--json"),
        ("expiring",),
    )
    for words in needs_none:
        line.ok(*words, **UNSET)
    checked = line.ok("ca-check", **UNSET).stderr
    assert f"not checked: {line.workspace}/ca/subca/subca.key, which is encrypted" in checked
    for words in (("device", "--imei", "other"), ("device-revoke", "--imei", IMEI, "--yes"), ("crl",)):
        refused = line(*words, **UNSET)
        assert refused.returncode == 2
        assert "neither UNSET_SUBCA nor UNSET is set" in refused.stderr
    listed = json.loads(line.ok("devices", "--json").stdout)
    assert [(one["deviceId"], one["status"]) for one in listed] == [(IMEI, "enabled")]  # the hub was not told
    wrong = line("device", "--imei", IMEI, "--renew", **{**ENV, "PASS": "wrong wrong"})
    assert wrong.returncode == 2
    assert "the passphrase of ca/subca/subca.key is wrong" in wrong.stderr
    assert "wrong wrong" not in wrong.stderr
    line.ok("device", "--imei", IMEI, "--renew", "connect", "--imei", IMEI, "crl", **ENV)
    line.ok("device-revoke", "--imei", IMEI, "--yes", **ENV)
    for path in line.workspace.rglob("*"):  # the lab's log and database too
        assert not path.is_file() or PASSPHRASE.encode() not in path.read_bytes(), path


def test_a_series_asks_once_and_before_the_hub_is_told(line: CommandLine, tmp_path: Path) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text("one\ntwo\nthree\n")
    series = ("device", "--imei-file", str(ids))
    line.ok("rootca", "subca", "--encrypt", **ENV)
    wrong = line(*series, **{**ENV, "PASS": "wrong wrong"})
    assert wrong.returncode == 2
    assert "the passphrase of ca/subca/subca.key is wrong" in wrong.stderr
    assert json.loads(line.ok("devices", "--json").stdout) == []
    assert not list((line.workspace / "devices").glob("one*"))
    made = line.ok("-e", *series, **ENV)
    assert "made: 3" in made.stderr
    assert "openssl ca -config subca.cnf -passin env:CA_PASSPHRASE" in made.stderr
    assert "unchanged: 3" in line.ok(*series, **UNSET).stderr
    ids.write_text("four\n")
    assert "-passin env:CA_PASSPHRASE" in line.ok("--dry", *series, **UNSET).stderr


def test_the_root_key_is_needed_for_nothing_but_subca(line: CommandLine) -> None:
    line.ok("rootca", "subca")
    (line.workspace / "ca/rootca/rootca.key").rename(line.workspace.parent / "offline.key")
    one = ("--imei", IMEI)
    for words in (
        ("rootca", "subca", "verify", "device", *one, "connect", *one),
        ("device", *one, "--renew"),
        ("show", "--ca", "rootca"),
        ("show", *one),
        ("cas",),
        ("devices",),
        ("expiring",),
        ("crl",),
        ("ca-check",),
        ("device-revoke", *one, "--yes"),
        ("device", *one, "--renew"),
    ):
        line.ok(*words)
    refused = line("subca", "--name", "factory-a")
    assert refused.returncode == 2
    assert "rootca.key is not there, so rootca cannot sign" in refused.stderr
    assert not (line.workspace / "ca/factory-a").exists()
    (line.workspace.parent / "offline.key").rename(line.workspace / "ca/rootca/rootca.key")
    line.ok("subca", "--name", "factory-a")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("rootca", "--key", "pkcs11:token=a;object=b?pin-value=736251"), "holds a PIN"),
        (("subca", "--key", "pkcs11:token=a;object=b;pin-value=736251"), "holds a PIN"),
        (("rootca", "--key", "pkcs11:token=a;object=b;pin%2Dvalue=736251"), "holds a PIN"),
        (("rootca", "--key", "pkcs11:token=a;object=b?pin-source=file:/736251"), "holds a PIN"),
        (("device", "--imei", "d", "--key", "pkcs11:token=a;object=b;pin-value=736251"), "no kind of key that is made"),
        (("rootca", "--key", "pkcs11:token=a"), "the object (or its id)"),
        (("rootca", "--key", "pkcs11:object=b"), "the token (or its serial)"),
        (("rootca", "--key", "pkcs11:token=a;object=b;type=cert"), "its type is not private"),
        (("rootca", "--key", "pkcs11:token=a;token=b;object=c"), "stands twice"),
        (("rootca", "--key", "pkcs11:token=our safe;object=c"), "%20"),
        (("rootca", "--key", "pkcs11:token=a;object=b?module-path=/x.so"), "PKCS11_MODULE_PATH"),
        (("rootca", "--key", "pkcs11:token=a;object=b;nonsense=c"), "'nonsense' is none of"),
        (("rootca", "--key", "pkcs11:token=a;object=b", "--encrypt"), "exclude each other"),
    ],
)
def test_a_uri_that_cannot_be_is_refused_and_no_pin_is_repeated(
    line: CommandLine, words: tuple[str, ...], said: str
) -> None:
    done = line(*words)
    assert done.returncode == 2
    assert said in done.stderr
    assert PIN not in done.stdout + done.stderr
    assert not line.workspace.exists()


@needs_token
def test_the_whole_path_with_both_keys_on_a_token(line: CommandLine, token: str) -> None:
    pin = {
        "THINGMINT_PKI_PASSPHRASE": "env:PASS",
        "PASS": PIN,
        "SOFTHSM2_CONF": f"{line.workspace.parent}/softhsm2.conf",
    }
    make = ("rootca", "--key", f"{token};object=root", "subca", "--key", f"{token};object=sub")
    wrong = line(*make, **{**pin, "PASS": "1111"})
    assert wrong.returncode == 3
    assert "the key of rootca on token our safe cannot be used: the PIN is wrong." in wrong.stderr
    assert not (line.workspace / "ca/rootca").exists()
    line.ok(*make, "verify", "device", "--imei", IMEI, "connect", "--imei", IMEI, **pin)
    before = {name: value for name, value in fingerprint(line.workspace).items() if not name.startswith("lab/")}
    for words in (("device", "--imei", IMEI, "--renew"), ("device-revoke", "--imei", IMEI, "--yes"), ("crl",)):
        wrong = line(*words, **{**pin, "PASS": "1111"})
        assert wrong.returncode == 3
        assert wrong.stderr.count("the PIN is wrong") == 1
    after = {name: value for name, value in fingerprint(line.workspace).items() if not name.startswith("lab/")}
    assert after == before
    assert json.loads(line.ok("devices", "--json").stdout)[0]["status"] == "enabled"
    ids = line.workspace.parent / "ids.txt"
    ids.write_text("one\ntwo\n")
    line.ok("device", "--imei-file", str(ids), **pin)
    line.ok("connect", "--imei", IMEI, **UNSET)
    assert "not checked: the key of rootca, which is on a token" in line.ok("ca-check", **UNSET).stderr
    line.ok("device-revoke", "--imei", IMEI, "--yes", **pin)
    shutil.rmtree(line.workspace.parent / "tokens")
    gone = line("crl", **pin)
    assert gone.returncode == 3
    assert "there is no such token" in gone.stderr


@needs_token
def test_a_pin_is_asked_for_once_and_never_again_after_a_wrong_one(line: CommandLine, token: str) -> None:
    line.environment["SOFTHSM2_CONF"] = f"{line.workspace.parent}/softhsm2.conf"
    make = ("rootca", "--key", f"{token};object=root")
    shown, code = typed(line, *make, answers=[("PIN of token our safe (for rootca): ", "1111")])
    assert code == 3
    assert "the PIN is wrong" in shown
    shown, code = typed(line, *make, answers=[("PIN of token our safe (for rootca): ", PIN)])
    assert code == 0, shown
    assert PIN not in shown
