"""CA keys on a token (PKCS#11), with SoftHSM in its place: all that a CA does, one try for a PIN, each failure one error."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import MakeSession
from tests.pki.test_authority import fingerprint, make_both, openssl
from tests.pki.test_encrypted import Recorder, again, use_everything
from tests.pki.test_identity import make_device
from thingmint.errors import InputError, ThingmintError, ToolError
from thingmint.openssl import KEY_VARIABLE
from thingmint.pki import bench, inspect
from thingmint.pki.audit import audit
from thingmint.pki.authority import authority, family
from thingmint.pki.keys.access import KeyAccess
from thingmint.pki.token import TokenKey
from thingmint.pki.wish import Wish
from thingmint.session import Session

PIN = "736251"
Harm = Callable[[pytest.MonkeyPatch, Path], object]


def engine_is_missing() -> bool:
    done = subprocess.run(["openssl", "engine", "pkcs11"], check=False, capture_output=True)
    return done.returncode != 0


needs_token = pytest.mark.skipif(
    shutil.which("softhsm2-util") is None or engine_is_missing(),
    reason="needs softhsm2-util and openssl's pkcs11 engine (Debian: softhsm2 libengine-pkcs11-openssl)",
)
pytestmark = needs_token


def softhsm(*words: str) -> None:
    subprocess.run(["softhsm2-util", *words], check=True, capture_output=True)


@pytest.fixture
def token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A token that holds the key pairs `root` (RSA) and `sub` (P-256); its URI."""
    (tmp_path / "tokens").mkdir()
    conf = tmp_path / "softhsm2.conf"
    conf.write_text(f"directories.tokendir = {tmp_path}/tokens\nlog.level = ERROR\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(conf))
    softhsm("--init-token", "--free", "--label", "our safe", "--pin", PIN, "--so-pin", "98765432")
    for number, (name, kind) in enumerate((("root", "rsa:2048"), ("sub", "ec:P-256")), start=1):
        pem = tmp_path / f"{name}.key"
        option = ("RSA", "rsa_keygen_bits:2048") if kind == "rsa:2048" else ("EC", "ec_paramgen_curve:P-256")
        openssl("genpkey", "-algorithm", option[0], "-pkeyopt", option[1], "-out", str(pem))
        softhsm("--import", str(pem), "--token", "our safe", "--pin", PIN, "--label", name, "--id", f"0{number}")
    return "pkcs11:token=our%20safe"


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    return Recorder(tmp_path / "recorder")


@pytest.fixture
def hsm(
    token: str, tmp_path: Path, make_session_in: MakeSession, monkeypatch: pytest.MonkeyPatch, recorder: Recorder
) -> Session:
    monkeypatch.setenv("PASS", PIN)
    return make_session_in(
        tmp_path / "ws",
        echo=True,
        pki_key="ec:P-256",
        pki_passphrase="env:PASS",
        pki_openssl=str(recorder.program),
    )


def on_token(name: str) -> Wish:
    return Wish(token=TokenKey.parse(f"pkcs11:token=our%20safe;object={name}", "--key"))


def make_on_token(session: Session) -> None:
    with bench.locked(session) as locked:
        authority.make_root(locked, on_token("root"))
        authority.make_intermediate(locked, on_token("sub"))


def test_everything_works_on_the_token_and_the_pin_shows_nowhere(
    hsm: Session, recorder: Recorder, capfd: pytest.CaptureFixture[str]
) -> None:
    make_on_token(hsm)
    signer = use_everything(hsm, Wish())
    root = family.root(hsm.workspace)
    for one, name in ((root, "root"), (signer, "sub")):
        assert one.uri.read_text() == f"pkcs11:token=our%20safe;object={name};type=private\n"
        assert one.uri.stat().st_mode & 0o777 == 0o600
        assert not one.key.exists()
    assert inspect.read_certificate(root.certificate).key == "rsa:2048"
    report = audit.audit(hsm.workspace)
    assert (report.findings, len(report.locked_out)) == ((), 1)
    assert report.unchecked == (
        "the key of rootca, which is on a token",
        "the key of subca, which is on a token",
    )
    shown = "".join(capfd.readouterr())
    line = "openssl ca -config subca.cnf -engine pkcs11 -keyform engine"
    assert f"{line} -passin env:{KEY_VARIABLE} -keyfile 'pkcs11:token=our%20safe;object=sub;type=private'" in shown
    assert PIN not in shown
    assert not [word for word in recorder.words() if PIN in word]
    assert PIN not in repr(KeyAccess(secret=PIN))
    for path in hsm.workspace.root.rglob("*"):
        assert not path.is_file() or PIN.encode() not in path.read_bytes()


def test_a_root_on_the_token_signs_an_intermediate_in_a_file(hsm: Session, recorder: Recorder) -> None:
    with bench.locked(hsm) as locked:
        authority.make_root(locked, on_token("root"))
        authority.make_intermediate(locked, Wish())
    recorder.forget()
    make_device(hsm)
    assert "-engine" not in recorder.words()


def test_running_again_asks_for_no_pin_and_changes_no_byte(
    hsm: Session, make_session_in: MakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_on_token(hsm)
    before = fingerprint(hsm.workspace.root)
    monkeypatch.delenv("PASS")
    later = again(hsm, make_session_in)
    make_on_token(later)
    make_both(later)
    assert fingerprint(hsm.workspace.root) == before


@pytest.mark.parametrize(
    ("harm", "kind", "said", "tries"),
    [
        (lambda env, _: env.setenv("PASS", "1111"), ToolError, "the PIN is wrong", 1),
        (lambda env, _: env.setenv("PASS", "111"), InputError, "4 to 32 characters", 0),
        (lambda env, _: env.setenv("OPENSSL_ENGINES", "/nowhere"), ToolError, "no engine for tokens", 1),
        (lambda env, _: env.setenv("SOFTHSM2_CONF", "/nowhere"), ToolError, "there is no such token", 1),
        (lambda env, _: env.setenv("PKCS11_MODULE_PATH", "/nowhere.so"), ToolError, "module cannot be loaded", 1),
        (lambda _, uri: uri.write_text("pkcs11:token=other;object=sub"), ToolError, "there is no such token", 1),
        (lambda _, uri: uri.write_text("pkcs11:token=our%20safe;object=no"), ToolError, "no such private key", 1),
        (lambda _, uri: uri.write_text("pkcs11:token=our%20safe;object=root"), InputError, "does not belong to", 1),
        (lambda _, uri: uri.write_text("nonsense"), InputError, r"subca\.uri is no URI of a token's key", 0),
        (lambda _, uri: uri.with_suffix(".key").touch(), InputError, "only one of them can be the key", 0),
    ],
)
def test_each_failure_is_one_error_the_pin_is_tried_once_and_nothing_changes(
    hsm: Session,
    make_session_in: MakeSession,
    monkeypatch: pytest.MonkeyPatch,
    recorder: Recorder,
    harm: Harm,
    kind: type[ThingmintError],
    said: str,
    tries: int,
) -> None:
    make_on_token(hsm)
    harm(monkeypatch, family.signer(hsm.workspace).uri)
    before = fingerprint(hsm.workspace.root)
    later = again(hsm, make_session_in)
    recorder.forget()
    for _ in range(3):  # whatever a command line goes on to do: the token counts
        with pytest.raises(kind, match=said) as caught:
            make_device(later)
        assert "Traceback" not in caught.value.render()
        assert PIN not in caught.value.render()
    assert recorder.words().count("-engine") == tries
    assert fingerprint(hsm.workspace.root) == before


def test_a_wrong_pin_leaves_no_authority_behind(
    hsm: Session, make_session_in: MakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASS", "1111")
    with bench.locked(hsm) as locked, pytest.raises(ToolError, match="the PIN is wrong"):
        authority.make_root(locked, on_token("root"))
    assert not family.root(hsm.workspace).folder.exists()
    monkeypatch.setenv("PASS", PIN)
    with bench.locked(again(hsm, make_session_in)) as locked:
        assert authority.make_root(locked, on_token("root")).new


def test_a_root_moves_from_a_file_onto_the_token(
    hsm: Session, make_session_in: MakeSession, tmp_path: Path, recorder: Recorder
) -> None:
    root, sub = make_both(hsm)
    key, certificate = root.signer.key, root.signer.certificate.read_bytes()
    with bench.locked(hsm) as locked, pytest.raises(InputError, match=r"rootca\.key exists, and --key pkcs11:"):
        authority.make_root(locked, on_token("moved"))
    softhsm("--import", str(key), "--token", "our safe", "--pin", PIN, "--label", "moved", "--id", "03")
    key.rename(tmp_path / "rootca.key")
    with bench.locked(again(hsm, make_session_in)) as locked, pytest.raises(InputError, match="does not belong to"):
        authority.make_root(locked, on_token("sub"))
    assert not root.signer.uri.exists()
    later = again(hsm, make_session_in)
    shutil.rmtree(sub.signer.folder)
    with bench.locked(later) as locked:
        assert not authority.make_root(locked, on_token("moved")).new
        recorder.forget()
        authority.make_intermediate(locked, Wish("Another Intermediate CA"))
    assert "-engine" in recorder.words()
    assert root.signer.certificate.read_bytes() == certificate
    assert audit.audit(later.workspace).findings == ()


def test_another_way_of_keeping_the_key_is_refused(hsm: Session) -> None:
    make_on_token(hsm)
    before = fingerprint(hsm.workspace.root)
    for wish, said in (
        (Wish(encrypt=True), "--encrypt asks for an encrypted file"),
        (on_token("sub"), "object=root;type=private, and --key pkcs11:.*object=sub"),
        (Wish(key="ec:P-256"), "--key rsa:2048"),
    ):
        with bench.locked(hsm) as locked, pytest.raises(InputError, match=said):
            authority.make_root(locked, wish)
    assert fingerprint(hsm.workspace.root) == before


def test_dry_asks_for_no_pin_and_shows_the_lines(
    tmp_path: Path, make_session_in: MakeSession, capsys: pytest.CaptureFixture[str]
) -> None:
    dry = make_session_in(tmp_path / "dry", dry=True)
    with bench.locked(dry) as locked:
        authority.make_root(locked, on_token("root"))
        authority.make_intermediate(locked, Wish())
    assert not (tmp_path / "dry").exists()
    shown = capsys.readouterr().err
    reach = f"-engine pkcs11 -keyform engine -passin env:{KEY_VARIABLE}"
    assert f"openssl req -config rootca.cnf {reach} -new -key 'pkcs11:token=our%20safe;object=root" in shown
    assert f"openssl ca -config rootca.cnf {reach} -keyfile 'pkcs11:token=our%20safe;object=root" in shown
