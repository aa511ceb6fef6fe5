"""A private key and the CSR for it, by the article's `openssl req`: made once, never overwritten."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from thingmint import files, openssl
from thingmint.errors import InputError
from thingmint.pki import inspect
from thingmint.pki.bench import Bench
from thingmint.pki.inspect import SigningRequest
from thingmint.workspace import Workspace

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes


@dataclass(frozen=True)
class KeyWish:
    """`asked` stood on the command line (None: it did not), `default` is the configuration's."""

    asked: str | None
    default: str


@dataclass(frozen=True)
class RequestWish:
    """What the CSR says, and the cnf that its line names."""

    cnf: str
    common_name: str
    extensions: tuple[str, ...]
    new: bool = False


def make(bench: Bench, *, key: Path, csr: Path, spec: KeyWish, request: RequestWish) -> None:
    """Make both, or finish what an interrupted run began, or leave alone what is complete.

    The key is staged with mode 0600 (openssl keeps the mode of a file it finds) and renamed before its CSR, so that a
    key that stands at its name is whole. Raises InputError where what exists contradicts the wish.
    """
    workspace = bench.workspace
    require_no_orphan(workspace, key, csr)
    if not workspace.exists(key):
        staged_key = workspace.stage(key, mode=files.SECRET)
        staged_csr = workspace.stage(csr, mode=files.PUBLIC)
        bench.openssl(
            *openssl.req_new_key(
                cnf=request.cnf,
                key_spec=spec.asked or spec.default,
                keyout=workspace.from_ca(staged_key),
                out=workspace.from_ca(staged_csr),
                common_name=request.common_name,
                extensions=request.extensions,
                new=request.new,
            )
        )
        if not bench.session.dry:
            _require_pair(staged_key, staged_csr)
        workspace.publish(key)
        workspace.publish(csr)
    elif not workspace.exists(csr):
        staged_csr = workspace.stage(csr, mode=files.PUBLIC)
        bench.openssl(
            *openssl.req_existing_key(
                cnf=request.cnf,
                key=workspace.from_ca(key),
                out=workspace.from_ca(staged_csr),
                common_name=request.common_name,
                extensions=request.extensions,
            )
        )
        workspace.publish(csr)
    if not bench.session.dry:
        require_agreement(key, csr, spec.asked)


@dataclass(frozen=True)
class Pair:
    """A private key and the CSR for it, PEM, on their way to their files."""

    key_pem: bytes = field(repr=False)
    csr_pem: bytes
    public_key: str


def in_process(
    existing: Path | None, spec: str, common_name: str, extensions: "list[tuple[x509.ExtensionType, bool]]"
) -> Pair:
    """The same without openssl: a CSR for the key at `existing`, or for a new one of the kind `spec`."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import NameOID

    if existing:
        inspect.require_private(existing)
    key = inspect.read_key(existing) if existing else _generate(spec)
    builder = x509.CertificateSigningRequestBuilder(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]),
        [x509.Extension(value.oid, critical, value) for value, critical in extensions],
    )
    return Pair(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM),
        inspect.public_key_digest(key.public_key()),
    )


def _generate(spec: str) -> "CertificateIssuerPrivateKeyTypes":
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if spec.startswith("rsa:"):
        return rsa.generate_private_key(65537, int(spec.removeprefix("rsa:")))
    return ec.generate_private_key({"ec:P-256": ec.SECP256R1()}[spec])


def require_no_orphan(workspace: Workspace, key: Path, csr: Path) -> None:
    """Raises InputError where a CSR has lost its key: a new key would make two identities of one name."""
    if workspace.exists(csr) and not workspace.exists(key):
        raise InputError(
            f"the CSR {csr} is there, but its private key {key} is not.",
            things_to_try=["bring the key back", f"move {csr} away to make a new key and CSR"],
        )


def require_agreement(key: Path, csr: Path, asked: str | None) -> None:
    """Raises InputError unless both belong together and are of the kind that was asked for (None: any)."""
    _require_pair(key, csr)
    require_spec(asked, str(key), inspect.read_request(csr))


def require_spec(asked: str | None, where: str, csr: SigningRequest) -> None:
    """Raises InputError where the key that exists is of another kind than asked for."""
    if asked is not None and asked != csr.key:
        raise InputError(
            f"{where} exists as {csr.key!r}, and --key {asked!r} asks for another.",
            things_to_try=["leave --key out to use the key that exists"],
        )


def _require_pair(key: Path, csr: Path) -> None:
    if inspect.read_key_digest(key) != inspect.read_request(csr).public_key:
        raise InputError(
            f"the CSR {csr} is not for the key {key}.",
            things_to_try=[f"move {csr} away and run this again: a CSR for the key is made"],
        )
