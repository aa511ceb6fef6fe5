"""Bundles: what was sealed comes out again for the right people, anything else is one clear refusal."""

import datetime as dt
import hashlib
import json
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from hypothesis import given, settings
from hypothesis import strategies as st
from jwcrypto.common import base64url_decode, base64url_encode
from jwcrypto.jwe import JWE
from jwcrypto.jwk import JWK

from tests import paper
from thingmint import sealed
from thingmint.errors import CheckError, InputError, ThingmintError

DATA = b"-----BEGIN PRIVATE KEY-----\n\x00\xff"
PASSPHRASE = "open sesame, ü"
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def certificate(key: PrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "colleague")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(dt.datetime.now(dt.UTC) - paper.DAY)
        .not_valid_after(dt.datetime.now(dt.UTC) + paper.DAY)
    )
    signed = builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


def private(key: PrivateKey, passphrase: str = "") -> bytes:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase.encode())
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


KEYS: list[rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey] = [
    rsa.generate_private_key(65537, 2048),
    ec.generate_private_key(ec.SECP256R1()),
    ec.generate_private_key(ec.SECP384R1()),
    ec.generate_private_key(ec.SECP256R1()),
]
CERTIFICATES = [certificate(key) for key in KEYS]
FOR_PASSPHRASE = sealed.seal_for_passphrase(DATA, PASSPHRASE)
FOR_RECIPIENTS = sealed.seal_for_recipients(DATA, CERTIFICATES)
STRANGER = private(ec.generate_private_key(ec.SECP256R1()))


def forged(bundle: bytes, **members: Any) -> bytes:
    """What somebody with an editor and a checksum tool makes of a bundle."""
    values = {**json.loads(bundle), **members}
    del values["sha256"]
    body = json.dumps(values, separators=(",", ":")).encode()[:-1]
    return body + b',"sha256":"%s"}' % hashlib.sha256(body).hexdigest().encode()


def protected(**changes: Any) -> str:
    header = json.loads(base64url_decode(json.loads(FOR_PASSPHRASE)["protected"]))
    return str(base64url_encode(json.dumps({**header, **changes}, separators=(",", ":"))))


def test_a_passphrase_opens_it_however_the_keyboard_composed_it() -> None:
    assert sealed.open_with_passphrase(FOR_PASSPHRASE, PASSPHRASE) == DATA
    assert sealed.open_with_passphrase(FOR_PASSPHRASE + b"\n", PASSPHRASE.replace("ü", "u\u0308")) == DATA
    assert sealed.describe(FOR_PASSPHRASE) == sealed.Sealed("passphrase", ())


@pytest.mark.parametrize("key", KEYS, ids=["rsa", "p256", "p384", "p256 again"])
def test_each_recipient_opens_it(key: PrivateKey) -> None:
    assert sealed.open_with_key(FOR_RECIPIENTS, private(key)) == DATA
    assert sealed.open_with_key(FOR_RECIPIENTS, private(key, PASSPHRASE), PASSPHRASE) == DATA


def test_the_recipients_are_told_by_their_certificates_thumbprints_each_once() -> None:
    loaded = [x509.load_pem_x509_certificate(pem) for pem in CERTIFICATES]
    expected = tuple(one.fingerprint(hashes.SHA256()).hex().upper() for one in loaded)
    assert sealed.describe(FOR_RECIPIENTS) == sealed.Sealed("recipients", expected)
    again = sealed.seal_for_recipients(DATA, [*CERTIFICATES, CERTIFICATES[0]])
    assert sealed.describe(again).recipients == expected


@settings(max_examples=20, deadline=None)
@given(st.binary(max_size=2000))
def test_whatever_goes_in_comes_out(data: bytes) -> None:
    bundle = sealed.seal_for_recipients(data, CERTIFICATES[1:2])
    assert sealed.open_with_key(bundle, private(KEYS[1])) == data


