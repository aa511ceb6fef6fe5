"""A signer: an authority's folder under ca/, and whether it can sign."""

from dataclasses import dataclass
from pathlib import Path

from thingmint.errors import InputError
from thingmint.pki import inspect
from thingmint.pki.inspect import Certificate
from thingmint.pki.token import TokenKey


@dataclass(frozen=True)
class Signer:
    """The article's names: ca/NAME.cnf and, in ca/NAME/, NAME.key, .csr, .pem, certs/, db/.

    Its key is a file, a file that is encrypted, or on a token that NAME.uri names. What opens the latter two is
    access.py's business.
    """

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
    def uri(self) -> Path:
        return self.folder / f"{self.name}.uri"

    @property
    def token(self) -> TokenKey | None:
        """Where its key is on a token: which one. Raises InputError where the file was edited badly."""
        if not self.uri.exists():
            return None
        return TokenKey.parse(self.uri.read_text(encoding="utf-8", errors="replace").strip(), str(self.uri))

    @property
    def encrypted(self) -> bool:
        try:
            return inspect.is_encrypted(self.key.read_bytes())
        except OSError:
            return False  # absent, or unreadable, which its reader explains

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

    @property
    def lost_database(self) -> bool:
        """It could sign or did, and nothing knows what. One whose key is elsewhere may have its certificate alone."""
        used = self.key.exists() or self.uri.exists() or (self.certs.is_dir() and any(self.certs.iterdir()))
        return used and self.certificate.exists() and not self.db.is_dir()

    def able_to_sign(self) -> Certificate:
        """Its certificate, after checking that key and dates allow it to sign: openssl itself signs when expired.

        Asks for no secret: whether a locked key is this certificate's is seen when access.py unlocks it. Raises
        InputError where the key is absent or another's, or the certificate is no CA's or out of its dates.
        """
        certificate = inspect.read_certificate(self.certificate)
        self._require_key()
        if self.token is None and not self.encrypted:
            self.require_own(inspect.read_key_digest(self.key))
        if not certificate.is_ca:
            raise InputError(f"{self.certificate} is no CA certificate: it may not sign others.")
        if certificate.expired:
            raise InputError(
                f"{self.certificate} expired on {certificate.not_after:%Y-%m-%d}: what it signs would be refused.",
                things_to_try=[f"move {self.folder} away and make a new authority"],
            )
        return certificate

    def _require_key(self) -> None:
        if self.token is not None:
            if self.key.exists():
                raise InputError(
                    f"{self.uri} names a key on a token, and {self.key} is there too: only one of them can be the key.",
                    things_to_try=["move the one away that is not in use"],
                )
            return
        if not self.key.exists():
            raise InputError(
                f"the private key {self.key} is not there, so {self.name} cannot sign.",
                things_to_try=["bring it back from where it is kept offline", "use the workspace that holds it"],
            )
        inspect.require_private(self.key)

    def require_own(self, public_key: str) -> None:
        """Raises InputError unless this is the key of its certificate, or of its CSR while there is none yet."""
        if self.certificate.exists():
            known, where = inspect.read_certificate(self.certificate).public_key, self.certificate
        elif self.csr.exists():
            known, where = inspect.read_request(self.csr).public_key, self.csr
        else:
            return
        if public_key != known:
            key = f"the key {self.token}" if self.token else self.key
            raise InputError(
                f"{key} does not belong to {where}: their public keys differ.",
                things_to_try=["bring back the key that made the certificate, or the certificate that this key made"],
            )
