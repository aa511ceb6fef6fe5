"""A signer: an authority's folder under ca/, and whether it can sign."""

from dataclasses import dataclass
from pathlib import Path

from thingmint.errors import InputError
from thingmint.pki import inspect
from thingmint.pki.inspect import Certificate


@dataclass(frozen=True)
class Signer:
    """The article's names: ca/NAME.cnf and, in ca/NAME/, NAME.key, .csr, .pem, certs/, db/."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def cnf(self) -> Path:
        return self.folder.with_name(f"{self.name}.cnf")

    @property
    def key(self) -> Path:
        return self.folder / f"{self.name}.key"

    @property
    def csr(self) -> Path:
        return self.folder / f"{self.name}.csr"

    @property
    def certificate(self) -> Path:
        return self.folder / f"{self.name}.pem"

    @property
    def certs(self) -> Path:
        return self.folder / "certs"

    @property
    def quarantine(self) -> Path:
        return self.folder / "quarantine"

    @property
    def db(self) -> Path:
        return self.folder / "db"

    @property
    def index(self) -> Path:
        return self.db / "index.txt"

    @property
    def attributes(self) -> Path:
        return self.db / "index.txt.attr"

    @property
    def serial(self) -> Path:
        return self.db / "serial.txt"

    @property
    def ledger(self) -> Path:
        return self.db / "ledger.sqlite3"

    def certificate_of(self, serial: str) -> Path:
        """Where openssl keeps what it issued under this serial number (upper-case hex)."""
        return self.certs / f"{serial}.pem"

    @property
    def crl_number(self) -> Path:
        return self.db / "crlnumber.txt"

    @property
    def crl(self) -> Path:
        return self.folder / f"{self.name}.crl"

    def able_to_sign(self) -> Certificate:
        """Its certificate, after checking that key and dates allow it to sign: openssl itself signs when expired.

        Raises InputError where the key is absent or another's, or the certificate is no CA's or out of its dates.
        """
        certificate = inspect.read_certificate(self.certificate)
        if not self.key.exists():
            raise InputError(
                f"the private key {self.key} is not there, so {self.name} cannot sign.",
                things_to_try=["bring it back from where it is kept offline", "use the workspace that holds it"],
            )
        inspect.require_private(self.key)
        self.require_matching_key(certificate)
        if not certificate.is_ca:
            raise InputError(f"{self.certificate} is no CA certificate: it may not sign others.")
        if certificate.expired:
            raise InputError(
                f"{self.certificate} expired on {certificate.not_after:%Y-%m-%d}: what it signs would be refused.",
                things_to_try=[f"move {self.folder} away and make a new authority"],
            )
        return certificate

    def require_matching_key(self, certificate: Certificate) -> None:
        if inspect.read_key_digest(self.key) != certificate.public_key:
            raise InputError(
                f"{self.key} does not belong to {self.certificate}: their public keys differ.",
                things_to_try=["bring back the key that made the certificate, or the certificate that this key made"],
            )
