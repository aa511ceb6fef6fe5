"""A team as people have it: bundles and delegation over the command line, up to a device that the lab hears."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from tests import paper
from tests.commands.conftest import INVOKE, ROOT, CommandLine
from tests.pki.test_authority import fingerprint
from thingmint.pki import inspect

PASSPHRASE = "correct horse battery"
SEALED = {"THINGMINT_PKI_PASSPHRASE": "env:SECRET", "SECRET": PASSPHRASE}
Team = dict[str, CommandLine]


@pytest.fixture(scope="module")
def owned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with an authority and a device."""
    line = CommandLine(tmp_path_factory.mktemp("owned") / "ws")
    line.ok("rootca", "subca", "device", "--imei", "one", "--no-register")
    return line.workspace


@pytest.fixture
def team(tmp_path: Path, owned: Path) -> Iterator[Team]:
    """An owner with an authority and a device, and a colleague and a factory that have nothing."""
    lines = {name: CommandLine(tmp_path / name) for name in ("owner", "colleague", "factory")}
    shutil.copytree(owned, lines["owner"].workspace)
    yield lines
    for line in lines.values():
        line.end()


def key_and_certificate(folder: Path) -> tuple[Path, Path]:
    certificate, key = paper.make("jo", ca=False).save(folder, "jo")
    key.chmod(0o600)
    return certificate, key


def thumbprints(line: CommandLine, *names: str) -> list[str]:
    return [inspect.read_certificate(line.workspace / f"ca/{name}/{name}.pem").thumbprint for name in names]


def require_no_secret(shown: str, *folders: Path) -> None:
    """Neither the passphrase nor a line of any key."""
    assert PASSPHRASE not in shown
    for key in (path for folder in folders for path in folder.rglob("*.key")):
        for line in key.read_text().splitlines()[1:-1]:
            assert line not in shown


@pytest.mark.parametrize("sealing", ["passphrase", "recipient"])
def test_a_second_workspace_joins_and_its_device_connects(team: Team, tmp_path: Path, sealing: str) -> None:
    owner, colleague, bundle = team["owner"], team["colleague"], tmp_path / "team.bundle"
    certificate, key = key_and_certificate(tmp_path)
    if sealing == "passphrase":
        made = owner.ok("ca-export", "--to", str(bundle), **SEALED)
        joined = colleague.ok("ca-import", "--from", str(bundle), **SEALED)
    else:
        other, _ = paper.make("kim").save(tmp_path, "kim")
        made = owner.ok("ca-export", "--to", str(bundle), "--recipient", str(other), "--recipient", str(certificate))
        assert "sealed for 2 recipient(s)" in made.stderr
        joined = colleague.ok("ca-import", "--from", str(bundle), "--key", str(key))
        assert "does not prove who made it" in joined.stderr
    assert bundle.stat().st_mode & 0o777 == 0o600
    for shown in (made.stderr, joined.stderr):
        assert all(one in shown for one in thumbprints(owner, "rootca", "subca"))
        assert "until 20" in shown
        require_no_secret(shown, owner.workspace, tmp_path)
    assert not (colleague.workspace / "ca/rootca/rootca.key").exists()
    colleague.ok("verify", "device", "--imei", "two", "connect", "--imei", "two", "ca-check")
    again = colleague("ca-import", "--from", str(bundle), *(("--key", str(key)) if sealing == "recipient" else ()),
                      **SEALED)  # fmt: skip
    assert again.stderr.count("unchanged:") == 2


