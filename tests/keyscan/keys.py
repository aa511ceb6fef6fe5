"""Keys of every kind for the tests, made anew each time, as openssl and ssh-keygen write them."""

import functools

from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

PEM, DER = Encoding.PEM, Encoding.DER
PKCS8, TRADITIONAL, OPENSSH = PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL, PrivateFormat.OpenSSH
PLAIN, SECRET = NoEncryption(), BestAvailableEncryption(b"passphrase")


@functools.cache
def every_kind() -> dict[str, tuple[bytes, str]]:
    """A file's name → what stands in it, and what a finding calls it."""
    rsa_key = rsa.generate_private_key(65537, 2048)
    ec_key = ec.generate_private_key(ec.SECP256R1())
    ed_key = ed25519.Ed25519PrivateKey.generate()
    dsa_key = dsa.generate_private_key(1024)  # noqa: S505 - quickly made
    return {
        "rsa.pem": (rsa_key.private_bytes(PEM, PKCS8, PLAIN), "PRIVATE KEY (PEM)"),
        "ec.pem": (ec_key.private_bytes(PEM, PKCS8, PLAIN), "PRIVATE KEY (PEM)"),
        "ed25519.pem": (ed_key.private_bytes(PEM, PKCS8, PLAIN), "PRIVATE KEY (PEM)"),
        "encrypted.pem": (ec_key.private_bytes(PEM, PKCS8, SECRET), "ENCRYPTED PRIVATE KEY (PEM)"),
        "pkcs1.pem": (rsa_key.private_bytes(PEM, TRADITIONAL, PLAIN), "RSA PRIVATE KEY (PEM)"),
        "pkcs1-encrypted.pem": (rsa_key.private_bytes(PEM, TRADITIONAL, SECRET), "RSA PRIVATE KEY (PEM)"),
        "sec1.pem": (ec_key.private_bytes(PEM, TRADITIONAL, PLAIN), "EC PRIVATE KEY (PEM)"),
        "id_ed25519": (ed_key.private_bytes(PEM, OPENSSH, PLAIN), "OPENSSH PRIVATE KEY (PEM)"),
        "id_rsa": (rsa_key.private_bytes(PEM, OPENSSH, PLAIN), "OPENSSH PRIVATE KEY (PEM)"),
        "rsa.der": (rsa_key.private_bytes(DER, PKCS8, PLAIN), "PKCS#8 private key (DER)"),
        "ec.der": (ec_key.private_bytes(DER, PKCS8, PLAIN), "PKCS#8 private key (DER)"),
        "ed25519.der": (ed_key.private_bytes(DER, PKCS8, PLAIN), "PKCS#8 private key (DER)"),
        "encrypted.der": (rsa_key.private_bytes(DER, PKCS8, SECRET), "encrypted PKCS#8 private key (DER)"),
        "pkcs1.der": (rsa_key.private_bytes(DER, TRADITIONAL, PLAIN), "RSA private key (PKCS#1, DER)"),
        "sec1.der": (ec_key.private_bytes(DER, TRADITIONAL, PLAIN), "EC private key (SEC1, DER)"),
        "dsa.der": (dsa_key.private_bytes(DER, TRADITIONAL, PLAIN), "DSA private key (DER)"),
        "both.pfx": (pkcs12.serialize_key_and_certificates(b"me", ec_key, None, None, SECRET), "PKCS#12 file"),
    }


def key(name: str) -> bytes:
    return every_kind()[name][0]
