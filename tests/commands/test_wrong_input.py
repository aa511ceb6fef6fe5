"""What a user gets wrong: options, settings, programs, sign-ins. One clear error, its exit code, nothing touched."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.conftest import IMEI, ROOT, CommandLine


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("device",), 2, "--imei"),
        (("device", "--imei", "../x"), 2, "cannot be used"),
        (("device", "--imei", "a/O=Evil"), 2, "cannot be used"),
        (("device", "--imei", "x" * 65), 2, "65 characters"),
        (("device", "--imei", "$(id)"), 2, "cannot be used"),
        (("device", "--imei", "{{7*7}}"), 2, "cannot be used"),
        (("device", "--imei", "d", "--days", "abc"), 2, "--days"),
        (("device", "--imei", "d", "--days", "-1"), 2, "--days"),
        (("device", "--imei", "d", "--key", "rsa:512"), 2, "rsa:2048"),
        (("device", "--imei", "d"), 2, "invoke rootca"),
        (("verify",), 2, "invoke rootca subca"),
        (("subca",), 2, "invoke rootca"),
        (("connect", "--imei", "d"), 2, "invoke rootca"),
        (("show",), 2, "--imei"),
        (("device", "--imei", "x", "--ca", "rootca"), 2, "the root CA signs authorities"),
        (("show", "--ca", "nobody"), 2, "invoke subca --name nobody"),
        (("rootca", "--cn", "a/CN=b"), 2, "--cn"),
        (("ca-delete",), 2, "--name"),
        (("rootca", "--nonsense"), 1, "nonsense"),
        (("no-such-task",), 1, "no-such-task"),
    ],
)
def test_wrong_input_is_one_clear_error(bare: CommandLine, words: tuple[str, ...], code: int, said: str) -> None:
    done = bare(*words)
    assert done.returncode == code
    assert said in done.stderr
    assert not (bare.workspace / "lab").exists()


def test_wrong_settings_touch_nothing(bare: CommandLine) -> None:
    assert bare("rootca", THINGMINT_PKI_KEYS="x").returncode == 2
    assert bare("rootca", THINGMINT_CONFIG="/nonexistent.yaml").returncode == 2
    missing = bare("rootca", THINGMINT_PKI_OPENSSL="no-such-openssl")
    assert missing.returncode == 3
    assert "brew install openssl@3" in missing.stderr
    assert not bare.workspace.exists()


def test_old_and_foreign_openssl_are_refused_by_name(bare: CommandLine, tmp_path: Path) -> None:
    for version, said in (("LibreSSL 3.3.6", "LibreSSL 3.3.6"), ("OpenSSL 1.1.1w  11 Sep 2023", "OpenSSL 1.1")):
        fake = tmp_path / "openssl"
        fake.write_text(f"#!/bin/sh\necho '{version}'\n")
        fake.chmod(0o755)
        done = bare("rootca", THINGMINT_PKI_OPENSSL=str(fake))
        assert done.returncode == 3
        assert said in done.stderr


def test_on_azure_the_target_is_named_first_and_a_missing_sign_in_is_explained(bare: CommandLine) -> None:
    azure = {
        "THINGMINT_CONFIG": str(ROOT / "config/azure.yaml"),
        "THINGMINT_AZURE_SUBSCRIPTION_ID": "12345678-89ab-cdef-0123-456789abcdef",
        "AZURE_TOKEN_CREDENTIALS": "AzureCliCredential",  # and no other: some of them ask the network
    }
    named = "target: Azure · 12345678-89ab-cdef-0123-456789abcdef · iot-hub001-0x1234-dev"
    bare.ok("rootca", "subca", **azure)
    for words in (("verify",), ("devices",), ("device", "--imei", IMEI)):
        done = bare(*words, **azure)
        assert done.returncode == 5
        assert done.stderr.splitlines()[0] == named
        assert "az login" in done.stderr
    assert not (bare.workspace / "lab").exists()
    assert not list((bare.workspace / "devices").iterdir())


def test_a_connection_string_is_used_and_never_shown(bare: CommandLine) -> None:
    azure = {
        "THINGMINT_CONFIG": str(ROOT / "config/azure.yaml"),
        "THINGMINT_AZURE_SUBSCRIPTION_ID": "12345678-89ab-cdef-0123-456789abcdef",
        "THINGMINT_AZURE_AUTH": "connection-string",
    }
    assert "IOTHUB_CONNECTION_STRING is not set" in bare("devices", **azure).stderr
    foreign = "HostName=other.azure-devices.net;SharedAccessKeyName=p;SharedAccessKey=dGhlIGtleSBpdHNlbGY="
    done = bare("devices", **azure, IOTHUB_CONNECTION_STRING=foreign)
    assert done.returncode == 2
    assert "other.azure-devices.net" in done.stderr
    assert "dGhlIGtleSBpdHNlbGY" not in done.stdout + done.stderr


def test_without_the_lab_and_without_autostart_the_cure_is_named(bare: CommandLine) -> None:
    bare.ok("rootca", "subca")
    done = bare("verify", THINGMINT_LAB_AUTOSTART="false")
    assert done.returncode == 2
    assert "invoke lab-up" in done.stderr


def test_an_invoke_from_elsewhere_gets_one_sentence(tmp_path: Path) -> None:
    import invoke

    # An environment that has Invoke and nothing else: no site-packages (-S), and links to the one package.
    for path in Path(invoke.__file__).parent.parent.glob("invoke*"):
        (tmp_path / path.name).symlink_to(path)
    program = "import sys; sys.argv = ['invoke', 'rootca']; from invoke.main import program; program.run()"
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(tmp_path)}, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    (sentence,) = done.stderr.strip().splitlines()
    assert "make setup" in sentence


def test_an_option_that_is_given_twice_is_refused_before_anything_runs(bare: CommandLine) -> None:
    """Invoke would keep the first, and run the second as a task."""
    for line in (("rootca", "--cn", "A", "--cn", "subca"), ("rootca", "connect", "--imei=B1", "--imei", "devices")):
        done = bare(*line)
        assert done.returncode == 2
        assert "was given more than once; nothing was done" in done.stderr
    assert not bare.workspace.exists()
    assert bare("--dry", "rootca", "--cn", "rootca", "subca", "--cn", "rootca").returncode == 0


@pytest.mark.parametrize(
    "line",
    [
        ("rootca", "--cn"),
        ("rootca", "--cn", "--days", "5"),
        ("rootca", "twin", "--set"),
        ("rootca", "advise", "--fault"),
    ],
)
def test_an_option_without_its_value_is_refused_before_anything_runs(line: tuple[str, ...], bare: CommandLine) -> None:
    """Invoke would take the last two for not given."""
    done = bare(*line)
    assert (done.returncode, "wants a value; nothing was done" in done.stderr) == (2, True), done.stderr
    assert not bare.workspace.exists()


@pytest.mark.parametrize("option", ["--listen=127.0.0.1", "--chaos=seed=-5", "--chaos=rate=0.1,rate=0.2"])
def test_a_lab_stays_where_the_next_one_could_not_start(option: str, bare: CommandLine) -> None:
    bare.ok("lab-up")
    for words in ((option,), option.split("=", 1)):
        done = bare("lab-down", "lab-up", *words)
        assert done.returncode == 2
        assert done.stderr.startswith("error: --")
    assert "unchanged: the lab is running already" in bare.ok("lab-up").stderr


def test_chaos_is_not_had_from_a_lab_that_runs_without_and_told_how_to_have_and_to_end(bare: CommandLine) -> None:
    bare.ok("lab-up")
    done = bare("lab-up", "--chaos", "seed=7,rate=0.3")
    assert done.returncode == 2
    assert "runs already, with no --chaos" in done.stderr
    line = "invoke lab-down lab-up --chaos seed=7,rate=0.3"
    assert f"end it, and start anew: {line}" in done.stderr
    bare.ok(*line.split()[1:])
    assert "to end that: invoke lab-down lab-up\n" in bare.ok("lab-up").stderr
    done = bare("lab-up", "--chaos", "seed=8")
    assert "runs already, with --chaos seed=7,rate=0.3" in done.stderr
