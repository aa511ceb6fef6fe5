"""CSRs as modems write them: taken with their one NULL too much, kept as they are, and refused for anything else."""

import base64
import hashlib
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tests.pki import modems
from thingmint.errors import ToolError
from thingmint.pki import encoding, inspect

SAMPLE = base64.urlsafe_b64decode(modems.SAMPLE + "==")


def test_the_published_csr_of_a_real_modem_is_read() -> None:
    with pytest.raises(ValueError, match="parameters|pars"):
        x509.load_der_x509_csr(SAMPLE)  # the reason for all this
    read = inspect.parse_request_der(SAMPLE, where="the sample")
    assert read.common_name == "50363154-3932-4834-802b-0908718314dc"
    assert (read.subject, read.key) == (f"CN={read.common_name}", "ec:P-256")
    assert read.der == SAMPLE


def test_its_pem_holds_the_bytes_that_the_modem_signed_for(tmp_path: Path) -> None:
    pem = inspect.parse_request_der(SAMPLE, where="the sample").pem
    again = inspect.parse_request(b"a text dump\n" + pem.replace(b"\n", b"\r\n"), where="its PEM")
    assert hashlib.sha256(again.der).digest() == hashlib.sha256(SAMPLE).digest()
    (tmp_path / "sample.csr").write_bytes(pem)
    told = subprocess.run(
        ["openssl", "req", "-verify", "-noout", "-in", tmp_path / "sample.csr"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert "OK" in told.stdout + told.stderr


def test_a_made_one_is_like_the_published_one() -> None:
    """So that the other tests prove something about modems."""
    made = modems.csr("x")
    assert modems.WITH_NULL in made
    assert modems.WITH_NULL in SAMPLE
    read, sample = (inspect.parse_request_der(one, where="it") for one in (made, SAMPLE))
    assert list(read.parsed.extensions) == list(sample.parsed.extensions)


def test_a_standard_csr_is_left_as_it_is() -> None:
    standard = inspect.parse_request_der(modems.csr("x"), where="it").parsed.public_bytes(Encoding.DER)
    assert modems.WITH_NULL not in standard
    assert encoding.without_null(standard) == standard
    assert encoding.without_null(SAMPLE) != SAMPLE


@pytest.mark.parametrize("where", ["signed", "signature"])
def test_a_changed_byte_breaks_the_signature(where: str) -> None:
    at = SAMPLE.index(b"50363154") if where == "signed" else len(SAMPLE) - 1
    changed = SAMPLE[:at] + bytes([SAMPLE[at] ^ 1]) + SAMPLE[at + 1 :]
    with pytest.raises(ToolError, match="does not match its public key"):
        inspect.parse_request_der(changed, where="it")


@pytest.mark.parametrize(
    "der",
    [
        b"",
        b"\x30",
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30\x80\x30\x80",
        SAMPLE[:-1],
        SAMPLE + b"\0",
        SAMPLE.replace(modems.WITH_NULL, bytes.fromhex("300c06082a8648ce3d0403020501")),
        SAMPLE.replace(modems.WITH_NULL, bytes.fromhex("300c06082a8648ce3d0403030500")),
    ],
)
def test_whatever_else_is_amiss_is_refused(der: bytes) -> None:
    with pytest.raises(ToolError, match="holds no readable CSR"):
        inspect.parse_request_der(der, where="it")


@pytest.mark.parametrize(
    "pem", [b"", b"-----BEGIN CERTIFICATE REQUEST-----\nMIIB\nA\n-----END CERTIFICATE REQUEST-----\n"]
)
def test_a_pem_that_holds_none_is_refused(pem: bytes) -> None:
    with pytest.raises(ToolError, match="holds no readable CSR"):
        inspect.parse_request(pem, where="it")


def test_every_length_of_a_name_is_read() -> None:
    """Shorter and longer forms of the length octets."""
    key = ec.generate_private_key(ec.SECP256R1())
    for size in range(1, 65):
        name = "n" * size
        assert inspect.parse_request_der(modems.csr(name, key), where="it").common_name == name
