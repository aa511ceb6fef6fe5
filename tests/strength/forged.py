"""Certificates that no honest CA makes: changed in their bytes, and signed all the same."""

import datetime as dt
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID, ObjectIdentifier

from tests.paper import CLIENT, DAY, Paper

_ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
NO_TEXT = b"\xc3\x28"
"""Bytes that are no UTF-8, for a name of two letters."""


def resigned(paper: Paper, key: ec.EllipticCurvePrivateKey, old: bytes, new: bytes) -> bytes:
    """DER of the certificate with other bytes of the same length in it, signed by `key`."""
    inner = paper.certificate.tbs_certificate_bytes
    assert old in inner
    assert len(old) == len(new)
    inner = inner.replace(old, new)
    signature = key.sign(inner, ec.ECDSA(hashes.SHA256()))
    whole = inner + _ECDSA_SHA256 + bytes((3, len(signature) + 1, 0)) + signature
    return b"\x30\x82" + len(whole).to_bytes(2, "big") + whole


def pem(der: bytes) -> bytes:
    import base64

    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"


Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True)
class Odd:
    """What is asked of a certificate; each field may be as no CA would have it."""

    names: tuple[str, ...] = ("odd",)
    serial: int = 7
    ca: bool | None = True  # None: no basicConstraints
    pathlen: int | None = None
    signs: bool | None = None  # what its keyUsage says of certificates, if it has one
    critical: bool = False  # an extension that nobody knows
    hosts: int = 0
    start: dt.timedelta = -DAY
    end: dt.timedelta = DAY
    purposes: tuple[ObjectIdentifier, ...] = (CLIENT,)
    curve: ec.EllipticCurve = field(default_factory=ec.SECP256R1)


def made(
    odd: Odd, issuer: x509.Name | None, signer: Key | None, key: Key | None = None
) -> tuple[x509.Certificate, Key]:
    """Signed by itself where there is no signer."""
    key = key or ec.generate_private_key(odd.curve)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name) for name in odd.names])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer)
        .public_key(key.public_key())
        .serial_number(odd.serial)
        .not_valid_before(now + odd.start)
        .not_valid_after(now + odd.end)
    )
    if odd.ca is not None:
        pathlen = odd.pathlen if odd.ca else None
        builder = builder.add_extension(x509.BasicConstraints(ca=odd.ca, path_length=pathlen), critical=True)
    if odd.signs is not None:
        others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
        never = dict.fromkeys((*others, "crl_sign", "encipher_only", "decipher_only"), False)
        usage = x509.KeyUsage(digital_signature=True, key_cert_sign=odd.signs, **never)
        builder = builder.add_extension(usage, critical=True)
    if odd.critical:
        unknown = x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"\x05\x00")
        builder = builder.add_extension(unknown, critical=True)
    if odd.hosts:
        names = [x509.DNSName(f"host-{number}.example") for number in range(odd.hosts)]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if odd.purposes and odd.ca is not True:
        builder = builder.add_extension(x509.ExtendedKeyUsage(odd.purposes), critical=False)
    by = signer or key
    return builder.sign(by, None if isinstance(by, ed25519.Ed25519PrivateKey) else hashes.SHA256()), key


def key_pem(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
