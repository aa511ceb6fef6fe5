"""Encrypted CA keys: everything an authority does works, asked as little as possible, and the passphrase shows nowhere."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

from tests.conftest import MakeSession
from tests.pki.test_authority import fingerprint, make_both, openssl
from tests.pki.test_identity import make_device
from thingmint import config
from thingmint.console import Console
from thingmint.errors import InputError, ThingmintError, ToolError
from thingmint.ids import DeviceId
from thingmint.openssl import KEY_VARIABLE
from thingmint.pki import bench, inspect
from thingmint.pki.audit import audit
from thingmint.pki.authority import authority, family, proof
from thingmint.pki.device import renewal
from thingmint.pki.keys.access import KeyAccess
from thingmint.pki.signer import Signer
from thingmint.pki.signing import revocation, transaction
from thingmint.pki.wish import Wish
from thingmint.session import Session, make_session

PASSPHRASE = "örtlich 'betäubt' $HOME"
ENCRYPTED = Wish(encrypt=True)
Harm = Callable[[Path], object]
ONE = DeviceId.parse("one")
TWO = DeviceId.parse("two")


class Recorder:
    """A real openssl that writes down each argument that it is given."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.program, self._log = folder / "openssl", folder / "argv"
        self.program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" - >> "{self._log}"\nexec openssl "$@"\n')
        self.program.chmod(0o755)

    def words(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []

    def forget(self) -> None:
        self._log.unlink(missing_ok=True)


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    return Recorder(tmp_path / "recorder")


@pytest.fixture
def encrypted(
    tmp_path: Path, make_session_in: MakeSession, monkeypatch: pytest.MonkeyPatch, recorder: Recorder
) -> Session:
    monkeypatch.setenv("PASS", PASSPHRASE)
    return make_session_in(
        tmp_path / "ws",
        echo=True,
        pki_key="ec:P-256",
        pki_passphrase="env:PASS",
        pki_openssl=str(recorder.program),
    )


@pytest.fixture(scope="module")
def locked_workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two authorities with encrypted keys: each use of one costs 600,000 rounds, so they are made once."""
    loaded = config.load({"THINGMINT_PKI_KEY": "ec:P-256", "THINGMINT_PKI_PASSPHRASE": "env:PASS"})
    session = make_session(tmp_path_factory.mktemp("locked") / "ws", loaded, Console(quiet=True))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PASS", PASSPHRASE)
        make_both(session, ENCRYPTED)
    return session.workspace.root


@pytest.fixture
def both(encrypted: Session, locked_workspace: Path) -> Session:
    """A copy of them."""
    shutil.copytree(locked_workspace, encrypted.workspace.root)
    return encrypted


def again(session: Session, make_session_in: MakeSession) -> Session:
    """The next command line in that workspace: nothing is known any more."""
    return make_session_in(
        session.workspace.root,
        pki_key="ec:P-256",
        pki_passphrase="env:PASS",
        pki_openssl=session.settings.pki.openssl,
    )


def use_everything(session: Session, wish: Wish = ENCRYPTED) -> Signer:
    """All that a CA's key is for."""
    make_both(session, wish)
    make_device(session, ONE)
    make_device(session, TWO)
    signer = family.signer(session.workspace)
    with bench.locked(session) as locked:
        assert b"BEGIN CERTIFICATE" in proof.make(locked, signer, "CODE")
        proof.clean_up(locked, signer)
        renewal.renew(locked, signer, ONE, Wish())
        transaction.revoke(locked, signer, session.workspace.device_file(TWO, ".pem"), reason="superseded")
        made = revocation.make_crl(locked, signer)
    assert made
    assert made.revoked == 3
    return signer


@pytest.mark.parametrize("spec", ["rsa:2048", "ec:P-256"])
def test_everything_works_and_nothing_shows(
    encrypted: Session, recorder: Recorder, capfd: pytest.CaptureFixture[str], spec: str
) -> None:
    signer = use_everything(encrypted, Wish(key=spec, encrypt=True))
    shown = "".join(capfd.readouterr())
    assert inspect.read_certificate(signer.certificate).key == spec
    for one in (signer, family.root(encrypted.workspace)):
        assert one.key.read_text().startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
        assert one.key.stat().st_mode & 0o777 == 0o600
        assert not list(one.folder.glob("*.new"))
        structure = openssl("asn1parse", "-in", str(one.key))
        assert "aes-256-cbc" in structure
        assert f"INTEGER           :{600000:06X}" in structure
    assert f"openssl ca -config subca.cnf -passin env:{KEY_VARIABLE} -batch" in shown
    words = recorder.words()
    assert words.count(f"env:{KEY_VARIABLE}") > 12
    assert not [word for word in words if "betäubt" in word]
    assert "betäubt" not in shown
    assert "betäubt" not in repr(KeyAccess(encrypted=True, secret=PASSPHRASE))
    for path in encrypted.workspace.root.rglob("*"):
        assert not path.is_file() or "betäubt".encode() not in path.read_bytes()


def test_the_key_opens_by_openssl_itself_and_by_no_other_passphrase(both: Session) -> None:
    key = family.root(both.workspace).key
    for passphrase, code in ((PASSPHRASE, 0), ("something else", 1)):
        line = ["openssl", "pkey", "-in", str(key), "-passin", "env:P", "-noout"]
        environment = {**os.environ, "P": passphrase}
        assert subprocess.run(line, env=environment, check=False, capture_output=True).returncode == code


def test_a_wrong_one_is_one_clear_error_before_openssl_is_started(
    both: Session, make_session_in: MakeSession, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder.forget()
    before = fingerprint(both.workspace.root)
    monkeypatch.setenv("PASS_SUBCA", "wrong wrong")
    with pytest.raises(InputError) as caught:
        make_device(again(both, make_session_in))
    assert caught.value.message == "the passphrase of ca/subca/subca.key is wrong."
    assert "PASS_SUBCA" in caught.value.render()
    assert "wrong wrong" not in caught.value.render()
    assert set(recorder.words()) <= {"version", "-"}
    assert fingerprint(both.workspace.root) == before


def test_nothing_is_asked_where_no_key_is_needed(
    both: Session, make_session_in: MakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_device(both, ONE)
    monkeypatch.delenv("PASS")
    later = again(both, make_session_in)
    make_both(later)
    assert not make_device(later, ONE).new
    report = audit.audit(later.workspace)
    assert report.findings == ()
    assert [note.split("/ca/")[1] for note in report.unchecked] == [
        "rootca/rootca.key, which is encrypted",
        "subca/subca.key, which is encrypted",
    ]
    with pytest.raises(InputError, match="neither PASS_SUBCA nor PASS is set"):
        make_device(later, TWO)
    assert not later.workspace.device_file(TWO, ".key").exists()


def test_the_parents_passphrase_is_asked_before_a_key_is_made(
    encrypted: Session, make_session_in: MakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bench.locked(encrypted) as locked:
        authority.make_root(locked, ENCRYPTED)
    monkeypatch.setenv("PASS_ROOTCA", "wrong wrong")
    with bench.locked(again(encrypted, make_session_in)) as locked, pytest.raises(InputError, match=r"rootca\.key is"):
        authority.make_intermediate(locked, ENCRYPTED)
    assert not family.signer(encrypted.workspace).key.exists()


def test_an_authority_may_be_encrypted_below_one_that_is_not(encrypted: Session, recorder: Recorder) -> None:
    with bench.locked(encrypted) as locked:
        authority.make_root(locked, Wish())
        assert f"env:{KEY_VARIABLE}" not in recorder.words()
        authority.make_intermediate(locked, ENCRYPTED)
    make_device(encrypted, ONE)
    assert audit.audit(encrypted.workspace).findings == ()


def test_an_existing_plain_key_is_refused_and_the_cure_cures(encrypted: Session, make_session_in: MakeSession) -> None:
    make_both(encrypted)
    before = fingerprint(encrypted.workspace.root)
    with bench.locked(encrypted) as locked, pytest.raises(InputError, match=r"subca\.key exists and is not") as caught:
        authority.make_intermediate(locked, ENCRYPTED)
    assert fingerprint(encrypted.workspace.root) == before
    encrypt, move = [line.strip() for line in caught.value.things_to_try if line.startswith("    ")]
    child = pexpect.spawn("/bin/sh", ["-c", encrypt], encoding="utf-8", timeout=30)
    for _ in range(2):
        child.expect("Encryption Password:")
        child.sendline(PASSPHRASE)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    subprocess.run(["/bin/sh", "-c", move], check=True)
    signer = family.signer(encrypted.workspace)
    assert signer.encrypted
    assert signer.key.stat().st_mode & 0o777 == 0o600
    later = again(encrypted, make_session_in)
    make_device(later)
    with bench.locked(later) as locked:
        assert not authority.make_intermediate(locked, ENCRYPTED).new


def test_what_was_cut_off_between_key_and_csr_is_finished_with_the_same_key(
    encrypted: Session, make_session_in: MakeSession, recorder: Recorder
) -> None:
    with bench.locked(encrypted) as locked:
        authority.make_root(locked, ENCRYPTED)
    whole = recorder.program.read_text()
    recorder.program.write_text(whole.replace("exec", 'if [ "$1" = req ]; then kill -9 $$; fi\nexec'))
    with bench.locked(encrypted) as locked, pytest.raises(ToolError, match="exit code -9"):
        authority.make_intermediate(locked, ENCRYPTED)
    key = family.signer(encrypted.workspace).key
    begun = key.read_bytes()
    recorder.program.write_text(whole)
    with bench.locked(again(encrypted, make_session_in)) as locked:
        assert authority.make_intermediate(locked, Wish()).new
    assert key.read_bytes() == begun


def test_the_older_form_of_encrypted_keys_works_too(encrypted: Session) -> None:
    make_both(encrypted)
    key = family.signer(encrypted.workspace).key
    line = ["openssl", "ec", "-in", str(key), "-aes256", "-passout", "env:P", "-out", str(key)]
    subprocess.run(line, env={**os.environ, "P": PASSPHRASE}, check=True, capture_output=True)
    assert b"Proc-Type: 4,ENCRYPTED" in key.read_bytes()
    make_device(encrypted)


@pytest.mark.parametrize(
    ("harm", "kind", "said"),
    [
        (lambda key: key.write_bytes((key.parents[1] / "rootca/rootca.key").read_bytes()), InputError, "not belong to"),
        (lambda key: key.write_bytes(key.read_bytes()[:90] + key.read_bytes()[-60:]), ToolError, "no readable encr"),
        (lambda key: key.chmod(0o640), InputError, r"may be read by others \(mode 640\)"),
        (lambda key: key.with_suffix(".uri").write_text("pkcs11:token=a;object=b"), InputError, "is there too"),
        (lambda key: key.unlink(), InputError, "is not there, so subca cannot sign"),
    ],
)
def test_a_key_that_is_not_as_it_was_is_refused_and_nothing_changes(
    both: Session, make_session_in: MakeSession, harm: Harm, kind: type[ThingmintError], said: str
) -> None:
    key = family.signer(both.workspace).key
    harm(key)
    before = fingerprint(both.workspace.root)
    with pytest.raises(kind, match=said):
        make_device(again(both, make_session_in))
    assert fingerprint(both.workspace.root) == before


def test_of_a_key_that_is_elsewhere_nobody_can_say_that_it_is_encrypted(both: Session) -> None:
    root = family.root(both.workspace)
    root.key.rename(root.key.with_suffix(".offline"))
    with bench.locked(both) as locked, pytest.raises(InputError, match="cannot be told whether it is encrypted"):
        authority.make_root(locked, ENCRYPTED)
    with bench.locked(both) as locked:
        assert not authority.make_root(locked, Wish()).new


def test_the_audit_sees_a_loose_mode_without_the_passphrase(both: Session) -> None:
    family.signer(both.workspace).key.chmod(0o640)
    assert [one.what for one in audit.audit(both.workspace).findings] == ["others may read it (mode 640)"]


def test_dry_asks_nothing_writes_nothing_and_shows_the_lines(
    tmp_path: Path, make_session_in: MakeSession, capsys: pytest.CaptureFixture[str]
) -> None:
    dry = make_session_in(tmp_path / "ws", dry=True)
    make_both(dry, ENCRYPTED)
    make_device(dry)
    assert not (tmp_path / "ws").exists()
    shown = capsys.readouterr().err
    for line in (
        f"openssl genpkey -aes256 -pass env:{KEY_VARIABLE} -algorithm RSA",
        f"openssl req -config rootca.cnf -passin env:{KEY_VARIABLE} -new -key rootca/rootca.key",
        f"openssl ca -config rootca.cnf -passin env:{KEY_VARIABLE} -batch -notext",
        f"openssl ca -config subca.cnf -passin env:{KEY_VARIABLE} -batch -notext",
    ):
        assert line in shown


def test_the_echo_can_be_replayed_by_whoever_knows_the_passphrase(
    encrypted: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_both(encrypted, ENCRYPTED)
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith(("target", "made"))]
    second = tmp_path / "second"
    second.mkdir()
    for cnf in ("rootca.cnf", "subca.cnf"):
        shutil.copy(encrypted.workspace.ca / cnf, second)
    script = "\n".join(["set -e", f"cd '{second}'", *lines[1:]])
    environment = {**os.environ, KEY_VARIABLE: PASSPHRASE}
    subprocess.run(["sh", "-c", script], env=environment, check=True, capture_output=True)
    replayed = inspect.read_certificate(second / "subca/subca.pem")
    assert replayed.issued_by(inspect.read_certificate(second / "rootca/rootca.pem"))
    assert re.search("ENCRYPTED", (second / "subca/subca.key").read_text())
