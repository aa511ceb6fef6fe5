"""AT%KEYGEN and AT%ATTESTTOKEN: the same shape as a real modem's, and signatures that hold."""

import base64
import hashlib
import subprocess
from pathlib import Path
from typing import Any

import cbor2
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from tests.thing.conftest import PlugIn
from tests.thing.terminal import Terminal

# A real modem's, published: tag 42 of the device 50363154-3932-4834-802b-0908718314dc.
REAL = (
    "MIIBCjCBrwIBADAvMS0wKwYDVQQDDCQ1MDM2MzE1NC0zOTMyLTQ4MzQtODAyYi0wOTA4NzE4MzE0ZGMwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC"
    "AATPLBN5-YWj13l6NWeqNFW8VjHOWZB5IfeaEyfMeiUk6V1NEMuYnEBwwrBdV94F5XdscCKDLtvtyKo4VTbnK-mPoB4wHAYJKoZIhvcNAQkOMQ8w"
    "DTALBgNVHQ8EBAMCA-gwDAYIKoZIzj0EAwIFAANIADBFAiAO2KmzF9Ms599GC3EueXhmp6AWwtD6c7bA_lhnNc7ZgQIhAMFJC99z_GfLJxCT2U8D"
    "t4MFCB_5wwFYSDcSg-ucfLHS.0oRDoQEmoQRBIVhM2dn3hQlQUDYxVDkySDSAKwkIcYMU3EIYKlgglFk5S_wQVOvIPvm-qjnYS4BZ4mCg7Bsf3cA"
    "VIGelPGNQVF8u_v_HrhBJH107c3QBLVhA35AZa4ZWQbm7mRQfFuGGlfLFgiNwMLxxjsmiQHNtT01o5c6pm2uEqMn0T_YY0aEXZer2hCS-YwNoW97z"
    "cH_Iug"
)


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def quoted(line: str) -> str:
    return line.split('"')[1]


def tlv(der: bytes) -> Any:
    """DER as nested lists of tags; of values, what is no key, number or text of the device's own."""
    shape: list[Any] = []
    while der:
        size, head = der[1], 2
        if size & 0x80:
            head += size & 0x7F
            size = int.from_bytes(der[2:head], "big")
        value = der[head : head + size]
        own = der[0] in {0x03, 0x0C} and len(value) > 8
        shape.append((der[0], tlv(value) if der[0] & 0x20 else "" if own else value.hex()))
        der = der[head + size :]
    return shape


def message(token: str) -> tuple[bytes, dict[int, bytes], Any, bytes, bytes]:
    """Protected header, the other, what the payload holds, signature, payload."""
    cose = cbor2.loads(decoded(token))
    assert cose.tag == 18
    protected, other, payload, signature = cose.value
    return protected, dict(other), None if payload is None else cbor2.loads(payload), signature, payload


def verify(protected: bytes, payload: bytes, signature: bytes, public: bytes) -> None:
    key = load_pem_public_key(public)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    signed = cbor2.dumps(["Signature1", protected, b"", payload])
    key.verify(utils.encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))


def identity(terminal: Terminal) -> bytes:
    """The device identity's public key, as a client reads it."""
    answer = "\r\n".join(terminal.say("AT%CMNG=2,4294967294,6"))
    return answer.split('"')[3].encode()


def test_a_generated_key_is_told_in_the_shape_of_a_real_modem(plug_in: PlugIn) -> None:
    thing, terminal = plug_in()
    ours = quoted(terminal.say("AT%KEYGEN=42,2,0")[0])
    real_request, our_request = (decoded(text.split(".")[0]) for text in (REAL, ours))
    assert tlv(our_request) == tlv(real_request)
    assert thing.memory.uuid.encode() in our_request  # the CN if none is given
    real, our = (message(text.split(".")[1]) for text in (REAL, ours))
    assert our[:2] == real[:2] == (cbor2.dumps({1: -7}), {4: cbor2.dumps(-2)})
    assert our[2][0] == real[2][0] == 9
    assert our[2][1].hex() == thing.memory.uuid.replace("-", "")
    assert our[2][2] == real[2][2] == cbor2.dumps(42)
    assert [hashlib.sha256(one).digest() for one in (our_request, real_request)] == [our[2][3], real[2][3]]
    assert len(our[2][4]) == len(real[2][4]) == 16
    assert len(our[3]) == len(real[3]) == 64
    assert our[4][:4] == real[4][:4]  # self-described CBOR


