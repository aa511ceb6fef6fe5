"""Whether a bundle tells one story: keys, certificates, chains and databases, each held against the others.

Asked before a bundle is sealed and again before anything of it is written: who opens one need not trust its maker.
"""

import re
from collections.abc import Iterator

from thingmint.errors import ToolError
from thingmint.pki import inspect
from thingmint.pki.authority import family
from thingmint.pki.bundle.bundle import Bundle, Share
from thingmint.pki.inspect import Certificate
from thingmint.pki.store.index import Row

_REVOKED = re.compile(r"(?:\d\d)?\d{12}Z(?:,[A-Za-z]+(?:,[0-9A-Za-z.]+)?)?", re.ASCII)
"""When, then perhaps the reason, and what belongs to that, as openssl writes them."""


def problems(bundle: Bundle) -> Iterator[str]:
    """What does not hold, as sentences without a full stop; nothing where all is well."""
    for first, second in _twins(bundle):
        yield f"{first.name} and {second.name} are the same certificate"
    for share in bundle.shares:
        yield from _own(share)
        yield from _chain(bundle, share)
        yield from _key(share)
        yield from _database(share)


def _twins(bundle: Bundle) -> Iterator[tuple[Share, Share]]:
    seen: dict[str, Share] = {}
    for share in bundle.shares:
        if share.certificate.thumbprint in seen:
            yield seen[share.certificate.thumbprint], share
        seen[share.certificate.thumbprint] = share


def _own(share: Share) -> Iterator[str]:
    if not share.certificate.is_ca:
        yield f"the certificate of {share.name} is no CA's"
    if not share.certificate.common_name.isprintable():  # it is shown on terminals
        yield f"the name of {share.name} cannot be printed: {share.certificate.common_name!r}"
    if share.name == family.ROOT and not share.is_root:
        yield f"{share.name} did not sign itself"
    if share.csr is None:
        return
    try:
        request = inspect.parse_request(share.csr, where=f"{share.name}.csr")
    except ToolError as error:
        yield error.message.rstrip(".")
        return
    if request.public_key != share.certificate.public_key:
        yield f"the CSR of {share.name} is for another key than its certificate"


def _chain(bundle: Bundle, share: Share) -> Iterator[str]:
    """Up to a root that is inside."""
    current, seen = share, {share.name}
    while not current.is_root:
        issuer = next((one for one in bundle.shares if current.certificate.issued_by(one.certificate)), None)
        if issuer is None or issuer.name in seen or not issuer.certificate.is_ca:
            yield f"who signed {current.name} ({current.certificate.issuer_name!r}) is not inside"
            return
        seen.add(issuer.name)
        current = issuer


def _key(share: Share) -> Iterator[str]:
    """An encrypted one is proven when it is first used, by whoever has its passphrase."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if share.key is None or share.key_is_encrypted:
        return
    try:
        public = load_pem_private_key(share.key, password=None).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):  # the library's own text is left out: it may quote the key
        yield f"the key of {share.name} cannot be read"
        return
    if public != share.certificate.parsed.public_key():
        yield f"the key of {share.name} is another one's"


def _database(share: Share) -> Iterator[str]:
    rows = share.rows or ()
    known = {row.serial for row in rows}
    for serial in share.certs:
        if serial not in known:
            yield f"the database of {share.name} does not know the certificate {serial}"
    for row in rows:
        yield from _issued(share, row)
    if share.crl_number is not None and not re.fullmatch(rb"(?:[0-9A-F]{2}){1,20}\r?\n?", share.crl_number):
        yield f"the CRL number of {share.name} is none"


def _issued(share: Share, row: Row) -> Iterator[str]:
    if row.serial not in share.certs:
        yield f"{share.name} has no certificate of its row {row.serial}, {row.common_name!r}"
        return
    try:
        (certificate,) = inspect.parse_chain(share.certs[row.serial], where=f"{share.name}/certs/{row.serial}.pem")
    except (ToolError, ValueError):
        yield f"the certificate {row.serial} of {share.name} cannot be read"
        return
    if not _of_row(certificate, row):
        yield f"the certificate {row.serial} of {share.name} is not the one of its row, {row.common_name!r}"
    elif not certificate.issued_by(share.certificate):
        yield f"the certificate {row.serial} of {share.name} was signed by another key"


def _of_row(certificate: Certificate, row: Row) -> bool:
    """Whether the row is what openssl writes of this certificate, and nothing that would break its reader."""
    end = certificate.not_after.strftime("%y%m%d%H%M%SZ" if certificate.not_after.year < 2050 else "%Y%m%d%H%M%SZ")
    return (
        certificate.serial == row.serial
        and row.subject == f"/CN={certificate.common_name}"
        and row.subject.isprintable()
        and row.expires == end
        and (row.status != "R" or _REVOKED.fullmatch(row.revoked) is not None)
    )
