"""What counts as a key, and what does not: every form of it, and everything that merely looks like one."""

import base64
import io
import json
import random
import re
import textwrap
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests import paper
from tests.keyscan.keys import every_kind, key
from thingmint.keyscan import material

PLACES = {
    "as it is": lambda pem: pem,
    "with CR LF": lambda pem: pem.replace("\n", "\r\n"),
    "indented in YAML": lambda pem: "key: |\n" + textwrap.indent(pem, "    "),
    "in a YAML list": lambda pem: "".join(f"- {line}\n" for line in pem.splitlines()),
    "in JSON": lambda pem: json.dumps({"key": pem}),
    "in JSON in JSON": lambda pem: json.dumps({"settings": json.dumps({"key": pem})}),
    "in C": lambda pem: "".join(f'    "{line}\\n" \\\n' for line in pem.splitlines()),
    "concatenated": lambda pem: " +\n".join(f"'{line}\\r\\n'" for line in pem.splitlines()),
    "in a comment": lambda pem: "".join(f"// {line}\n" for line in pem.splitlines()),
    "taken away by a patch": lambda pem: "".join(f"-{line}\n" for line in pem.splitlines()),
    "added by a patch": lambda pem: "".join(f"+{line}\n" for line in pem.splitlines()),
    "in one line": lambda pem: pem.replace("\n", " "),
    "in short lines": lambda pem: re.sub(r"([A-Za-z0-9+/=]{16})", r"\1\n", pem),
    "cut off": lambda pem: pem[: len(pem) * 2 // 3],
}  # fmt: skip


def found(data: bytes) -> list[tuple[int, str]]:
    return [(finding.line, finding.what) for finding in material.scan(io.BytesIO(data), len(data))]


@pytest.mark.parametrize("name", every_kind())
def test_every_kind_is_found_alone_and_in_the_middle(name: str) -> None:
    data, what = every_kind()[name]
    assert found(data) == [(1, what)]
    assert found(b"first line\n\n" + data + b"\nlast line\n") == [(3, what)]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ["rsa.pem", "ed25519.pem", "encrypted.pem", "sec1.pem", "id_ed25519"])
def test_a_pem_key_is_found_wherever_it_stands(name: str, place: str) -> None:
    put: Callable[[str], str] = PLACES[place]
    text = put(key(name).decode())
    for data in (text.encode(), text.encode("utf-16"), text.encode("utf-16-be")):
        assert [what for _, what in found(data)] == [every_kind()[name][1]], text


@pytest.mark.parametrize("name", every_kind())
def test_a_key_in_base64_or_in_a_c_array_is_found(name: str) -> None:
    data, what = every_kind()[name]
    secret = "data:\n  tls.key: " + base64.b64encode(data).decode() + "\n"
    assert found(secret.encode()) == [(2, f"{what}, in base64")]
    assert found(base64.encodebytes(data)) == [(1, f"{what}, in base64")]
    rows = [", ".join(f"0x{byte:02x}" for byte in data[at : at + 12]) for at in range(0, len(data), 12)]
    array = "unsigned char key[] = {\n  " + ",\n  ".join(rows) + "\n};\n"
    assert found(array.encode()) == [(2, f"{what}, in a C array")]


def test_a_pkcs12_file_of_indefinite_length_is_found() -> None:
    data = key("both.pfx")
    assert data[:1] + data[4:8] == b"\x30\x02\x01\x03\x30"
    ber = b"\x30\x80" + data[4:7] + b"\x30\x80" + data[11:] + bytes(4)
    assert found(ber) == [(1, "PKCS#12 file")]


def test_a_putty_key_is_found() -> None:
    noise = base64.b64encode(random.Random(9).randbytes(36)).decode()
    text = (
        f"PuTTY-User-Key-File-3: ssh-ed25519\r\nEncryption: none\r\nPrivate-Lines: 1\r\n{noise}\r\nPrivate-MAC: 00\r\n"
    )
    assert found(text.encode()) == [(3, "PuTTY private key")]