@pytest.mark.parametrize("key", KEYS[:3], ids=["rsa", "p256", "p384"])
def test_another_library_opens_what_was_sealed_for_a_key(key: PrivateKey) -> None:
    token = JWE(algs=["RSA-OAEP-256", "ECDH-ES+A256KW", "A256GCM"])
    token.deserialize(FOR_RECIPIENTS.decode(), JWK.from_pem(private(key)))
    assert token.payload == DATA


def test_another_library_opens_what_was_sealed_for_a_passphrase() -> None:
    header = json.loads(base64url_decode(json.loads(FOR_PASSPHRASE)["protected"]))
    scrypt = header["scrypt"]
    kdf = Scrypt(salt=base64url_decode(scrypt["salt"]), length=32, n=scrypt["n"], r=scrypt["r"], p=scrypt["p"])
    token = JWE(algs=["A256KW", "A256GCM"])
    token.deserialize(FOR_PASSPHRASE.decode(), JWK(kty="oct", k=base64url_encode(kdf.derive(PASSPHRASE.encode()))))
    assert token.payload == DATA


def test_the_wrong_passphrase_is_named_and_not_repeated() -> None:
    with pytest.raises(InputError, match="the passphrase is wrong") as caught:
        sealed.open_with_passphrase(FOR_PASSPHRASE, "sesame, close")
    assert "sesame" not in caught.value.render()


