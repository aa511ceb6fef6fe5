"""Certificate checks: what may be uploaded, what proves possession, who issued whom."""

import datetime as dt
import ssl
from collections.abc import Iterable

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

LONGEST_CHAIN = 10
SMALLEST_RSA = 2048  # what OpenSSL wants of a chain at its usual security level
_PEM_MARK = b"-----BEGIN CERTIFICATE-----"
_UNREADABLE = (ValueError, OverflowError, UnsupportedAlgorithm, x509.InvalidVersion)


class CertificateProblem(Exception):  # noqa: N818
    """Why a certificate is not accepted, as a clause: "it …"."""


def parse(value: str) -> x509.Certificate:
    """PEM text, base64 of PEM, or base64 of DER: the SDK passes on whatever its caller had."""
    import base64
    import binascii

    data = value.encode()
    if _PEM_MARK not in data:
        try:
            data = base64.b64decode("".join(value.split()), validate=True)
        except (binascii.Error, ValueError):
            raise CertificateProblem("it is neither PEM nor base64") from None
    read = x509.load_pem_x509_certificate if _PEM_MARK in data else x509.load_der_x509_certificate
    try:
        certificate = read(data)
        _read_whole(certificate)
        # OpenSSL judges devices by it: what it cannot read would keep all of them out, once it is trusted.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cadata=der(certificate))
    except (*_UNREADABLE, ssl.SSLError):
        raise CertificateProblem("it does not parse as an X.509 certificate") from None
    return certificate


def load(der: bytes) -> x509.Certificate | None:
    """None where cryptography, stricter than OpenSSL, does not accept it."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        _read_whole(certificate)
    except _UNREADABLE:
        return None
    return certificate


def _read_whole(certificate: x509.Certificate) -> None:
    """cryptography reads each field when it is asked for: whoever looks later finds them all readable."""
    for name in (certificate.subject, certificate.issuer):
        name.rfc4514_string()
    _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc, certificate.serial_number
    certificate.public_key()


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def thumbprint(certificate: x509.Certificate) -> str:
    """SHA-1 in upper-case hex: what IoT Hub calls a thumbprint."""
    return certificate.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303 - a name, not a protection


def thumbprints(certificate: x509.Certificate) -> frozenset[str]:
    """A device may be registered with either of the two."""
    return frozenset({thumbprint(certificate), certificate.fingerprint(hashes.SHA256()).hex().upper()})


def common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[-1].value) if found else ""


def require_ca(certificate: x509.Certificate, now: dt.datetime) -> None:
    """Raises CertificateProblem unless this is a CA's certificate, in date, with a key that TLS accepts."""
    constraints = _constraints(certificate)
    if constraints is None:
        raise CertificateProblem("it is no CA certificate: it has no basicConstraints")
    if not constraints.ca:
        raise CertificateProblem("it is no CA certificate: its basicConstraints say CA:FALSE")
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < SMALLEST_RSA:
        raise CertificateProblem(f"its RSA key has {key.key_size} bits, and {SMALLEST_RSA} are the least")
    _require_in_date(certificate, now)


def require_proof(proof: x509.Certificate, ca: x509.Certificate, code: str, now: dt.datetime) -> None:
    """Raises CertificateProblem unless `proof` carries the code and `ca` itself signed it."""
    if proof.issuer != ca.subject:
        raise CertificateProblem(
            f"it was issued by {proof.issuer.rfc4514_string()!r}, not by {ca.subject.rfc4514_string()!r}"
        )
    if not issued(proof, ca):
        raise CertificateProblem(f"its signature is not by the key of {ca.subject.rfc4514_string()!r}")
    if common_name(proof.subject) != code:
        raise CertificateProblem("its common name is not the verification code")
    _require_in_date(proof, now)


def issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Name and signature; other kinds of key than a certificate can be signed with count as no."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def issuers(leaf: x509.Certificate, pool: Iterable[x509.Certificate]) -> list[x509.Certificate]:
    """The path upward from `leaf` through `pool`, as far as it goes."""
    rest = list(pool)
    path: list[x509.Certificate] = []
    current = leaf
    while found := next((candidate for candidate in rest if issued(current, candidate)), None):
        path.append(found)
        rest = [candidate for candidate in rest if candidate != found]
        current = found
    return path


def standing_above(
    leaf: x509.Certificate, pool: Iterable[x509.Certificate], now: dt.datetime
) -> list[x509.Certificate]:
    """All that the way upward from `leaf` may lead through, the nearest first: CAs, in date, and not too far above it."""
    rest, found, reached = list(pool), [], [leaf]
    for between in range(LONGEST_CHAIN):
        reached = [one for one in rest if may_issue(one, between, now) and any(issued(below, one) for below in reached)]
        rest = [one for one in rest if one not in reached]
        found += reached
    return found


def may_issue(certificate: x509.Certificate, between: int, now: dt.datetime) -> bool:
    try:
        require_issuer(certificate, between, now)
    except CertificateProblem:
        return False
    return True


def require_issuer(certificate: x509.Certificate, between: int, now: dt.datetime) -> None:
    """Raises CertificateProblem unless it is a CA's that may have so many CAs between it and a device."""
    require_ca(certificate, now)
    if not _may_sign(certificate):
        raise CertificateProblem("its keyUsage does not allow it to sign certificates")
    constraints = _constraints(certificate)
    longest = constraints.path_length if constraints else None
    if longest is not None and between > longest:
        raise CertificateProblem(f"its pathlen is {longest}, and {between} CAs are below it")


def _may_sign(certificate: x509.Certificate) -> bool:
    """RFC 5280, 4.2.1.3; without a keyUsage nothing is forbidden."""
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        return True


def _constraints(certificate: x509.Certificate) -> x509.BasicConstraints | None:
    """None where there are none, or none that can be read."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        return None


def _require_in_date(certificate: x509.Certificate, now: dt.datetime) -> None:
    if now < certificate.not_valid_before_utc:
        raise CertificateProblem(f"it is valid only from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M:%S} UTC on")
    if now > certificate.not_valid_after_utc:
        raise CertificateProblem(f"it expired on {certificate.not_valid_after_utc:%Y-%m-%d %H:%M:%S} UTC")
