"""Server roots: Azure's by their pinned digests, and what a user may offer in their place."""

import datetime as dt
import re
import subprocess
from pathlib import Path

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from thingmint import roots
from thingmint.errors import InputError, ToolError

KEY = ec.generate_private_key(ec.SECP256R1())


def certificate(name: str, *, issuer: str = "", ca: bool = True, days: int = 30) -> bytes:
    """Without `issuer`: signed by itself."""
    now = dt.datetime.now(dt.UTC)
    key = ec.generate_private_key(ec.SECP256R1()) if issuer else KEY
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer or name)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=90))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def test_azures_roots_are_found_by_their_digests_and_openssl_agrees(tmp_path: Path) -> None:
    found = roots.server_roots()
    for root, end in ((found.primary, "2038"), (found.secondary, "2042")):
        assert b"\r" not in root.pem
        assert root.pem.endswith(b"-----END CERTIFICATE-----\n")
        path = tmp_path / "root.pem"
        path.write_bytes(root.pem)
        line = ["openssl", "x509", "-in", str(path), "-noout", "-subject", "-enddate", "-fingerprint", "-sha256"]
        told = subprocess.run(line, check=True, capture_output=True, text=True).stdout
        assert root.name in told
        assert end in told
        assert root.sha256 in told.replace(":", "").lower()
        assert roots.judge(root.pem, "it") == []
    # What a modem lists for the root that the article's readers load.
    assert len(found.primary.pem) == 1294


def test_a_list_that_has_lost_one_is_told_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pem = roots.server_roots().primary.pem
    without = tmp_path / "cacert.pem"
    without.write_bytes(Path(certifi.where()).read_bytes().replace(pem, b""))
    monkeypatch.setattr(certifi, "where", lambda: str(without))
    with pytest.raises(ToolError, match=r"does not hold .* Global Root G2 .* Mozilla drops it for TLS on 2029-04-15"):
        roots.server_roots()


def test_a_name_alone_makes_no_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    false = tmp_path / "cacert.pem"
    false.write_bytes(certificate("DigiCert Global Root G2"))
    monkeypatch.setattr(certifi, "where", lambda: str(false))
    with pytest.raises(ToolError, match="does not hold the server root DigiCert Global Root G2"):
        roots.server_roots()


def test_a_root_of_ones_own_will_do() -> None:
    assert roots.judge(b"a text dump\r\n" + certificate("lab CA").replace(b"\n", b"\r\n"), "ca.pem") == []


def test_an_issuing_ca_is_warned_of() -> None:
    name = "DigiCert Global G2 TLS RSA SHA256 2020 CA1"
    (warning,) = roots.judge(certificate(name, issuer="DigiCert Global Root G2"), "ca.pem")
    assert f"ca.pem (CN={name}) is no root, but an issuing CA below 'CN=DigiCert Global Root G2'" in warning


@pytest.mark.parametrize(
    ("pem", "said"),
    [
        (certificate("Baltimore CyberTrust Root"), "is Baltimore CyberTrust Root, which expired on 2025-05-12"),
        (certificate("old", days=-1), r"ca.pem \(CN=old\) expired on 20"),
        (certificate("hub.example", issuer="a CA", ca=False), "is no CA certificate, but that of 'CN=hub.example'"),
        (certificate("one") + certificate("two"), "holds 2 certificates"),
        (b"", "no readable certificate"),
        (b"\x30\x82", "no readable certificate"),
    ],
)
def test_what_cannot_be_a_root_is_refused_with_the_reason(pem: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        roots.judge(pem, "ca.pem")
    assert caught.value.things_to_try


def test_a_private_key_is_refused_and_not_shown() -> None:
    key = KEY.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with pytest.raises(InputError, match="holds a private key") as caught:
        roots.judge(certificate("one") + key, "ca.pem")
    assert not re.search("[A-Za-z0-9+/]{20}", caught.value.render())