@pytest.mark.parametrize(
    ("key", "passphrase", "said"),
    [
        (STRANGER, None, "not sealed for this key"),
        (private(KEYS[0], "abcdefgh"), "hgfedcba", "passphrase is wrong"),
        (private(KEYS[0], "abcdefgh"), None, "is encrypted"),
        (private(KEYS[0]), "abcdefgh", "is not encrypted"),
        (CERTIFICATES[0], None, "no private key"),
        (private(ed25519.Ed25519PrivateKey.generate()), None, "of this kind"),
    ],
)
def test_a_key_that_cannot_open_it_is_told_why(key: bytes, passphrase: str | None, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        sealed.open_with_key(FOR_RECIPIENTS, key, passphrase)
    assert "abcdefgh" not in caught.value.render()


def test_the_other_kind_of_bundle_is_told_apart() -> None:
    with pytest.raises(InputError, match="sealed for a passphrase"):
        sealed.open_with_key(FOR_PASSPHRASE, private(KEYS[0]))
    with pytest.raises(InputError, match="sealed for recipients"):
        sealed.open_with_passphrase(FOR_RECIPIENTS, PASSPHRASE)


@pytest.mark.parametrize("bundle", [FOR_PASSPHRASE, FOR_RECIPIENTS], ids=["passphrase", "recipients"])
def test_a_flipped_bit_anywhere_is_noticed(bundle: bytes) -> None:
    for position in [*range(0, len(bundle), 37), *range(len(bundle) - 80, len(bundle))]:
        flipped = bytearray(bundle)
        flipped[position] ^= 1 << position % 7
        with pytest.raises((CheckError, InputError), match="damaged|no thingmint bundle"):
            sealed.open_with_passphrase(bytes(flipped), PASSPHRASE)


@pytest.mark.parametrize("member", ["protected", "iv", "ciphertext", "tag"])
def test_a_change_with_a_new_checksum_fails_authentication(member: str) -> None:
    value = json.loads(FOR_PASSPHRASE)[member]
    changed = (
        protected(scrypt={"n": 2**17, "r": 8, "p": 1, "salt": "A" * 22})
        if member == "protected"
        else value[:5] + ("A" if value[5] != "A" else "B") + value[6:]
    )
    expected = InputError if member == "protected" else CheckError
    with pytest.raises(expected) as caught:
        sealed.open_with_passphrase(forged(FOR_PASSPHRASE, **{member: changed}), PASSPHRASE)
    assert PASSPHRASE not in caught.value.render()


def recipient(**header: Any) -> list[dict[str, Any]]:
    return [{"header": {"alg": "A256KW", **header}, "encrypted_key": "AAAA"}]


@pytest.mark.parametrize(
    "members",
    [
        {"protected": protected(scrypt={"n": 2**30, "r": 8, "p": 1, "salt": "A" * 22})},
        {"protected": protected(scrypt={"n": 2**17 - 1, "r": 8, "p": 1, "salt": "A" * 22})},
        {"protected": protected(scrypt={"n": 2**17, "r": 800, "p": 1, "salt": "A" * 22})},
        {"protected": protected(zip="DEF")},
        {"protected": protected(enc="A128GCM")},
        {"protected": protected(typ="JWT")},
        {"protected": "e30"},
        {"protected": "W10"},
        {"protected": "A"},
        {"protected": str(base64url_encode("[" * 500))},
        {"iv": "AA"},
        {"tag": "+"},
        {"tag": 5},
        {"unprotected": {"alg": "none"}},
        {"recipients": []},
        {"recipients": recipient() * 1000},
        {"recipients": recipient(alg="dir")},
        {"recipients": recipient(alg="PBES2-HS512+A256KW", p2c=2**31)},
        {"recipients": recipient(alg="ECDH-ES+A256KW", epk={"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"})},
    ],
)
def test_a_hostile_bundle_is_refused_at_once(members: dict[str, Any]) -> None:
    with pytest.raises(ThingmintError) as caught:
        sealed.open_with_passphrase(forged(FOR_PASSPHRASE, **members), PASSPHRASE)
    assert caught.value.exit_code in {2, 4}


def test_a_point_off_its_curve_is_refused() -> None:
    recipients = json.loads(FOR_RECIPIENTS)["recipients"]
    recipients[1]["header"]["epk"]["y"] = "A" * 43
    with pytest.raises(CheckError, match="not as it was sealed"):
        sealed.open_with_key(forged(FOR_RECIPIENTS, recipients=recipients), private(KEYS[1]))


def test_a_later_version_asks_for_an_update() -> None:
    with pytest.raises(InputError, match="newer thingmint"):
        sealed.describe(forged(FOR_PASSPHRASE, protected=protected(typ="thingmint-bundle-v2", enc="X")))


@pytest.mark.parametrize(
    "text",
    [b"", b"{}", b"\xff" * 1000, CERTIFICATES[0], FOR_PASSPHRASE[:-1], FOR_PASSPHRASE[:100], b'{"protected":"' + b"[" * 100_000],
)  # fmt: skip
def test_what_is_no_bundle_or_half_of_one_is_refused(text: bytes) -> None:
    for call in (sealed.describe, lambda one: sealed.open_with_passphrase(one, PASSPHRASE)):
        with pytest.raises((InputError, CheckError), match="no thingmint bundle|damaged or not complete"):
            call(text)


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_any_content_under_a_right_checksum_is_refused_clearly(content: bytes) -> None:
    body = b'{"protected":"' + content
    with pytest.raises(CheckError):
        sealed.describe(body + b',"sha256":"%s"}' % hashlib.sha256(body).hexdigest().encode())


def test_unfit_recipients_are_refused_by_name() -> None:
    root = paper.make("Root")
    for pem, said in (
        (root.issue("late", end=-paper.DAY / 2).pem, "CN=late is valid from"),
        (root.issue("early", start=paper.DAY).pem, "CN=early is valid from"),
        (certificate(rsa.generate_private_key(65537, 1024)), "at least 2048"),  # noqa: S505 - it is what is refused
        (certificate(ec.generate_private_key(ec.SECP521R1())), "P-256 or P-384"),
        (certificate(ed25519.Ed25519PrivateKey.generate()), "P-256 or P-384"),
        (STRANGER, "cannot be read"),
    ):
        with pytest.raises(InputError) as caught:
            sealed.seal_for_recipients(DATA, [CERTIFICATES[0], pem])
        assert said in caught.value.render()
    with pytest.raises(InputError, match="0 were named"):
        sealed.seal_for_recipients(DATA, [])


def test_fifty_megabytes_are_fine_and_a_whole_disk_is_not() -> None:
    data = bytes(50 * 2**20)
    bundle = sealed.seal_for_recipients(data, CERTIFICATES[:1])
    assert sealed.open_with_key(bundle, private(KEYS[0])) == data
    with pytest.raises(InputError, match="at most 64 MiB"):
        sealed.seal_for_recipients(bytes(65 * 2**20), CERTIFICATES[:1])
