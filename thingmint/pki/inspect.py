"""Certificates, CSRs and keys as values: read in process, where a spawned `openssl x509` costs 25 ms each."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from thingmint import files
from thingmint.errors import InputError, ToolError, explain_os_error
from thingmint.pki import encoding
from thingmint.shell import quote

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import (
        CertificateIssuerPrivateKeyTypes,
        CertificatePublicKeyTypes,
    )


@dataclass(frozen=True)
class Certificate:
    """What thingmint asks of a certificate. `pem` is canonical: no text dump, LF, one trailing newline."""

    pem: bytes = field(repr=False)
    common_name: str
    serial: str  # upper-case hex of even length, as openssl names files and rows
    not_before: datetime  # UTC
    not_after: datetime  # UTC
    key: str  # rsa:2048, ec:P-256, …
    public_key: str  # SHA-256 of the SubjectPublicKeyInfo, hex
    thumbprint: str  # SHA-1 of the DER in upper-case hex: what Azure shows
    parsed: "x509.Certificate" = field(repr=False)

    @property
    def issuer_name(self) -> str:
        return _common_name(self.parsed.issuer)

    @property
    def is_ca(self) -> bool:
        return _is_ca(self.parsed)

    @property
    def lifetime_days(self) -> int:
        return round((self.not_after - self.not_before).total_seconds() / 86400)

    @property
    def expired(self) -> bool:
        return self.not_after <= datetime.now(UTC)

    def issued_by(self, issuer: "Certificate") -> bool:
        """Whether the names match and `issuer`'s key made the signature. Dates are the caller's question."""
        from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

        try:
            self.parsed.verify_directly_issued_by(issuer.parsed)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            return False
        return True


@dataclass(frozen=True)
class SigningRequest:
    """A CSR (RFC 2986) whose signature was checked. `der` is as it came, which a modem's attestation has a digest of."""

    common_name: str
    subject: str  # RFC 4514
    key: str
    public_key: str
    der: bytes = field(repr=False)
    parsed: "x509.CertificateSigningRequest" = field(repr=False)

    @property
    def pem(self) -> bytes:
        """Canonical, as a certificate's; what is inside is as it came."""
        return encoding.request_to_pem(self.der)


def read_certificate(path: Path) -> Certificate:
    """Raises ToolError where the file is missing or holds no certificate. Text before BEGIN is skipped."""
    return read_chain(path)[0]


def read_chain(path: Path) -> tuple[Certificate, ...]:
    """All certificates of a file, in its order, at least one. Raises ToolError like `read_certificate`."""
    try:
        return parse_chain(path.read_bytes(), where=str(path))
    except PermissionError as error:
        raise explain_os_error(error) from None
    except OSError as error:
        raise ToolError(f"the certificate {path} cannot be read: {error.strerror}.") from None


def parse_chain(pem: bytes, *, where: str) -> tuple[Certificate, ...]:
    """The same, of what was read already."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        return tuple(_certificate(one) for one in x509.load_pem_x509_certificates(pem))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ToolError(
            f"{where} holds no readable certificate.", detail=_reason(error), things_to_try=["restore it from a backup"]
        ) from None


def _reason(error: Exception) -> str:
    """The library's words without the address of its questions and answers, which are for programmers."""
    return re.sub(r" See https://\S+ for more details\.", "", str(error))


def _certificate(certificate: "x509.Certificate") -> Certificate:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding

    serial = f"{certificate.serial_number:X}"
    return Certificate(
        pem=certificate.public_bytes(Encoding.PEM),
        common_name=_common_name(certificate.subject),
        serial=serial if len(serial) % 2 == 0 else f"0{serial}",
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        key=_key_text(certificate.public_key()),
        public_key=public_key_digest(certificate.public_key()),
        thumbprint=certificate.fingerprint(hashes.SHA1()).hex().upper(),  # noqa: S303 - a name, not a proof
        parsed=certificate,
    )


def read_request(path: Path) -> SigningRequest:
    """Raises ToolError where the CSR is missing, unreadable, or not signed by the key that it carries."""
    cure = [f"move {path} away and run this again: it is made anew"]
    try:
        return parse_request(path.read_bytes(), where=str(path), things_to_try=cure)
    except PermissionError as error:
        raise explain_os_error(error) from None
    except OSError as error:
        raise ToolError(f"the CSR {path} cannot be read: {error.strerror}.") from None


def parse_request(pem: bytes, *, where: str, things_to_try: Sequence[str] = ()) -> SigningRequest:
    """The same, of what was read already, and with other advice."""
    try:
        der = encoding.request_from_pem(pem)
    except ValueError as error:
        raise _no_request(where, error, things_to_try) from None
    return parse_request_der(der, where=where, things_to_try=things_to_try)


