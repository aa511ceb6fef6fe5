"""Certificates for the tests, good ones and each kind of bad one; what openssl makes of them is tested elsewhere."""

import datetime as dt
from collections.abc import Sequence
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
class Paper:
    """A certificate and its key, and the paper that issued it unless it signed itself."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    issuer: "Paper | None"

    @property
    def pem(self) -> bytes:
        """The certificate alone."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The private key, not encrypted."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def thumbprint(self) -> str:
        """The SHA-1 by which IoT Hub names certificates."""
        return self.certificate.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303 - the hub's choice

    @property
    def sha256(self) -> str:
        """The other name, by which the provisioning service tells the hub of a device's certificate."""
        return self.certificate.fingerprint(hashes.SHA256()).hex().upper()

    @property
    def chain(self) -> bytes:
        """The certificate and those above it, the root left out."""
        return self.pem + (self.issuer.chain if self.issuer and self.issuer.issuer else b"")

    def issue(
        self,
        cn: str,
        *,
        ca: bool = False,
        purpose: ObjectIdentifier | None = CLIENT,
        host: str = "",
        start: dt.timedelta = -DAY,
        end: dt.timedelta = 30 * DAY,
        key_ids: bool = True,
        names: Sequence[x509.GeneralName] = (),
    ) -> "Paper":
        """A certificate signed by this one, a client's unless told otherwise."""
        more = [*names, *([x509.DNSName(host)] if host else [])]
        return make(cn, issuer=self, ca=ca, purpose=purpose, names=more, start=start, end=end, key_ids=key_ids)

    def save(self, folder: Path, name: str, *chain: "Paper") -> tuple[Path, Path]:
        """Certificate (with the chain behind it) and key, as files."""
        cert, key = folder / f"{name}.pem", folder / f"{name}.key"
        cert.write_bytes(b"".join(one.pem for one in (self, *chain)))
        key.write_bytes(self.key_pem)
        return cert, key


def make(
    cn: str,
    *,
    issuer: Paper | None = None,
    ca: bool = True,
    purpose: ObjectIdentifier | None = None,
    names: Sequence[x509.GeneralName] = (),
    constraints: x509.NameConstraints | None = None,
    start: dt.timedelta = -DAY,
    end: dt.timedelta = 30 * DAY,
    key_ids: bool = True,
    key: ec.EllipticCurvePrivateKey | None = None,
) -> Paper:
    """Self-signed without an issuer; times count from now; without key ids only the signature tells namesakes apart."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    signer = issuer.key if issuer else key
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
    if key_ids:
        own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        above = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        builder = builder.add_extension(own, critical=False).add_extension(above, critical=False)
    if ca:
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = builder.add_extension(usage, critical=True)
    elif purpose is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if constraints:
        builder = builder.add_extension(constraints, critical=True)
    return Paper(builder.sign(signer, hashes.SHA256()), key, issuer)
