"""The command line as a user has it: real processes, exit codes, streams, chains, --dry, -e, Ctrl-C."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests.pki.test_authority import fingerprint

ROOT = Path(__file__).resolve().parent.parent
INVOKE = Path(sys.executable).with_name("invoke")
IMEI = "350457791791735879"
SECRET = re.compile(r"PRIVATE KEY|SharedAccessKey=|eyJ[A-Za-z0-9_-]{20}|client_secret=")


class CommandLine:
    """`invoke …` in one workspace, from the repository's folder."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("THINGMINT_")},
            "THINGMINT_WORKSPACE": str(workspace),
            "THINGMINT_PKI_KEY": "ec:P-256",
            "HTTPS_PROXY": "http://proxy.invalid:1",
        }

    def __call__(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [INVOKE, *words], cwd=ROOT, env={**self.environment, **environment}, check=False, capture_output=True,
            text=True, timeout=60, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        shown = done.stdout + done.stderr
        assert "Traceback" not in shown, shown
        assert not SECRET.search(shown), shown
        return done

    def ok(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        done = self(*words, **environment)
        assert done.returncode == 0, done.stderr
        return done


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[CommandLine]:
    """Nothing made, no lab running (and none left behind)."""
    line = CommandLine(tmp_path / "ws")
    yield line
    line.ok("lab-down")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """After the user's own line; its lab runs until the module ends."""
    line = CommandLine(tmp_path_factory.mktemp("made") / "ws")
    line.ok("rootca", "subca", "verify", "device", "--imei", IMEI)
    yield line
    line.ok("lab-down")


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
    assert f"Subject: CN = {IMEI}" in device.stdout
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
    assert made("connect", "--imei", IMEI).returncode == 5
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
    assert made.ok("device-revoke", *one, "--yes").stderr.count("unchanged:") == 2
    refused = made("connect", *one)
    assert refused.returncode == 2
    assert "was revoked" in refused.stderr
    again = made.ok("device", *one, "--renew")
    assert "device-delete" in again.stderr  # still disabled on the hub, and how to undo that
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


def test_dry_writes_nothing_and_what_comes_earlier_counts_as_made(bare: CommandLine) -> None:
    done = bare.ok("--dry", "rootca", "subca", "verify", "device", "--imei", IMEI, "connect", "--imei", IMEI)
    assert not bare.workspace.exists()
    for line in ("openssl ca -config rootca.cnf -selfsign", "would upload", f"-subj /CN={IMEI}", "would connect"):
        assert line in done.stderr
    bare.ok("--dry", "rehearse", "--imei", IMEI)
    bare.ok("--dry", "lab-up", "lab-down", "devices", "cas", "device-delete", "--imei", IMEI)
    assert not bare.workspace.exists()


def test_echo_shows_the_lines_and_stays_free_of_short_flags(bare: CommandLine) -> None:
    done = bare.ok("-e", "rootca")
    assert f"cd {bare.workspace}/ca" in done.stderr
    assert "openssl rand -hex 16 > rootca/db/serial.txt" in done.stderr
    for name in re.findall(r"^  (\S+)  ", bare.ok("--list").stdout, re.MULTILINE):
        options = re.findall(r"^  (-\S+)", bare.ok("--help", name).stdout, re.MULTILINE)
        assert all(option.startswith("--") for option in options), name


def test_ctrl_c_ends_with_130_and_nothing_half_done(bare: CommandLine, tmp_path: Path) -> None:
    slow = tmp_path / "openssl"
    slow.write_text('#!/bin/sh\nif [ "$1" = ca ]; then sleep 20; fi\nexec openssl "$@"\n')
    slow.chmod(0o755)
    process = subprocess.Popen(
        [INVOKE, "rootca"], cwd=ROOT, env={**bare.environment, "THINGMINT_PKI_OPENSSL": str(slow)},
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
    assert not snapshot.exists()
    bare.ok("rootca")


def test_a_reader_that_leaves_early_is_no_error(made: CommandLine) -> None:
    line = f"'{INVOKE}' show --imei {IMEI} | head -1"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {line}"], cwd=ROOT, env=made.environment, check=False,
                          capture_output=True, text=True)  # fmt: skip
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


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


def test_rehearse_works_beside_a_running_lab_and_stops_its_own(made: CommandLine) -> None:
    done = made.ok("rehearse", "--imei", "490154203237518")
    assert re.search(r"^iot-hub001-0xacc5-dev heard 490154203237518: \{\"temperature\"", done.stdout, re.MULTILINE)
    (rehearsal,) = (made.workspace / "lab/rehearsals").iterdir()
    assert not (rehearsal / "lab/lab.json").exists()
    made.ok("connect", "--imei", IMEI)
