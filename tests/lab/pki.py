"""Certificates for the lab's tests, good ones and each kind of bad one."""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH
SERVER = ExtendedKeyUsageOID.SERVER_AUTH
DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def thumbprint(self) -> str:
        return self.certificate.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303 - as IoT Hub names certificates

    def save(self, folder: Path, name: str, *chain: "Pair") -> tuple[Path, Path]:
        """Certificate (with the chain behind it) and key, as files."""
        cert, key = folder / f"{name}.pem", folder / f"{name}.key"
        cert.write_text(self.pem + "".join(one.pem for one in chain))
        key.write_bytes(
            self.key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return cert, key

    def issue(
        self,
        cn: str,
        *,
        ca: bool = False,
        purpose: ObjectIdentifier | None = CLIENT,
        start: dt.timedelta = -DAY,
        end: dt.timedelta = 30 * DAY,
    ) -> "Pair":
        return make(cn, issuer=self, ca=ca, purpose=purpose, start=start, end=end)


def make(
    cn: str,
    *,
    issuer: Pair | None = None,
    ca: bool = True,
    purpose: ObjectIdentifier | None = None,
    start: dt.timedelta = -DAY,
    end: dt.timedelta = 30 * DAY,
) -> Pair:
    """Self-signed without an issuer. Times are relative to now."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + start)
        .not_valid_after(now + end)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if purpose is not None and not ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    return Pair(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)
