"""What a modem answers to AT%KEYGEN, made with a key of the test's own: the maker's extensions, and one NULL too much."""

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

ALGORITHM = bytes.fromhex("300a06082a8648ce3d040302")
WITH_NULL = bytes.fromhex("300c06082a8648ce3d0403020500")
SAMPLE = (
    "MIIBCjCBrwIBADAvMS0wKwYDVQQDDCQ1MDM2MzE1NC0zOTMyLTQ4MzQtODAyYi0wOTA4NzE4MzE0ZGMwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC"
    "AATPLBN5-YWj13l6NWeqNFW8VjHOWZB5IfeaEyfMeiUk6V1NEMuYnEBwwrBdV94F5XdscCKDLtvtyKo4VTbnK-mPoB4wHAYJKoZIhvcNAQkOMQ8w"
    "DTALBgNVHQ8EBAMCA-gwDAYIKoZIzj0EAwIFAANIADBFAiAO2KmzF9Ms599GC3EueXhmp6AWwtD6c7bA_lhnNc7ZgQIhAMFJC99z_GfLJxCT2U8D"
    "t4MFCB_5wwFYSDcSg-ucfLHS"
)
"""The published one, base64url without its padding."""


def csr(name: str, key: ec.EllipticCurvePrivateKey | None = None, *more: x509.ExtensionType) -> bytes:
    """DER. Without `key`: of a new one, which nobody keeps, as in a modem. `more`: extensions that no modem asks for."""
    usages = x509.KeyUsage(
        digital_signature=True, content_commitment=True, key_encipherment=True, key_agreement=True,
        data_encipherment=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    builder = x509.CertificateSigningRequestBuilder(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    ).add_extension(usages, critical=False)
    for one in more:
        builder = builder.add_extension(one, critical=True)
    made = builder.sign(key or ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return with_null(made.public_bytes(Encoding.DER), made.tbs_certrequest_bytes)


def with_null(der: bytes, signed: bytes) -> bytes:
    """The algorithm after what is signed, as modems write it. The whole is of 128 to 65533 bytes."""
    content = signed + der.partition(signed)[2].replace(ALGORITHM, WITH_NULL, 1)
    size = len(content)
    return (b"\x30\x81" + bytes([size]) if size < 256 else b"\x30\x82" + size.to_bytes(2)) + content