def test_what_is_inside_is_shown_before_anything_is_written(team: Team, tmp_path: Path) -> None:
    bundle = tmp_path / "team.bundle"
    team["owner"].ok("ca-export", "--to", str(bundle), **SEALED)
    colleague = team["colleague"]
    dry = colleague.ok("--dry", "ca-import", "--from", str(bundle), **SEALED)
    assert "would be imported: subca" in dry.stderr
    assert not colleague.workspace.exists()
    colleague.ok("rootca")
    before = fingerprint(colleague.workspace)
    refused = colleague("ca-import", "--from", str(bundle), **SEALED)
    assert refused.returncode == 2
    (theirs,), (ours,) = thumbprints(team["owner"], "rootca"), thumbprints(colleague, "rootca")
    assert refused.stderr.index("made on") < refused.stderr.index("error:")
    assert f"in the bundle:  {theirs}" in refused.stderr
    assert f"here:           {ours}" in refused.stderr
    assert fingerprint(colleague.workspace) == before
    own = {"THINGMINT_WORKSPACE": str(tmp_path / "another")}
    assert "imported: subca" in colleague.ok("ca-import", "--from", str(bundle), **SEALED, **own).stderr


def test_export_refuses_to_overwrite_and_says_what_is_wrong(team: Team, tmp_path: Path) -> None:
    owner, bundle = team["owner"], tmp_path / "team.bundle"
    assert team["factory"]("ca-export", "--to", str(bundle), **SEALED).returncode == 2
    bundle.write_text("mine")
    refused = owner("ca-export", "--to", str(bundle), **SEALED)
    assert refused.returncode == 2
    assert "not overwritten" in refused.stderr
    assert bundle.read_text() == "mine"
    other = str(tmp_path / "other.bundle")
    assert "no file was named" in owner("ca-export").stderr
    assert "there is no folder" in owner("ca-export", "--to", str(tmp_path / "no/where")).stderr
    assert "cannot be read" in owner("ca-export", "--to", other, "--recipient", "no.pem").stderr
    unfit = owner("ca-export", "--to", other, "--recipient", str(ROOT / "README.md")).stderr
    assert f"--recipient {ROOT / 'README.md'}: a recipient's certificate cannot be read" in unfit
    assert "fewer than 8" in owner("ca-export", "--to", other, **SEALED | {"SECRET": "short"}).stderr
    next((owner.workspace / "ca/subca/certs").iterdir()).unlink()
    broken = owner("ca-export", "--to", other, **SEALED)
    assert broken.returncode == 4
    assert "subca has no certificate of its row" in broken.stderr
    assert "invoke ca-check" in broken.stderr
    assert not Path(other).exists()


def test_the_root_key_goes_along_with_a_warning(team: Team, tmp_path: Path) -> None:
    bundle = str(tmp_path / "backup.bundle")
    made = team["owner"].ok("ca-export", "--to", bundle, "--with-root-key", **SEALED)
    assert "warning: the root key is inside" in made.stderr
    team["colleague"].ok("ca-import", "--from", bundle, **SEALED)
    team["colleague"].ok("subca", "--name", "mine")
    require_no_secret(made.stdout + made.stderr, team["owner"].workspace)


def test_wrong_keys_and_files_are_told_apart(team: Team, tmp_path: Path) -> None:
    certificate, key = key_and_certificate(tmp_path)
    owner, colleague = team["owner"], team["colleague"]
    sealed, for_jo = str(tmp_path / "sealed"), str(tmp_path / "for-jo")
    owner.ok("ca-export", "--to", sealed, **SEALED)
    owner.ok("ca-export", "--to", for_jo, "--recipient", str(certificate))
    for words, secret, said in (
        ((sealed,), "another passphrase", "the passphrase of sealed is wrong"),
        ((sealed, "--key", str(key)), PASSPHRASE, "leave --key out"),
        ((for_jo,), PASSPHRASE, "--key KEY"),
        ((str(key),), PASSPHRASE, "holds a private key"),
        ((str(tmp_path / "none"),), PASSPHRASE, "cannot be read"),
        ((str(ROOT / "README.md"),), PASSPHRASE, "no thingmint bundle"),
        ((for_jo, "--key", sealed), PASSPHRASE, "no private key"),
    ):
        done = colleague("ca-import", "--from", *words, **SEALED | {"SECRET": secret})
        assert done.returncode == 2, done.stderr
        assert said in done.stderr
        require_no_secret(done.stdout + done.stderr, tmp_path)
    key.chmod(0o644)
    assert "may be read by others" in colleague("ca-import", "--from", for_jo, "--key", str(key)).stderr
    assert not colleague.workspace.exists()


