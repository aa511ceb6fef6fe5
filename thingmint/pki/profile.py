"""Profiles: what a certificate may do (RFC 5280 4.2.1), asked of a CSR before it is signed, and of what came out.

The extensions are written by openssl, from the cnf files; here they are judged by `cryptography`, so that two
implementations have to agree on what each certificate may do.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from thingmint import openssl
from thingmint.pki.inspect import Certificate, SigningRequest

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

MOST_LEVELS: Final = 3
"""How many further authorities may stand below an intermediate: the templates have a section for each."""

_SIGNS: Final = frozenset({"key_cert_sign", "crl_sign"})
_CLIENT: Final = "1.3.6.1.5.5.7.3.2"
_SERVER: Final = "1.3.6.1.5.5.7.3.1"
_USAGES: Final = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
)


@dataclass(frozen=True)
class Profile:
    """One kind of certificate. `section` of the signing cnf makes it; None: the cnf's own x509_extensions."""

    what: str
    request: tuple[str, ...]  # the article's -addext values
    section: str | None
    is_ca: bool
    usages: frozenset[str]  # names of RFC 5280 4.2.1.3, as `cryptography` spells them
    purposes: frozenset[str] = frozenset()  # OIDs of extendedKeyUsage
    pathlen: int | None = None
    self_signed: bool = False
    bare: bool = False  # with the article's cnf files: an X.509 v1 certificate, without any extension


ROOT: Final = Profile("root CA", openssl.CA_REQUEST, "v3_root", is_ca=True, usages=_SIGNS, self_signed=True)
DEVICE: Final = Profile(
    "device",
    openssl.DEVICE_REQUEST,
    None,
    is_ca=False,
    usages=frozenset({"digital_signature"}),
    purposes=frozenset({_CLIENT}),
)
PROOF: Final = Profile("proof", (), "v3_proof", is_ca=False, usages=frozenset({"content_commitment"}), bare=True)


def intermediate(pathlen: int, *, parent_is_root: bool) -> Profile:
    """An authority below which `pathlen` further ones may stand; 0: it signs devices alone."""
    section = intermediate_section(pathlen)
    return Profile(
        "intermediate CA",
        openssl.SUBCA_REQUEST,
        None if parent_is_root and pathlen == 0 else section,
        is_ca=True,
        usages=_SIGNS,
        purposes=frozenset({_CLIENT, _SERVER}),
        pathlen=pathlen,
    )


def pathlen_of(certificate: Certificate) -> int | None:
    """How many authorities its certificate lets stand below it; None: any number."""
    from cryptography import x509

    try:
        return certificate.parsed.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
    except x509.ExtensionNotFound:
        return None


def intermediate_section(pathlen: int) -> str:
    """The templates' name for it: v3_intermediate, v3_intermediate_1, …"""
    return "v3_intermediate" + (f"_{pathlen}" if pathlen else "")


def request_extensions(profile: Profile) -> "list[tuple[x509.ExtensionType, bool]]":
    """What a CSR of this profile asks for, as the article's -addext values do; each value, and whether it is critical."""
    from cryptography import x509

    asked: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(profile.is_ca, None), True),
        (_key_usage(profile.usages), True),
    ]
    if profile.purposes:
        purposes = [x509.ObjectIdentifier(oid) for oid in sorted(profile.purposes, reverse=True)]
        asked.append((x509.ExtendedKeyUsage(purposes), False))
    return asked


def request_problems(csr: SigningRequest, profile: Profile) -> list[str]:
    """What speaks against signing: a weak or odd key, or extensions that this profile does not grant."""
    problems = key_problems(csr)
    try:
        asked = list(csr.parsed.extensions)
    except ValueError as error:
        return [*problems, f"the extensions that it asks for cannot be read ({error})"]
    return problems + [f"it asks for {text}" for one in asked if (text := _excess(one, profile))]


