"""The modem's cryptography: P-256 keys, CSRs as the modem encodes them, and the COSE messages that attest them."""

import base64
import hashlib
import os
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

_NULL = b"\x05\x00"
_ECDSA_WITH_SHA256 = bytes.fromhex("06082a8648ce3d040302")
_SELF_DESCRIBED, _COSE_SIGN1 = 55799, 18  # CBOR tags
_ALGORITHM, _ES256 = 1, -7
_KEY_ID, _IDENTITY = 4, -2
_DEVICE_IDENTITY_MESSAGE, _CSR_MESSAGE = 1, 9
_NRF9160 = 2


def new_key() -> str:
    """A P-256 key, as PEM."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    return (
        ec.generate_private_key(ec.SECP256R1())
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        .decode()
    )


def public_pem(key: str) -> bytes:
    from cryptography.hazmat.primitives import serialization

    public = _load(key).public_key()
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def certificate_request(key: str, subject: str) -> bytes:
    """A CSR (DER) for "CN=…,O=…". Raises ValueError where that is no subject.

    The modem writes the signature's algorithm with a NULL parameter, against RFC 5758: some parsers refuse it.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    name = x509.Name(reversed(list(x509.Name.from_rfc4514_string(subject))))  # RFC 4514 begins with the last
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=True,
        key_agreement=True,
        data_encipherment=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    private = _load(key)
    builder = x509.CertificateSigningRequestBuilder().subject_name(name).add_extension(usage, critical=False)
    body = builder.sign(private, hashes.SHA256()).tbs_certrequest_bytes
    signature = private.sign(body, ec.ECDSA(hashes.SHA256()))
    algorithm = _der(0x30, _ECDSA_WITH_SHA256, _NULL)
    return _der(0x30, body, algorithm, _der(0x03, b"\x00", signature))


def keygen_answer(request: bytes, *, uuid: str, tag: int, identity: str, attestation: str = "whole") -> str:
    """What AT%KEYGEN answers: the CSR and a message, signed by the device's identity, that binds it to device and tag.

    `attestation`: missing, or wrong in its digest or its signature.
    """
    from cbor2 import CBORTag, dumps

    if attestation == "missing":
        return _base64url(request)
    digest = hashlib.sha256(request + b"!" if attestation == "wrong-digest" else request).digest()
    payload = dumps(CBORTag(_SELF_DESCRIBED, [_CSR_MESSAGE, UUID(uuid).bytes, dumps(tag), digest, os.urandom(16)]))
    signer = new_key() if attestation == "wrong-signature" else identity
    return f"{_base64url(request)}.{_base64url(_sign1(payload, signer))}"


def attestation_token(*, uuid: str, firmware_uuid: str, identity: str) -> str:
    """What AT%ATTESTTOKEN answers: the message, and a signature that does not repeat it."""
    from cbor2 import CBORTag, dumps

    parts = [_DEVICE_IDENTITY_MESSAGE, UUID(uuid).bytes, _NRF9160, UUID(firmware_uuid).bytes, os.urandom(16)]
    message = dumps(CBORTag(_SELF_DESCRIBED, parts))
    return f"{_base64url(message)}.{_base64url(_sign1(message, identity, detached=True))}"


def expiry(pem: bytes) -> str | None:
    """What AT%CERTEXPIRY answers of a certificate: serial number, start and end. None: it is no certificate."""
    from cryptography import x509

    try:
        certificate = x509.load_pem_x509_certificate(pem)
    except ValueError:
        return None
    number = certificate.serial_number
    serial = number.to_bytes(number.bit_length() // 8 + 1, "big").hex().upper()
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return f"{serial},{start:%Y%m%d%H%M%SZ},{end:%Y%m%d%H%M%SZ}"


def _sign1(payload: bytes, key: str, *, detached: bool = False) -> bytes:
    """COSE_Sign1 with ES256 (RFC 9052, section 4.2)."""
    from cbor2 import CBORTag, dumps
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    protected = dumps({_ALGORITHM: _ES256})
    signed = dumps(["Signature1", protected, b"", payload])
    r, s = utils.decode_dss_signature(_load(key).sign(signed, ec.ECDSA(hashes.SHA256())))
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    content: list[Any] = [protected, {_KEY_ID: dumps(_IDENTITY)}, None if detached else payload, signature]
    return bytes(dumps(CBORTag(_COSE_SIGN1, content)))


def _load(key: str) -> "EllipticCurvePrivateKey":
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    loaded = load_pem_private_key(key.encode(), password=None)
    assert isinstance(loaded, ec.EllipticCurvePrivateKey)  # noqa: S101 - new_key made it
    return loaded


def _der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
