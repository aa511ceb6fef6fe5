"""Device certificates: what they may do, that they are made once, and what is refused."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import MakeSession
from tests.pki.test_authority import fingerprint, make_both, openssl
from thingmint.errors import CheckError, InputError, ToolError
from thingmint.ids import DeviceId
from thingmint.pki import bench, inspect
from thingmint.pki.authority import family, proof
from thingmint.pki.device import identity
from thingmint.pki.device.identity import Identity
from thingmint.pki.profile import DEVICE
from thingmint.pki.signing import issuing
from thingmint.pki.signing.order import Request, Terms
from thingmint.pki.store import index
from thingmint.pki.wish import Wish
from thingmint.session import Session

ID = DeviceId.parse("350457791791735879")


def make_device(session: Session, device: DeviceId = ID, wish: Wish = Wish()) -> Identity:  # noqa: B008 - frozen
    with bench.locked(session) as locked:
        return identity.make(locked, family.signer(session.workspace), device, wish)


def test_a_device_certificate_is_good_for_a_tls_client_and_nothing_else(ready: Session) -> None:
    made = make_device(ready)
    ca = ready.workspace.ca
    base = ["-x509_strict", "-CAfile", str(ca / "rootca/rootca.pem"), "-untrusted", str(ca / "subca/subca.pem")]
    assert openssl("verify", *base, "-purpose", "sslclient", str(made.files.certificate)).strip().endswith("OK")
    refused = subprocess.run(
        ["openssl", "verify", *base, "-purpose", "sslserver", made.files.certificate], check=False, capture_output=True
    )
    assert refused.returncode != 0
    text = openssl("x509", "-noout", "-text", "-in", str(made.files.certificate))
    assert "CA:FALSE" in text
    assert "TLS Web Client Authentication\n" in text
    assert re.search("Subject: CN ?= ?350457791791735879\n", text)


def test_the_files_are_the_articles_and_the_key_is_private(ready: Session) -> None:
    own = make_device(ready).files
    assert own.key.stat().st_mode & 0o777 == 0o600
    assert own.certificate.read_bytes().startswith(b"-----BEGIN CERTIFICATE-----\n")
    leaf, issuer = own.chain.read_bytes().split(b"-----END CERTIFICATE-----\n")[:2]
    assert leaf in own.certificate.read_bytes()
    assert issuer in (ready.workspace.ca / "subca/subca.pem").read_bytes()
    record = json.loads(own.record.read_text())
    assert record["serial"] == inspect.read_certificate(own.certificate).serial
    assert "PRIVATE" not in own.record.read_text()


def test_running_again_changes_no_byte(ready: Session) -> None:
    make_device(ready)
    before = fingerprint(ready.workspace.root)
    assert not make_device(ready).new
    assert fingerprint(ready.workspace.root) == before


def test_days_are_clipped_to_the_issuer_and_the_same_line_again_is_fine(ready: Session) -> None:
    made = make_device(ready, wish=Wish(days=36500))
    issuer = inspect.read_certificate(ready.workspace.ca / "subca/subca.pem")
    assert made.certificate
    assert made.certificate.not_after == issuer.not_after
    assert not make_device(ready, wish=Wish(days=36500)).new


def test_a_short_life_is_kept_and_another_is_refused(ready: Session) -> None:
    assert make_device(ready, wish=Wish(days=5)).certificate.lifetime_days == 5  # type: ignore[union-attr]
    with pytest.raises(InputError, match="--days 6"):
        make_device(ready, wish=Wish(days=6))


def test_ids_that_differ_by_case_alone_are_refused(ready: Session) -> None:
    make_device(ready, DeviceId.parse("dev1"))
    with pytest.raises(InputError, match="by case alone"):
        make_device(ready, DeviceId.parse("DEV1"))
    for path in ready.workspace.devices.glob("dev1.*"):
        path.unlink()
    with pytest.raises(InputError, match="by case alone"):  # the authority remembers
        make_device(ready, DeviceId.parse("DEV1"))


def test_a_lost_certificate_is_published_again_not_issued_twice(ready: Session) -> None:
    first = make_device(ready)
    first.files.certificate.unlink()
    again = make_device(ready)
    assert first.certificate
    assert again.certificate
    assert again.certificate.serial == first.certificate.serial


def test_a_lost_key_is_an_error_and_never_a_new_identity(ready: Session) -> None:
    own = make_device(ready).files
    own.key.unlink()
    with pytest.raises(InputError, match="has no private key here"):
        make_device(ready)
    own.certificate.unlink()
    with pytest.raises(InputError, match="its key is not here"):
        make_device(ready)
    own.csr.unlink()
    with pytest.raises(InputError, match="its key is not here"):
        make_device(ready)


def test_a_swapped_key_is_found(ready: Session) -> None:
    one, two = make_device(ready, DeviceId.parse("one")).files, make_device(ready, DeviceId.parse("two")).files
    one.key.write_bytes(two.key.read_bytes())
    with pytest.raises(InputError, match="public keys differ") as caught:
        make_device(ready, DeviceId.parse("one"))
    assert "--renew" in caught.value.things_to_try[1]
    one.certificate.write_bytes(two.certificate.read_bytes())
    with pytest.raises(InputError, match="is for 'two'") as caught:
        make_device(ready, DeviceId.parse("one"))
    assert caught.value.things_to_try


def test_an_encrypted_key_of_a_device_is_named_and_its_cure_cures(ready: Session) -> None:
    own = make_device(ready).files
    fresh = own.key.with_name(f"{own.key.name}.new")
    openssl("pkey", "-aes256", "-passout", "pass:1234", "-in", str(own.key), "-out", str(fresh))
    fresh.replace(own.key)
    with pytest.raises(ToolError, match="is encrypted") as caught:
        make_device(ready)
    line = caught.value.things_to_try[0].removeprefix("decrypt it: ").partition(",")[0]
    subprocess.run([*shlex.split(line), "-passin", "pass:1234"], check=True)
    fresh.replace(own.key)
    assert not make_device(ready).new


def test_a_missing_folder_of_certificates_is_named_with_a_cure(ready: Session) -> None:
    shutil.rmtree(family.signer(ready.workspace).certs)
    with pytest.raises(ToolError, match="folder certs/ is missing") as caught:
        make_device(ready)
    assert "invoke ca-check" in caught.value.things_to_try[1]


def test_keys_that_others_may_read_are_not_used(ready: Session) -> None:
    own = make_device(ready).files
    own.key.chmod(0o640)
    with pytest.raises(InputError, match=r"may be read by others \(mode 640\)") as caught:
        make_device(ready)
    assert f"chmod 600 {own.key}" in caught.value.render()
    own.key.chmod(0o600)
    signer = family.signer(ready.workspace)
    signer.key.chmod(0o604)
    with pytest.raises(InputError, match="may be read by others"):
        make_device(ready, DeviceId.parse("other"))
    assert not (ready.workspace.devices / "other.key").exists()


def evil_request(ready: Session) -> Path:
    evil = ready.workspace.devices / "evil"
    openssl(
        "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{evil}.key",
        "-out", f"{evil}.csr", "-subj", "/CN=evil", "-addext", "basicConstraints=critical,CA:true",
        "-addext", "subjectAltName=DNS:bank.example", "-addext", "extendedKeyUsage=serverAuth",
    )  # fmt: skip
    return evil.with_suffix(".csr")


def test_a_csr_that_asks_for_more_is_refused_naming_what(ready: Session) -> None:
    evil_request(ready)
    with pytest.raises(InputError) as caught:
        make_device(ready, DeviceId.parse("evil"))
    for asked in ("CA:true", "subjectAltName", "1.3.6.1.5.5.7.3.1"):
        assert asked in caught.value.message


def test_extensions_come_from_the_profile_never_from_the_csr(ready: Session) -> None:
    csr = evil_request(ready)
    argv = ["openssl", "ca", "-config", "subca.cnf", "-batch", "-notext", "-in", str(csr)]
    pem = subprocess.run(argv, cwd=ready.workspace.ca, check=True, capture_output=True).stdout
    text = subprocess.run(["openssl", "x509", "-noout", "-text"], input=pem, check=True, capture_output=True).stdout
    assert b"CA:FALSE" in text
    assert b"bank.example" not in text
    assert b"Server Authentication" not in text


def test_many_requests_take_the_same_path_and_keep_their_order(ready: Session) -> None:
    names = [f"series-{n}" for n in range(12)]
    requests = []
    for name in names:
        stem = ready.workspace.devices / name
        openssl(
            "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-keyout", f"{stem}.key", "-out", f"{stem}.csr", "-subj", f"/CN={name}",
        )  # fmt: skip
        requests.append(Request(stem.with_suffix(".csr"), stem.with_suffix(".pem"), name))
    with bench.locked(ready) as locked:
        issued = issuing.issue(locked, family.signer(ready.workspace), requests, Terms(DEVICE))
    assert [one.common_name for one in issued] == names
    for name, one in zip(names, issued, strict=True):
        stem = ready.workspace.devices / name
        assert inspect.read_certificate(stem.with_suffix(".pem")).serial == one.serial
        assert inspect.read_key_digest(stem.with_suffix(".key")) == one.public_key


def test_one_bad_csr_in_a_batch_names_itself_and_nothing_is_issued(ready: Session) -> None:
    own = make_device(ready).files
    broken = ready.workspace.devices / "broken.csr"
    pem = own.csr.read_text().splitlines()
    flipped = "A" if pem[-2][0] != "A" else "B"
    broken.write_text("\n".join([*pem[:-2], flipped + pem[-2][1:], pem[-1]]) + "\n")
    rows = index.read(family.signer(ready.workspace).index)
    request = Request(broken, broken.with_suffix(".pem"), "x")
    with bench.locked(ready) as locked, pytest.raises(Exception, match=r"broken\.csr"):
        issuing.issue(locked, family.signer(ready.workspace), [request], Terms(DEVICE))
    assert index.read(family.signer(ready.workspace).index) == rows


def test_a_proof_is_short_lived_passes_for_no_tls_and_is_revoked(ready: Session) -> None:
    signer, code = family.signer(ready.workspace), "0123456789ABCDEF" * 3
    with bench.locked(ready) as locked:
        pem = proof.make(locked, signer, code)
        made = inspect.read_certificate(signer.folder / "proof.pem")
        assert pem == made.pem
        assert (made.common_name, made.lifetime_days) == (code, 1)
        for purpose in ("sslclient", "sslserver"):
            verdict = subprocess.run(
                ["openssl", "verify", "-partial_chain", "-CAfile", signer.certificate, "-purpose", purpose,
                 signer.folder / "proof.pem"],
                check=False, capture_output=True,
            )  # fmt: skip
            assert verdict.returncode != 0, purpose
        proof.clean_up(locked, signer)
        proof.clean_up(locked, signer)
    assert not (signer.folder / "proof.key").exists()
    assert [row.status for row in index.read(signer.index) if row.common_name == code] == ["R"]


def test_the_article_profile_issues_too(tmp_path: Path, make_session_in: MakeSession) -> None:
    article = make_session_in(tmp_path / "ws", pki_profile="article", pki_key="ec:P-256")
    make_both(article)
    made = make_device(article)
    assert made.certificate
    assert made.certificate.issued_by(inspect.read_certificate(article.workspace.ca / "subca/subca.pem"))


def test_a_database_that_openssl_cut_short_is_noticed(tmp_path: Path) -> None:
    row = "V\t361121004736Z\t\t01\tunknown\t/CN=a\n"
    with pytest.raises(CheckError, match="lost earlier rows"):
        index.added((row * 2).encode(), row.encode(), count=1, where=tmp_path)
    with pytest.raises(CheckError, match="torn last row"):
        index.added(b"", row[:-1].encode(), count=1, where=tmp_path)
    with pytest.raises(CheckError, match="recorded 1 certificates"):
        index.added(b"", row.encode(), count=2, where=tmp_path)