def key_problems(csr: SigningRequest) -> list[str]:
    """The same of its key alone: for whoever cannot choose what his CSR asks for."""
    kind, _, size = csr.key.partition(":")
    if (kind == "rsa" and 2048 <= int(size) <= 4096) or csr.key in {"ec:P-256", "ec:P-384"}:
        return []
    return [f"its key is {csr.key}, and RSA of 2048 to 4096 bits or EC P-256, P-384 is needed"]


def _excess(extension: "x509.Extension[x509.ExtensionType]", profile: Profile) -> str:
    """What an asked extension wants beyond the profile, or nothing."""
    from cryptography import x509

    value = extension.value
    match value:
        case x509.BasicConstraints():
            return "CA:true" if value.ca and not profile.is_ca else ""
        case x509.KeyUsage():
            more = _usages(value) - profile.usages
            return f"the key usages {', '.join(sorted(more))}" if more else ""
        case x509.ExtendedKeyUsage():
            more = {one.dotted_string for one in value} - profile.purposes
            return f"the extended key usages {', '.join(sorted(more))}" if more else ""
        case x509.SubjectKeyIdentifier():
            return ""
        case _:
            return f"the extension {_name(extension)}, which is not granted"


def problems(certificate: Certificate, profile: Profile, issuer: Certificate, *, hardened: bool) -> list[str]:
    """How the extensions differ from the profile: each one, its value and whether it is critical."""
    from cryptography import x509

    if profile.bare and not hardened:
        return ["it has extensions"] if len(certificate.parsed.extensions) else []
    found = {one.oid: one for one in certificate.parsed.extensions}
    expected: list[tuple[bool, x509.ExtensionType]] = [
        (True, x509.BasicConstraints(profile.is_ca, profile.pathlen if hardened else None)),
        (True, _key_usage(profile.usages)),
        (False, x509.SubjectKeyIdentifier(x509.SubjectKeyIdentifier.from_public_key(_key(certificate)).digest)),
    ]
    if profile.purposes:
        purposes = [x509.ObjectIdentifier(oid) for oid in sorted(profile.purposes, reverse=True)]
        expected.append((False, x509.ExtendedKeyUsage(purposes)))
    if not profile.self_signed:
        expected.append((False, x509.AuthorityKeyIdentifier(_key_id(issuer), None, None)))
    differences = []
    for critical, value in expected:
        one = found.pop(value.oid, None)
        if one is None:
            differences.append(f"the extension {value.oid.dotted_string} is missing")
        elif one.critical != critical or not _same(one.value, value):
            differences.append(f"its {_name(one)} is {one.value}{', critical' if one.critical else ''}")
    return differences + [f"it has the extension {_name(one)}" for one in found.values()]


def _same(found: "x509.ExtensionType", wanted: "x509.ExtensionType") -> bool:
    from cryptography import x509

    if isinstance(found, x509.ExtendedKeyUsage) and isinstance(wanted, x509.ExtendedKeyUsage):
        return set(found) == set(wanted)  # order says nothing
    return found == wanted


def _key_id(issuer: Certificate) -> bytes:
    """The issuer's own subjectKeyIdentifier, which another tool may have made another way than SHA-1 of the key."""
    from cryptography import x509

    try:
        return issuer.parsed.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return x509.SubjectKeyIdentifier.from_public_key(_key(issuer)).digest


def _key(certificate: Certificate) -> "CertificatePublicKeyTypes":
    return certificate.parsed.public_key()


def _usages(value: "x509.KeyUsage") -> set[str]:
    return {name for name in _USAGES if getattr(value, name)}


def _key_usage(names: frozenset[str]) -> "x509.KeyUsage":
    from cryptography import x509

    return x509.KeyUsage(**{name: name in names for name in _USAGES}, encipher_only=False, decipher_only=False)


def _name(extension: "x509.Extension[x509.ExtensionType]") -> str:
    """subjectAltName, or a dotted OID that nobody has named."""
    name = getattr(extension.oid, "_name", "Unknown OID")
    return extension.oid.dotted_string if name == "Unknown OID" else str(name)
