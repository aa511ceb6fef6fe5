"""What openssl claims to have issued, read back: each certificate against its request, terms and issuer."""

from collections.abc import Sequence

from thingmint import files, openssl
from thingmint.errors import CheckError
from thingmint.pki import inspect, profile
from thingmint.pki.bench import explained
from thingmint.pki.inspect import Certificate
from thingmint.pki.signer import Signer
from thingmint.pki.signing.order import Keys, Request, Terms
from thingmint.pki.store.index import Row
from thingmint.shell import Shell
from thingmint.workspace import Workspace

_MOST_PER_VERIFY = 200  # a command line has its limits


def read_back(
    signer: Signer,
    rows: Sequence[Row],
    keys: Keys,
    terms: Terms,
    issuer: Certificate | None,
    *,
    hardened: bool,
) -> dict[Request, Certificate]:
    """Each request's certificate, found by its public key among the new rows: positions mean nothing. Durable after."""
    try:
        issued = {certificate.public_key: certificate for certificate in (_read_new(signer, row) for row in rows)}
        files.sync_all([signer.certificate_of(row.serial) for row in rows])
    except OSError as error:
        raise CheckError(f"what openssl wrote cannot be read back ({error}).") from None
    result = {}
    for request, key in keys.items():
        certificate = issued.get(key)
        if certificate is None:
            raise CheckError(f"openssl issued no certificate for the key of {request.csr}.")
        require_as_asked(certificate, request, terms, issuer or certificate, hardened=hardened)
        result[request] = certificate
    return result


def _read_new(signer: Signer, row: Row) -> Certificate:
    path = signer.certificate_of(row.serial)
    if not path.exists() or path.stat().st_size == 0:
        raise CheckError(f"openssl recorded {row.subject}, but its certificate {path} is missing or empty.")
    certificate = inspect.read_certificate(path)
    if certificate.serial != row.serial:
        raise CheckError(f"the certificate {path} has the serial number {certificate.serial}.")
    return certificate


def require_as_asked(
    certificate: Certificate, request: Request, terms: Terms, issuer: Certificate, *, hardened: bool
) -> None:
    """Raises CheckError unless name, signature, dates and each extension are what was meant."""
    differences = [
        text
        for wrong, text in (
            (certificate.common_name != request.common_name, f"its CN is {certificate.common_name!r}"),
            (not certificate.issued_by(issuer), "its signature is not the authority's"),
            (certificate.not_after > issuer.not_after, "it outlives its issuer"),
            (certificate.expired, "it is expired"),
        )
        if wrong
    ] + profile.problems(certificate, terms.profile, issuer, hardened=hardened)
    if differences:
        raise CheckError(
            f"the certificate issued for {request.csr} is not what was asked for: {', '.join(differences)}."
        )


def require_strictly_valid(
    workspace: Workspace, shell: Shell, program: str, signer: Signer, serials: Sequence[str]
) -> None:
    """openssl's own verdict, beside the one of require_as_asked: two implementations have to agree."""
    paths = [workspace.from_ca(signer.certificate_of(serial)) for serial in serials]
    for first in range(0, len(paths), _MOST_PER_VERIFY):
        some = paths[first : first + _MOST_PER_VERIFY]
        line = openssl.verify(issuer=workspace.from_ca(signer.certificate), certificates=some)
        finished = shell.read((program, *line), cwd=workspace.ca)
        if finished.exit_code:
            raise explained(CheckError, "openssl verify refuses what openssl ca has issued", finished)