def test_a_connection_string_with_its_key_is_found() -> None:
    secret = base64.b64encode(random.Random(7).randbytes(32)).decode()
    text = f"HostName=h.azure-devices.net;SharedAccessKeyName=iothubowner;SharedAccessKey={secret}"
    assert found(f"a\nb\n{text}\n".encode()) == [(3, "connection string with its SharedAccessKey")]
    assert len(found(json.dumps({"SharedAccessKey": secret}).encode())) == 1


@pytest.mark.parametrize(
    "text",
    [
        'text.find("-----BEGIN PRIVATE KEY-----")\nX509CertificateBuilderFactory = create(2)\n',
        'MARKERS = ["-----BEGIN RSA PRIVATE KEY-----", "-----BEGIN OPENSSH PRIVATE KEY-----"]\n',
        r're.search(r"-----BEGIN (\w+ )?PRIVATE KEY-----", text)',
        "The file begins with -----BEGIN PRIVATE KEY----- and then has lines of 64 characters, see RFC7468.\n",
        "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC...\n-----END PRIVATE KEY-----\n",
        "-----BEGIN EC PRIVATE KEY-----\n" + "X" * 64 + "\n-----END EC PRIVATE KEY-----\n",
        "-----BEGIN EC PRIVATE KEY-----\n-----END EC PRIVATE KEY-----\n",
        "HostName=HOST;SharedAccessKeyName=NAME;SharedAccessKey=<the key>",
        "SharedAccessKey=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx=",
        "SharedAccessKey=dGhlIGtleSBpdHNlbGY=;DeviceId=d",
        "--hash=sha256:0e3a6b9d5c1f8e7a2b4d6c8f0a1b3c5d7e9f1a2b4c6d8e0f2a4b6c8d0e2f4a6b8\n" * 50,
    ],
)
def test_what_only_mentions_a_key_is_none(text: str) -> None:
    assert found(text.encode()) == []


def test_what_is_public_is_no_key() -> None:
    certificate = paper.make("Somebody").certificate
    public = certificate.public_key()
    for encoding in (Encoding.PEM, Encoding.DER):
        for data in (
            certificate.public_bytes(encoding),
            public.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo),
        ):
            assert found(data) == []
            assert found(base64.b64encode(data)) == []


def test_lengths_that_do_not_fit_each_other_are_no_key() -> None:
    data = key("sec1.der")
    assert found(data[:1] + b"\x10" + data[2:]) == []


def test_noise_is_no_key() -> None:
    noise = random.Random(1).randbytes(6_000_000)
    assert found(noise) == []
    assert found(base64.encodebytes(noise)) == []


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "text", [b"BEGIN ", b"BEGIN PRIVATE KEY-----\nA: ", b"\x30\x80\x30\x80\x06", b"MA", b"0x30, ", b"SharedAccessKey "]
)
def test_no_file_can_keep_the_scan_busy(text: bytes) -> None:
    assert found(text * (2_000_000 // len(text))) == []


@pytest.mark.parametrize("name", ["rsa.pem", "rsa.der", "both.pfx"])
def test_a_key_across_the_chunks_of_a_large_file_is_found_once(name: str) -> None:
    data, what = every_kind()[name]
    line = b"63 characters and a line feed, over and over, as a log has them\n"
    chunk, ahead = material.CHUNK, material.AHEAD
    for begin in (chunk - 1024, chunk - 64, chunk, chunk + ahead - 64, 2 * chunk, 3 * chunk - 64):
        for shift in (b"", b"." * 40):  # the marker in one chunk, the body in the next
            before = line * (begin // 64) + shift
            assert found(before + data + b"\n" + line * 40_000) == [(begin // 64 + 1, what)], begin


def test_a_stream_is_read_exactly_to_the_files_end() -> None:
    for size in (0, 1, material.CHUNK, material.CHUNK + material.AHEAD, 3 * material.CHUNK + 5):
        stream = io.BytesIO(b"." * size + b"the next file")
        assert material.scan(stream, size) == []
        assert stream.read() == b"the next file"
