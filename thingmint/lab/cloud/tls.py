"""The lab's own CA and server certificate: short-lived, constrained to the names in use, the CA's key never on disk."""

import datetime as dt
import ipaddress
import ssl

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from thingmint import files
from thingmint.lab.state import LabFolder, Role
from thingmint.target import PROVISIONING_DEVICES

MANAGEMENT, SIGN_IN = "management.azure.com", "login.microsoftonline.com"
LIFETIME = dt.timedelta(days=7)
RENEW_BEFORE = dt.timedelta(days=1)
_CLOCK_SLACK = dt.timedelta(hours=1)
_EXPIRED_SINCE = dt.timedelta(days=1)
_FAULTY = ("EXPIRED", "WRONG_HOST", "OTHER_CA", "SECOND_ROOT")  # names of faults.kinds.Kind
_LOOPBACK = ipaddress.IPv4Address("127.0.0.1")


def hosts(role: Role) -> tuple[str, ...]:
    """The names the lab answers to: its own, and the services' that reach it through a proxy."""
    return (
        "localhost",
        role.hub_host,
        role.provisioning_host,
        PROVISIONING_DEVICES,
        MANAGEMENT,
        SIGN_IN,
    )


def keep_or_make(folder: LabFolder, role: Role) -> dt.datetime:
    """The certificates of an earlier start while they are good; a device that was loaded then still knows its hub.

    Returns when they expire.
    """
    kept = _kept_until(folder, role)
    return kept if kept and kept - RENEW_BEFORE > dt.datetime.now(dt.UTC) else make_certificates(folder, role)


def _kept_until(folder: LabFolder, role: Role) -> dt.datetime | None:
    """When those on the disk expire; None where they are not whole, not one pair, or for another hub."""
    try:
        ca = x509.load_pem_x509_certificate(folder.ca.read_bytes())
        pem = folder.server_key.read_bytes()
        server = x509.load_pem_x509_certificate(pem)
        server.verify_directly_issued_by(ca)
        key = serialization.load_pem_private_key(pem, password=None)
        names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        constraints = ca.extensions.get_extension_for_class(x509.NameConstraints).value
    except (OSError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return None
    # More names than now are no reason to have devices loaded anew: an earlier start may have listened elsewhere, too.
    if not {*(_constraints(role).permitted_subtrees or ())} <= {*(constraints.permitted_subtrees or ())}:
        return None
    served = {*names.get_values_for_type(x509.DNSName), *names.get_values_for_type(x509.IPAddress)}
    wanted = {*_names(role), *_addresses(role)}
    faulty = folder.second_ca.exists() and all(folder.faulty_server(fault).exists() for fault in _FAULTY)
    whole = key.public_key() == server.public_key() and wanted <= served and faulty
    return min(ca.not_valid_after_utc, server.not_valid_after_utc) if whole else None


def _names(role: Role) -> list[str]:
    """What the certificates name: the hosts, and the name that devices of a network may know the lab by."""
    listen = role.listen
    return [*hosts(role), *([listen.host] if listen and listen.host != listen.address else [])]


def _addresses(role: Role) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    return [_LOOPBACK, *([ipaddress.ip_address(role.listen.address)] if role.listen else [])]


def make_certificates(folder: LabFolder, role: Role) -> dt.datetime:
    """Fresh CAs and server certificates, ca.pem and server.pem among them; returns when they expire."""
    names = [x509.DNSName(name) for name in _names(role)]
    not_before = dt.datetime.now(dt.UTC).replace(microsecond=0) - _CLOCK_SLACK
    not_after = not_before + LIFETIME
    ca_key = ec.generate_private_key(ec.SECP256R1())
    key = ec.generate_private_key(ec.SECP256R1())
    ca_name, second_name = _named("thingmint lab CA"), _named("thingmint lab CA 2")
    second_key = ec.generate_private_key(ec.SECP256R1())
    ca = _authority(ca_name, ca_key, role, not_before, not_after)
    second = _authority(second_name, second_key, role, not_before, not_after)
    served = [*names, *map(x509.IPAddress, _addresses(role))]

    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    server_pem = _server(key.public_key(), ca_name, ca_key, served, not_after)
    # For a lab that misbehaves. They are made now: afterwards nobody has the CA's key.
    elsewhere = x509.DNSName(f"elsewhere.{role.hub_host}")  # the CA may vouch for it, and nobody asks for it
    stranger, strange = ec.generate_private_key(ec.SECP256R1()), "thingmint: a CA that nobody trusts"
    faulty = {
        "EXPIRED": _server(key.public_key(), ca_name, ca_key, served, not_before - _EXPIRED_SINCE),
        "WRONG_HOST": _server(key.public_key(), ca_name, ca_key, [elsewhere], not_after),
        "OTHER_CA": _server(key.public_key(), _named(strange), stranger, served, not_after),
        "SECOND_ROOT": _server(key.public_key(), second_name, second_key, served, not_after),
    }
    for fault, pem in faulty.items():
        files.replace(folder.faulty_server(fault), key_pem + pem, mode=files.SECRET)
    files.replace(folder.server_key, key_pem + server_pem, mode=files.SECRET)
    files.replace(folder.second_ca, second)
    files.replace(folder.ca, ca)
    return not_after


def _authority(
    name: x509.Name, key: ec.EllipticCurvePrivateKey, role: Role, not_before: dt.datetime, not_after: dt.datetime
) -> bytes:
    certificate = (
        _builder(name, name, key.public_key(), key.public_key(), not_before, not_after)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(_constraints(role), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def _constraints(role: Role) -> x509.NameConstraints:
    """Whoever puts a CA of the lab into a trust store trusts it for these names, what is below them, and its addresses.

    A kind of name that is not listed at all would be free (RFC 5280, 4.2.1.10): addresses of mail and URIs are held to
    a domain that never exists (RFC 6761, 6.4).
    """
    permitted = [
        *map(x509.DNSName, _names(role)),
        *(x509.IPAddress(ipaddress.ip_network(one)) for one in _addresses(role)),
        x509.RFC822Name("invalid"),
        x509.UniformResourceIdentifier("invalid"),
    ]
    return x509.NameConstraints(permitted, None)


def _server(
    key: ec.EllipticCurvePublicKey,
    ca_name: x509.Name,
    signer: ec.EllipticCurvePrivateKey,
    names: list[x509.GeneralName],
    ends: dt.datetime,
) -> bytes:
    certificate = (
        _builder(_named("localhost"), ca_name, key, signer.public_key(), ends - LIFETIME, ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(signer, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def _named(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def https_context(folder: LabFolder) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.load_cert_chain(folder.server_key)
    return context


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePublicKey,
    not_before: dt.datetime,
    not_after: dt.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        # Python 3.13 verifies strictly (X509_V_FLAG_X509_STRICT) and wants both key identifiers.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