def parse_request_der(der: bytes, *, where: str, things_to_try: Sequence[str] = ()) -> SigningRequest:
    """The same, of what a modem answers: it writes one NULL too much, which is overlooked, and nothing else is."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        request = x509.load_der_x509_csr(encoding.without_null(der))
        proven = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _no_request(where, error, things_to_try) from None
    if not proven:
        raise ToolError(
            f"the signature of the CSR in {where} does not match its public key.", things_to_try=things_to_try
        )
    return SigningRequest(
        _common_name(request.subject),
        request.subject.rfc4514_string(),
        _key_text(request.public_key()),
        public_key_digest(request.public_key()),
        der,
        request,
    )


def _no_request(where: str, error: Exception, things_to_try: Sequence[str]) -> ToolError:
    return ToolError(f"{where} holds no readable CSR.", detail=_reason(error), things_to_try=things_to_try)


def read_key_digest(path: Path) -> str:
    """The public half's digest, to compare with a certificate's or a CSR's. The key itself goes nowhere."""
    return public_key_digest(read_key(path).public_key())


def read_key(path: Path) -> "CertificateIssuerPrivateKeyTypes":
    """A private key that can sign. Raises ToolError, whose text shows nothing of it."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return load_pem_private_key(path.read_bytes(), password=None)  # type: ignore[return-value] # not X25519, DH
    except TypeError:  # "password was not given"
        raise ToolError(
            f"{path} is encrypted; an authority's key may be, a device's not.",
            things_to_try=[
                f"decrypt it: {quote(['openssl', 'pkey', '-in', str(path), '-out', f'{path}.new'])}, then give that its name"
            ],
        ) from None
    except PermissionError as error:
        raise explain_os_error(error) from None
    except OSError as error:
        raise ToolError(f"the private key {path} cannot be read: {error.strerror}.") from None
    except ValueError:  # the library's own text is left out: it may quote the file
        raise ToolError(f"{path} holds no readable private key.", things_to_try=["restore it from a backup"]) from None


def is_encrypted(pem: bytes) -> bool:
    """Whether a private key's header says so: PKCS#8, or the older form that `openssl rsa -aes256` writes."""
    return b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in pem or b"Proc-Type: 4,ENCRYPTED" in pem


def read_encrypted_key_digest(path: Path, passphrase: str) -> str | None:
    """The public half's digest; None where the passphrase is wrong. Raises ToolError where the file is damaged."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    pem = path.read_bytes()
    try:
        load_pem_private_key(pem, password=None)
    except TypeError:
        pass  # "password was not given": the file can be read that far
    except ValueError:
        raise ToolError(
            f"{path} holds no readable encrypted private key.", things_to_try=["restore it from a backup"]
        ) from None
    try:
        key = load_pem_private_key(pem, password=passphrase.encode())
    except ValueError:
        return None
    return public_key_digest(key.public_key())  # type: ignore[arg-type]  # as above


def read_public_key_digest(pem: bytes, where: str) -> str:
    """Of a public key that a token gave away. Raises ToolError."""
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        return public_key_digest(load_pem_public_key(pem))  # type: ignore[arg-type]  # as above
    except ValueError:
        raise ToolError(f"the public key of {where} cannot be read.") from None


def require_private(path: Path) -> None:
    """Raises InputError where others than the owner may read this key: it may have been read already."""
    if path.is_file() and files.open_to_others(path):  # of anything else, the reader says what it is
        raise InputError(
            f"the private key {path} may be read by others (mode {path.stat().st_mode & 0o777:o}).",
            things_to_try=[f"if nobody has: chmod 600 {path}", "if somebody may have: replace it"],
        )


def _common_name(name: "x509.Name") -> str:
    from cryptography.x509.oid import NameOID

    values = [str(attribute.value) for attribute in name.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return values[0] if len(values) == 1 else ""


def _key_text(key: "CertificatePublicKeyTypes") -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if isinstance(key, rsa.RSAPublicKey):
        return f"rsa:{key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return {"secp256r1": "ec:P-256", "secp384r1": "ec:P-384"}.get(key.curve.name, f"ec:{key.curve.name}")
    return type(key).__name__


def public_key_digest(key: "CertificatePublicKeyTypes") -> str:
    """SHA-256 of the SubjectPublicKeyInfo (RFC 5280 4.1), hex: what certificates, CSRs and keys are compared by."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _is_ca(certificate: "x509.Certificate") -> bool:
    from cryptography import x509

    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
