"""Keys that never leave their modems: a certificate of the profile for the CSR alone, through kills and renewals."""

import dataclasses
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tests.conftest import MakeSession
from tests.pki import modems
from tests.pki.test_authority import fingerprint, make_both, openssl
from tests.pki.test_identity import make_device
from thingmint.errors import CheckError, InputError, ToolError
from thingmint.ids import DeviceId
from thingmint.pki import bench, inspect, profile
from thingmint.pki.audit import audit
from thingmint.pki.authority import family
from thingmint.pki.device import enclosed, identity, renewal
from thingmint.pki.device.identity import Identity
from thingmint.pki.device.record import Record
from thingmint.pki.wish import Wish
from thingmint.session import Session

ID = DeviceId.parse("350457791791735879")


def enclose(
    session: Session,
    csr: bytes | None,
    *,
    device: DeviceId = ID,
    wish: Wish = Wish(),  # noqa: B008 - frozen
    renew: bool = False,
) -> Identity:
    with bench.locked(session) as locked:
        return enclosed.issue(locked, family.signer(session.workspace), device, csr, wish, renew=renew)


def begin(session: Session, sec_tag: int) -> None:
    with bench.locked(session) as locked:
        enclosed.begin(locked, family.signer(session.workspace), ID, sec_tag)


def test_the_certificate_is_the_profiles_whatever_the_modem_asks_for(ready: Session) -> None:
    made = enclose(ready, modems.csr(ID.text))
    assert made.certificate
    issuer = inspect.read_certificate(family.signer(ready.workspace).certificate)
    assert profile.problems(made.certificate, profile.DEVICE, issuer, hardened=True) == []
    text = openssl("x509", "-noout", "-text", "-in", str(made.files.certificate))
    assert "Digital Signature\n" in text
    assert "Key Agreement" not in text
    assert made.certificate.public_key == inspect.read_request(made.files.csr).public_key
    assert audit.audit(ready.workspace).findings == ()


def test_what_no_modem_asks_for_is_granted_as_little(ready: Session) -> None:
    more = (
        x509.BasicConstraints(ca=True, path_length=None),
        x509.SubjectAlternativeName([x509.DNSName("bank.example")]),
    )
    made = enclose(ready, modems.csr(ID.text, None, *more))
    assert made.certificate
    assert not made.certificate.is_ca
    assert b"bank.example" not in made.certificate.parsed.public_bytes(Encoding.DER)
    assert audit.audit(ready.workspace).findings == ()


def test_there_is_a_chain_a_record_and_the_csr_as_the_modem_wrote_it_and_no_key(ready: Session) -> None:
    csr = modems.csr(ID.text)
    begin(ready, 0)
    made = enclose(ready, csr)
    assert sorted(path.name.removeprefix(ID.text) for path in ready.workspace.devices.glob(f"{ID}*")) == [
        ".chain.pem", ".csr", ".json", ".pem",
    ]  # fmt: skip
    assert inspect.read_request(made.files.csr).der == csr
    record = Record.read(made.files.record)
    assert record
    assert made.certificate
    assert (record.key_in_modem, record.keygen_begun, record.serial) == (True, None, made.certificate.serial)


def test_the_same_line_again_changes_no_byte_with_a_modem_or_without(ready: Session) -> None:
    assert enclosed.modem_needed(ready.workspace, ID)
    enclose(ready, modems.csr(ID.text))
    assert not enclosed.modem_needed(ready.workspace, ID)
    assert enclosed.modem_needed(ready.workspace, ID, renew=True)
    before = fingerprint(ready.workspace.root)
    assert not enclose(ready, None).new
    assert not make_device(ready, ID).new
    assert fingerprint(ready.workspace.root) == before
    with pytest.raises(InputError, match="--days 6"):
        enclose(ready, None, wish=Wish(days=6))


@pytest.mark.parametrize(
    ("csr", "said"),
    [
        (modems.csr("another"), "for the subject 'CN=another', not for 'CN=350457791791735879'"),
        (modems.csr(ID.text, ec.generate_private_key(ec.SECP384R1())), "its key is ec:P-384, not ec:P-256"),
    ],
)
def test_what_the_modem_was_not_asked_for_is_refused_and_leaves_nothing(ready: Session, csr: bytes, said: str) -> None:
    with pytest.raises(CheckError, match=said):
        enclose(ready, csr)
    assert list(ready.workspace.devices.glob(f"{ID}*")) == []


def test_a_changed_csr_is_refused_and_leaves_nothing(ready: Session) -> None:
    csr = modems.csr(ID.text)
    with pytest.raises(ToolError, match="in the modem's answer does not match its public key"):
        enclose(ready, csr[:-1] + bytes([csr[-1] ^ 1]))
    assert list(ready.workspace.devices.glob(f"{ID}*")) == []


def test_the_key_of_another_device_is_refused_and_leaves_nothing(ready: Session) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    enclose(ready, modems.csr("other", key), device=DeviceId.parse("other"))
    with pytest.raises(InputError, match="was certified before, for 'other'"):
        enclose(ready, modems.csr(ID.text, key))
    assert list(ready.workspace.devices.glob(f"{ID}*")) == []


