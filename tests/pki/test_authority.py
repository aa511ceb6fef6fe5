"""Root and intermediate: made by the article's lines, made once, agreed with afterwards."""

import hashlib
import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import MakeSession
from thingmint.errors import InputError, ToolError
from thingmint.pki import bench, inspect
from thingmint.pki.authority import authority, family
from thingmint.pki.authority.authority import Made
from thingmint.pki.wish import Wish
from thingmint.session import Session

NOTHING_SPECIAL = Wish()


def make_both(session: Session, wish: Wish = NOTHING_SPECIAL) -> tuple[Made, Made]:
    with bench.locked(session) as locked:
        return authority.make_root(locked, wish), authority.make_intermediate(locked, wish)


def fingerprint(folder: Path) -> dict[str, str]:
    """Every file below `folder` and its content."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def openssl(*arguments: str) -> str:
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, text=True).stdout


def test_the_chain_holds_by_openssls_own_strict_judgement(session: Session) -> None:
    root, sub = make_both(session)
    verdict = openssl("verify", "-x509_strict", "-CAfile", str(root.signer.certificate), str(sub.signer.certificate))
    assert verdict.strip().endswith("OK")
    text = openssl("x509", "-noout", "-text", "-in", str(sub.signer.certificate))
    assert "CA:TRUE, pathlen:0" in text
    assert "Certificate Sign, CRL Sign" in text
    root_text = openssl("x509", "-noout", "-text", "-in", str(root.signer.certificate))
    assert "CA:TRUE\n" in root_text
    assert re.search("Subject: CN ?= ?Development Root CA\n", root_text)  # OpenSSL 3.5 prints no spaces


def test_keys_are_private_and_certificates_carry_no_text_dump(session: Session) -> None:
    for made in make_both(session):
        assert made.signer.key.stat().st_mode & 0o777 == 0o600
        assert made.signer.folder.stat().st_mode & 0o077 == 0
        assert made.signer.certificate.read_bytes().startswith(b"-----BEGIN CERTIFICATE-----\n")
        assert b"\r" not in made.signer.certificate.read_bytes()


def test_running_again_changes_no_byte(session: Session) -> None:
    make_both(session)
    before = fingerprint(session.workspace.root)
    root, sub = make_both(session)
    assert not root.new
    assert not sub.new
    assert fingerprint(session.workspace.root) == before


def test_the_default_key_is_the_articles(tmp_path: Path, make_session_in: MakeSession) -> None:
    root, sub = make_both(make_session_in(tmp_path / "ws"))
    assert root.certificate
    assert sub.certificate
    assert (root.certificate.key, sub.certificate.key) == ("rsa:2048", "rsa:2048")


def test_the_intermediate_never_outlives_the_root(session: Session) -> None:
    root, sub = make_both(session, Wish(days=30))
    assert root.certificate
    assert sub.certificate
    assert sub.certificate.not_after == root.certificate.not_after
    make_both(session, Wish(days=30))  # the same wish again is no contradiction, although its life was clipped


@pytest.mark.parametrize(
    ("wish", "named"), [(Wish("Another CA"), "--cn"), (Wish(key="rsa:2048"), "--key"), (Wish(days=7), "--days")]
)
def test_a_contradiction_is_refused_and_nothing_changes(session: Session, wish: Wish, named: str) -> None:
    make_both(session)
    before = fingerprint(session.workspace.root)
    with bench.locked(session) as locked, pytest.raises(InputError, match=named):
        authority.make_root(locked, wish)
    assert fingerprint(session.workspace.root) == before


def test_no_root_names_the_missing_task(session: Session) -> None:
    with bench.locked(session) as locked, pytest.raises(InputError) as caught:
        authority.make_intermediate(locked, Wish())
    assert "invoke rootca" in caught.value.render()


def test_a_root_key_that_is_offline_stops_subca_alone(session: Session) -> None:
    root, sub = make_both(session)
    root.signer.key.unlink()
    make_both(session)
    sub.signer.certificate.unlink()
    sub.signer.csr.unlink()
    sub.signer.key.unlink()
    with bench.locked(session) as locked, pytest.raises(InputError, match=r"rootca\.key is not there"):
        authority.make_intermediate(locked, Wish())


def test_a_foreign_key_is_found_before_anything_is_signed(session: Session) -> None:
    root, _ = make_both(session)
    openssl("ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", str(root.signer.key))
    with bench.locked(session) as locked, pytest.raises(InputError, match="does not belong to"):
        authority.make_root(locked, Wish())


def test_a_folder_in_a_keys_place_is_not_told_to_be_locked(session: Session) -> None:
    root, sub = make_both(session)
    root.signer.key.unlink()
    root.signer.key.mkdir(mode=0o755)
    for path in (sub.signer.certificate, sub.signer.csr, sub.signer.key):
        path.unlink()
    with bench.locked(session) as locked, pytest.raises(ToolError, match="Is a directory"):
        authority.make_intermediate(locked, Wish())


def test_an_intermediate_of_another_root_is_refused(
    session: Session, tmp_path: Path, make_session_in: MakeSession
) -> None:
    make_both(session)
    other, _ = make_both(make_session_in(tmp_path / "other", pki_key="ec:P-256"))
    mine = family.root(session.workspace)
    mine.certificate.write_bytes(other.signer.certificate.read_bytes())
    mine.key.unlink()
    with bench.locked(session) as locked, pytest.raises(InputError, match="was not issued by"):
        authority.make_intermediate(locked, Wish())


def test_an_expired_authority_does_not_sign(session: Session) -> None:
    root, sub = make_both(session)
    # openssl itself signs with an expired CA: the same key, with a certificate of the past.
    expired = session.workspace.root / "expired.pem"
    for line in (
        "ca -config rootca.cnf -revoke rootca/rootca.pem",
        f"ca -config rootca.cnf -selfsign -batch -notext -extensions v3_root -startdate 20200101000000Z "
        f"-enddate 20200102000000Z -in rootca/rootca.csr -out {expired}",
    ):
        subprocess.run(["openssl", *line.split()], cwd=session.workspace.ca, check=True, capture_output=True)
    root.signer.certificate.write_bytes(expired.read_bytes())
    sub.signer.certificate.unlink()
    with bench.locked(session) as locked, pytest.raises(InputError, match="expired on 2020-01-02"):
        authority.make_intermediate(locked, Wish())


def test_dry_writes_nothing_and_shows_the_lines(
    tmp_path: Path, make_session_in: MakeSession, capsys: pytest.CaptureFixture[str]
) -> None:
    dry = make_session_in(tmp_path / "ws", dry=True)
    make_both(dry)
    assert not (tmp_path / "ws").exists()
    shown = capsys.readouterr().err
    assert "openssl ca -config rootca.cnf -selfsign -batch" in shown
    assert "openssl ca -config rootca.cnf -batch -notext -in subca/subca.csr" in shown


def test_the_echo_can_be_replayed(
    tmp_path: Path, make_session_in: MakeSession, capsys: pytest.CaptureFixture[str]
) -> None:
    echoing = make_session_in(tmp_path / "first", echo=True, pki_key="ec:P-256")
    make_both(echoing)
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith(("target", "made"))]
    assert lines[0] == f"cd {tmp_path}/first/ca"
    second = tmp_path / "second" / "ca"
    second.mkdir(parents=True)
    # A comment stands before the first line that needs the file, and says what to copy.
    copied = {line.split()[1].rstrip(":"): number for number, line in enumerate(lines) if line.startswith("# ")}
    assert list(copied) == ["rootca.cnf", "subca.cnf"]
    for cnf, number in copied.items():
        assert not any(cnf in line for line in lines[:number])
        (second / cnf).write_bytes((tmp_path / "first" / "ca" / cnf).read_bytes())
    script = "set -e\n" + "\n".join([f"cd '{second}'", *lines[1:]])
    subprocess.run(["sh", "-c", script], check=True, capture_output=True)
    replayed = inspect.read_certificate(second / "subca" / "subca.pem")
    assert replayed.issued_by(inspect.read_certificate(second / "rootca" / "rootca.pem"))
