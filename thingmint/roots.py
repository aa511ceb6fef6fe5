"""Server roots: which certificates a device has to trust to know its hub, and whether one that a user offers will do.

Azure's two are taken from certifi, Mozilla's list as a package, by the digest that is pinned here: a name proves nothing.
"""

import hashlib
import re
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from thingmint.errors import InputError, ToolError

if TYPE_CHECKING:
    from cryptography import x509

_G2: Final = ("DigiCert Global Root G2", "cb3ccbb76031e5e0138f8dd39a23f9de47ffc35e43c1144cea27d46a5ab1cb5f")
_MICROSOFT: Final = (
    "Microsoft RSA Root Certificate Authority 2017",
    "c741f70f4b2a8d88bf2e71c14122ef53ef10eba0cfa5e64cfa20f418853073e0",
)
_BALTIMORE: Final = "Baltimore CyberTrust Root"
_BLOCK = re.compile(rb"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")


@dataclass(frozen=True)
class ServerRoot:
    """`pem` is canonical: LF, one trailing newline. `sha256` is of the DER, hex: the fingerprint that is published."""

    name: str
    pem: bytes
    sha256: str


@dataclass(frozen=True)
class ServerRoots:
    """What Azure's services have their certificates from, and what they may change to: a device should have both."""

    primary: ServerRoot
    secondary: ServerRoot


def server_roots() -> ServerRoots:
    """DigiCert Global Root G2 and Microsoft's RSA root of 2017. Raises ToolError where certifi has lost one."""
    import certifi

    path = Path(certifi.where())
    found = {}
    for block in _BLOCK.findall(path.read_bytes()):
        der = ssl.PEM_cert_to_DER_cert(block.decode("ascii"))
        found[hashlib.sha256(der).hexdigest()] = der
    return ServerRoots(*(_root(*one, found, path) for one in (_G2, _MICROSOFT)))


def _root(name: str, sha256: str, found: dict[str, bytes], path: Path) -> ServerRoot:
    if sha256 not in found:
        raise ToolError(
            f"{path} does not hold the server root {name} (SHA-256 {sha256})."
            + (" Mozilla drops it for TLS on 2029-04-15, and certifi with it." if name == _G2[0] else ""),
            things_to_try=[
                "see which roots Azure IoT Hub needs by now, and update thingmint",
                "or name the root in a file of your own, where a task takes one",
            ],
        )
    return ServerRoot(name, ssl.DER_cert_to_PEM_cert(found[sha256]).encode("ascii"), sha256)


def judge(pem: bytes, where: str) -> list[str]:
    """What is doubtful about the file `where`, offered as a server root. Raises InputError where it cannot be one."""
    if b"PRIVATE KEY" in pem:
        raise InputError(
            f"{where} holds a private key: a server root is a certificate alone.",
            things_to_try=[
                "name the file of the root's certificate",
                "see who has read that key: it is not shown here",
            ],
        )
    certificate = _only(pem, where)
    name = certificate.subject.rfc4514_string()
    if f"CN={_BALTIMORE}" in name.split(","):
        raise InputError(
            f"{where} is {_BALTIMORE}, which expired on 2025-05-12: no Azure service has a certificate from it any more.",
            things_to_try=[f"use {_G2[0]}, which all of them moved to"],
        )
    if not _is_ca(certificate):
        raise InputError(
            f"{where} is no CA certificate, but that of {name!r}: a device that trusts it would trust one server's "
            "certificate, until that is replaced.",
            things_to_try=["name the file of the root that stands above it"],
        )
    if certificate.not_valid_after_utc <= datetime.now(UTC):
        raise InputError(
            f"{where} ({name}) expired on {certificate.not_valid_after_utc:%Y-%m-%d}: nothing that it vouches for is accepted.",
            things_to_try=["name the file of a root that is in date"],
        )
    if _self_signed(certificate):
        return []
    above = certificate.issuer.rfc4514_string()
    return [
        f"{where} ({name}) is no root, but an issuing CA below {above!r}: Azure replaces those, and cuts off who trusts one alone"
    ]


def _only(pem: bytes, where: str) -> "x509.Certificate":
    from cryptography import x509

    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise InputError(
            f"{where} holds no readable certificate in PEM.",
            things_to_try=["from DER: openssl x509 -inform DER -in FILE -out FILE.pem"],
        ) from None
    if len(found) > 1:
        raise InputError(
            f"{where} holds {len(found)} certificates: a server root is one.",
            things_to_try=["put the root, the one that is issued by itself, into a file of its own"],
        )
    return found[0]


def _is_ca(certificate: "x509.Certificate") -> bool:
    from cryptography import x509

    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _self_signed(certificate: "x509.Certificate") -> bool:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