def test_a_written_key_is_not_passed_over(ready: Session) -> None:
    made = make_device(ready, ID)
    with pytest.raises(InputError, match="its private key is here") as caught:
        enclose(ready, modems.csr(ID.text))
    assert f"invoke device --imei {ID} --renew --keygen --port PORT" in caught.value.render()
    made.files.certificate.unlink()
    with pytest.raises(InputError, match="was made here, and its certificate was not"):
        enclose(ready, modems.csr(ID.text))
    made.files.key.unlink()
    with pytest.raises(InputError, match="no record says that a modem made it"):
        enclose(ready, modems.csr(ID.text))
    made.files.csr.unlink()
    with pytest.raises(InputError, match="its key is not here"):
        enclose(ready, modems.csr(ID.text))


def test_other_kinds_of_key_and_the_articles_profile_are_refused(tmp_path: Path, make_session_in: MakeSession) -> None:
    article = make_session_in(tmp_path / "article", pki_profile="article", pki_key="ec:P-256")
    make_both(article)
    with pytest.raises(InputError, match="a modem cannot be told what to ask for"):
        enclose(article, modems.csr(ID.text))
    hardened = make_session_in(tmp_path / "ws", pki_key="ec:P-256")
    with pytest.raises(InputError, match="--key rsa:2048 asks for another"):
        enclose(hardened, modems.csr(ID.text), wish=Wish(key="rsa:2048"))


def test_a_csr_that_waits_is_found_and_another_one_is_refused(ready: Session) -> None:
    csr = modems.csr(ID.text)
    made = enclose(ready, csr)
    assert made.certificate
    # As after a cut: committed, and not published.
    made.files.certificate.unlink()
    made.files.chain.unlink()
    waiting = enclosed.pending(ready.workspace, ID)
    assert waiting
    assert waiting.der == csr
    assert [one.what for one in audit.audit(ready.workspace).findings] == [
        "a run was cut off: the CSR of a key in a modem waits"
    ]
    with pytest.raises(InputError, match="is of a key in the modem"):
        make_device(ready, ID)
    with pytest.raises(InputError, match="is of another key"):
        enclose(ready, modems.csr(ID.text))
    again = enclose(ready, None)
    assert again.certificate
    assert again.certificate.serial == made.certificate.serial
    assert enclosed.pending(ready.workspace, ID) is None
    assert audit.audit(ready.workspace).findings == ()


def test_a_key_generation_that_was_cut_off_is_told_from_none(ready: Session) -> None:
    assert enclosed.begun(ready.workspace, ID) is None
    begin(ready, 16)
    assert enclosed.begun(ready.workspace, ID) == 16
    findings = audit.audit(ready.workspace).findings
    assert [one.what for one in findings] == ["a run was cut off while a modem made a key in sec tag 16"]
    with pytest.raises(InputError, match="no CSR of a modem waits"):
        enclose(ready, None)
    enclose(ready, modems.csr(ID.text))
    begin(ready, 17)
    assert [one.what for one in audit.audit(ready.workspace).findings] == [
        "a run was cut off while a modem made a key in sec tag 17"
    ]
    enclose(ready, modems.csr(ID.text), renew=True)
    assert enclosed.begun(ready.workspace, ID) is None


def test_without_its_record_the_key_counts_as_lost_and_the_hint_says_why(ready: Session) -> None:
    made = enclose(ready, modems.csr(ID.text))
    kept = made.files.record.read_bytes()
    made.files.record.unlink()
    with pytest.raises(InputError, match="has no private key here") as caught:
        make_device(ready, ID)
    assert f"if it is in a modem: {made.files.record}" in caught.value.render()
    assert any("if the key is in a modem" in one.cure for one in audit.audit(ready.workspace).findings)
    made.files.record.write_bytes(kept)
    assert not make_device(ready, ID).new


def test_a_swapped_csr_is_found(ready: Session) -> None:
    own = enclose(ready, modems.csr(ID.text)).files
    own.csr.write_bytes(inspect.parse_request_der(modems.csr(ID.text), where="it").pem)
    with pytest.raises(InputError, match="public keys differ") as caught:
        make_device(ready, ID)
    assert "--renew --keygen" in caught.value.render()
    assert [one.what for one in audit.audit(ready.workspace).findings] == ["it is not the CSR of its certificate"]
    own.csr.unlink()
    assert not make_device(ready, ID).new


def test_dry_shows_the_line_and_asks_nobody(
    ready: Session, make_session_in: MakeSession, capsys: pytest.CaptureFixture[str]
) -> None:
    before = fingerprint(ready.workspace.root)
    dry = make_session_in(ready.workspace.root, dry=True, pki_key="ec:P-256")
    begin(dry, 16)
    assert enclose(dry, None).certificate is None
    assert f"-in ../devices/{ID}.csr" in capsys.readouterr().err
    assert fingerprint(ready.workspace.root) == before


def test_the_record_says_no_more_of_a_device_whose_key_is_here_than_before(ready: Session) -> None:
    own = make_device(ready, ID).files
    assert "modem" not in own.record.read_text()
    assert "keygen" not in own.record.read_text()
    assert not own.key_in_modem
    with bench.locked(ready) as locked:
        identity.check(locked.workspace, family.signer(ready.workspace), ID)
    record = Record.read(own.record)
    assert record
    own.record.write_bytes(dataclasses.replace(record, key_in_modem=True).to_json())
    assert not own.key_in_modem  # a key that is here says more than a record
    assert not renewal.under_way(ready.workspace, ID)


def test_openssl_takes_the_csr_as_it_is_kept(ready: Session) -> None:
    own = enclose(ready, modems.csr(ID.text)).files
    told = subprocess.run(["openssl", "req", "-verify", "-noout", "-in", own.csr], check=True, capture_output=True)
    assert b"OK" in told.stdout + told.stderr