def test_a_mistyped_passphrase_is_asked_for_again_at_most_twice(team: Team, tmp_path: Path) -> None:
    bundle = str(tmp_path / "team.bundle")
    team["owner"].ok("ca-export", "--to", bundle, **SEALED)
    for typed, code in ((["wrong", "wrong again", PASSPHRASE], 0), (["wrong"] * 3, 2)):
        colleague = CommandLine(tmp_path / f"ends-with-{code}")
        child = pexpect.spawn(str(INVOKE), ["ca-import", "--from", bundle], cwd=str(ROOT), encoding="utf-8", timeout=30,
                              env=colleague.environment)  # fmt: skip
        for text in typed:
            child.expect_exact("passphrase of team.bundle: ")
            child.waitnoecho(10)
            child.sendline(text)
        if not code:
            child.expect_exact("install these? [y/N]")
            child.sendline("y")
        shown = child.read()
        child.close()
        assert child.exitstatus == code
        assert PASSPHRASE not in shown
        assert "Traceback" not in shown


def test_a_terminal_is_asked_before_anything_is_installed(team: Team, tmp_path: Path) -> None:
    bundle, colleague = str(tmp_path / "team.bundle"), team["colleague"]
    team["owner"].ok("ca-export", "--to", bundle, **SEALED)
    for more, answers, code in (
        ((), ["n"], 2),
        (("--yes",), [], 0),
        ((), [], 0),
    ):  # at last there is nothing to install
        child = pexpect.spawn(str(INVOKE), ["ca-import", "--from", bundle, *more], cwd=str(ROOT), encoding="utf-8",
                              timeout=30, env={**colleague.environment, **SEALED})  # fmt: skip
        for answer in answers:
            child.expect_exact("install these? [y/N]")
            child.sendline(answer)
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == code
        assert (colleague.workspace / "ca/subca").exists() is (code == 0)


def test_an_encrypted_ca_key_stays_encrypted_on_the_way(team: Team, tmp_path: Path) -> None:
    """Two secrets: the bundle's and the key's. The key's owner is asked for it where it signs, not before."""
    factory, colleague, bundle = team["factory"], team["colleague"], str(tmp_path / "team.bundle")
    locked = {**SEALED, "SECRET_SUBCA": "the key's own passphrase"}
    factory.ok("rootca", "subca", "--encrypt", **locked)
    factory.ok("ca-export", "--to", bundle, **SEALED)
    joined = colleague.ok("ca-import", "--from", bundle, **SEALED)
    assert "its key (encrypted)" in joined.stderr
    key = colleague.workspace / "ca/subca/subca.key"
    assert key.read_bytes() == (factory.workspace / "ca/subca/subca.key").read_bytes()
    assert "passphrase of ca/subca/subca.key is wrong" in colleague("device", "--imei", "two", **SEALED).stderr
    colleague.ok("verify", "device", "--imei", "two", "connect", "--imei", "two", **locked)


def test_a_recipients_key_may_be_encrypted(team: Team, tmp_path: Path) -> None:
    certificate, key = key_and_certificate(tmp_path)
    bundle, locked = str(tmp_path / "team.bundle"), tmp_path / "locked.key"
    argv = ["openssl", "pkcs8", "-topk8", "-in", str(key), "-passout", "env:SECRET", "-out", str(locked)]
    subprocess.run(argv, check=True, env={**os.environ, "SECRET": PASSPHRASE})
    team["owner"].ok("ca-export", "--to", bundle, "--recipient", str(certificate))
    words = ("ca-import", "--from", bundle, "--key", str(locked))
    assert "passphrase of locked.key is wrong" in team["colleague"](*words, **SEALED | {"SECRET": "another one"}).stderr
    team["colleague"].ok(*words, **SEALED)


def test_a_colleagues_certificate_on_the_hub_leads_to_the_bundle(team: Team, tmp_path: Path) -> None:
    owner, colleague = team["owner"], team["colleague"]
    owner.ok("verify")
    colleague.ok("rootca", "subca")
    (owner.workspace / "ca").rename(tmp_path / "theirs")
    shutil.copytree(colleague.workspace / "ca", owner.workspace / "ca")
    refused = owner("verify")
    ways = refused.stderr.split("Things to try:\n")[1].splitlines()
    assert ways[0].startswith("  - use the team's authority: invoke ca-import --from FILE")