def test_the_message_is_signed_by_the_devices_identity(plug_in: PlugIn) -> None:
    _, terminal = plug_in()
    public = identity(terminal)
    protected, _, _, signature, payload = message(quoted(terminal.say("AT%KEYGEN=42,2,0")[0]).split(".")[1])
    verify(protected, payload, signature, public)
    body, token = quoted(terminal.say("AT%ATTESTTOKEN")[0]).split(".")
    protected, _, nothing, signature, _ = message(token)
    assert nothing is None
    verify(protected, decoded(body), signature, public)


def test_openssl_accepts_the_request_with_the_names_in_order(plug_in: PlugIn, tmp_path: Path) -> None:
    thing, terminal = plug_in()
    request = decoded(quoted(terminal.say('AT%KEYGEN=42,2,0,"CN=352656100367872,O=Test"')[0]).split(".")[0])
    (tmp_path / "it.csr").write_bytes(request)
    argv = ["openssl", "req", "-inform", "DER", "-in", "it.csr", "-noout", "-verify", "-subject", "-pubkey"]
    told = subprocess.run(argv, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "CN = 352656100367872, O = Test" in told.stdout.replace("CN=", "CN = ").replace("O=", "O = ")
    key = load_pem_private_key(thing.memory.read(42, 2) or b"", password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    numbers = key.public_key().public_numbers()
    stated = load_pem_public_key(told.stdout[told.stdout.index("-----BEGIN") :].encode())
    assert isinstance(stated, ec.EllipticCurvePublicKey)
    assert stated.public_numbers() == numbers


def test_attestations_can_be_missing_or_wrong(plug_in: PlugIn) -> None:
    _, terminal = plug_in("attestation=missing")
    assert "." not in quoted(terminal.say("AT%KEYGEN=1,2,0")[0])
    _, terminal = plug_in("attestation=wrong-digest", imei="2")
    request, token = quoted(terminal.say("AT%KEYGEN=1,2,0")[0]).split(".")
    assert message(token)[2][3] != hashlib.sha256(decoded(request)).digest()
    _, terminal = plug_in("attestation=wrong-signature", imei="3")
    protected, _, _, signature, payload = message(quoted(terminal.say("AT%KEYGEN=1,2,0")[0]).split(".")[1])
    with pytest.raises(InvalidSignature):
        verify(protected, payload, signature, identity(terminal))


def test_the_life_of_a_certificate_is_told(plug_in: PlugIn, tmp_path: Path) -> None:
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "k"]
    argv += ["-out", "c.pem", "-subj", "/CN=x", "-days", "30", "-set_serial", "0xAEF87681FA968B61"]
    subprocess.run(argv, cwd=tmp_path, check=True, capture_output=True)
    _, terminal = plug_in()
    terminal.say("AT+CMEE=1")
    terminal.say(f'AT%CMNG=0,10,1,"{(tmp_path / "c.pem").read_text()}"')
    told = terminal.say("AT%CERTEXPIRY=10,1")[0]
    assert told.startswith("%CERTEXPIRY: 00AEF87681FA968B61,20")
    assert told.count("Z") == 2
    assert terminal.say("AT%CERTEXPIRY=11,1") == ["+CME ERROR: 513"]
    terminal.say('AT%CMNG=0,11,1,"HONKHONK"')
    assert terminal.say("AT%CERTEXPIRY=11,1") == ["+CME ERROR: 527"]