def test_a_manufacturers_devices_connect_on_both_sides(team: Team, tmp_path: Path) -> None:
    owner, factory, csr = team["owner"], team["factory"], str(tmp_path / "factory-a.csr")
    asked = factory.ok("subca", "--name", "factory-a", "--csr-to", csr)
    signed = owner.ok("subca", "--name", "factory-a", "--csr", csr)
    (digest,) = re.findall(r"public key ([0-9a-f]{64})", asked.stderr)
    assert digest in signed.stderr
    chain = owner.workspace / "ca/factory-a/factory-a.chain.pem"
    assert f"next: send back {chain}" in signed.stderr
    child = pexpect.spawn(str(INVOKE), ["ca-import", "--from", str(chain)], cwd=str(ROOT), encoding="utf-8", timeout=30,
                          env=factory.environment)  # fmt: skip
    child.expect_exact("install these? [y/N]")
    child.sendline("")
    child.expect_exact("nothing was installed")
    child.close()
    taken = factory.ok("ca-import", "--from", str(chain))
    assert "compare the thumbprints" in taken.stderr
    assert all(one in taken.stderr for one in thumbprints(owner, "factory-a", "rootca"))
    factory.ok("verify", "--ca", "factory-a", "device", "--imei", "m1", "--ca", "factory-a", "connect", "--imei", "m1")
    factory.ok("ca-check")
    # At the owner: the hub knows the root alone, and the device shows its chain.
    owner.ok("verify", "--ca", "rootca")
    for path in (factory.workspace / "devices").glob("m1.*"):
        shutil.copy2(path, owner.workspace / "devices" / path.name)
    heard = owner.ok("device", "--imei", "m1", "connect", "--imei", "m1", "ca-check")
    assert "with m1.chain.pem" in heard.stderr
    require_no_secret(asked.stderr + signed.stderr + taken.stderr, factory.workspace, owner.workspace)


def test_the_halves_of_a_delegation_take_no_options_of_the_other(team: Team, tmp_path: Path) -> None:
    factory, csr = team["factory"], str(tmp_path / "f.csr")
    Path(csr).write_text("mine")
    for words, said in (
        (("--csr-to", csr), "no authority was named"),
        (("--csr", csr), "no authority was named"),
        (("--name", "rootca", "--csr-to", csr), "a root signs itself"),
        (("--name", "factory-a", "--csr-to", csr, "--days", "3"), "--days and --csr-to cannot be used together"),
        (("--name", "factory-a", "--csr", csr, "--cn", "X"), "--cn and --csr cannot be used together"),
        (("--name", "factory-a", "--csr-to", csr), "is not overwritten"),
        (("--name", "factory-a", "--csr", csr), "holds no readable CSR"),
    ):
        refused = factory("subca", *words)
        assert refused.returncode in {2, 3}
        assert said in refused.stderr
    assert Path(csr).read_text() == "mine"
    assert not factory.workspace.exists()


def test_make_onboard_goes_from_a_bundle_to_telemetry(team: Team, tmp_path: Path) -> None:
    bundle = tmp_path / "the team's $bundle"
    team["owner"].ok("ca-export", "--to", str(bundle), **SEALED)
    environment = {**team["colleague"].environment, **SEALED}
    environment = {name: value for name, value in environment.items() if not name.startswith("MAKE")}
    argv = ["make", "onboard"]
    missing = subprocess.run(argv, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
    assert "make onboard BUNDLE=team.bundle IMEI=" in missing.stderr
    named = [*argv, f"BUNDLE={str(bundle).replace('$', '$$')}", "IMEI=490154203237518"]
    done = subprocess.run(named, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "heard: iot-hub001-0xacc5-dev last saw 490154203237518" in done.stderr
    require_no_secret(done.stdout + done.stderr, team["owner"].workspace)
