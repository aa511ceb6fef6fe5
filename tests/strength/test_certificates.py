"""Certificates that are broken or odd, uploaded or shown: each is refused in words, and keeps nobody else out."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.lab.clients import Lab, mqtt_connect, tls, wait_until
from tests.lab.provisioning import Service, ask_as_device
from tests.paper import DAY, Paper, make
from tests.strength.forged import NO_TEXT, Odd, made, pem, resigned

Device = tuple[str, tuple[Path, Path]]
WILDLY = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Uploads:
    """The certificates of a service, as anybody with the right may change them."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._headers = lab.bearer("https://management.azure.com")

    def __repr__(self) -> str:
        return "Uploads()"

    def ask(self, method: str, path: str, body: object = None, etag: str = "") -> tuple[int, Any]:
        headers = {**self._headers, **({"If-Match": etag} if etag else {})}
        target = f"{self._lab.arm_path}/certificates{path}?api-version=2021-07-02"
        status, _, answer = self._lab.request(method, target, body=body, headers=headers)
        return status, answer

    def put(self, text: str) -> tuple[int, Any]:
        return self.ask("PUT", "/odd", {"properties": {"certificate": text, "isVerified": True}})

    def list(self) -> list[str]:
        status, answer = self.ask("GET", "")
        assert status == 200
        return [one["name"] for one in answer["value"]]


@pytest.fixture
def uploads(lab: Lab) -> Iterator[Uploads]:
    kept = Uploads(lab)
    yield kept
    kept.ask("DELETE", "/odd", etag="*")


def text(der: bytes) -> str:
    return base64.b64encode(der).decode()


def lets_in(lab: Lab, device: Device) -> bool:
    with tls(lab, device[1]) as connection:
        return mqtt_connect(lab, connection, device[0]) == 0


ORIGINAL = make("ab", names=[x509.DNSName("a.example")])


CHANGES = st.lists(
    st.tuples(st.integers(0, 9_999), st.integers(0, 255) | st.sampled_from(b"\x0c\x13\x17\x18\x1c\x1e\x80")),
    min_size=1,
    max_size=3,
)


def changed(original: bytes) -> st.SearchStrategy[bytes]:
    return CHANGES.map(lambda at: _with(original, at))


def _with(original: bytes, changes: list[tuple[int, int]]) -> bytes:
    data = bytearray(original)
    for at, byte in changes:
        data[at % len(data)] = byte
    return bytes(data)


DER = ORIGINAL.certificate.public_bytes(serialization.Encoding.DER)


@given(der=changed(DER) | changed(DER).map(lambda one: one[:-9]) | st.binary(max_size=50) | st.just(DER * 2))
@WILDLY
def test_whatever_is_uploaded_keeps_no_device_out(lab: Lab, victim: Device, uploads: Uploads, der: bytes) -> None:
    status, _ = uploads.put(text(der))
    assert status in (200, 400)
    assert ("odd" in uploads.list()) is (status == 200)
    if status == 200:
        assert lets_in(lab, victim)
        assert uploads.ask("DELETE", "/odd", etag="*")[0] == 200


def odd_authorities() -> dict[str, bytes]:
    def der(odd: Odd, key: Any = None) -> bytes:
        return made(odd, None, None, key)[0].public_bytes(serialization.Encoding.DER)

    return {
        "a name that is no text": resigned(ORIGINAL, ORIGINAL.key, b"\x0c\x02ab", b"\x0c\x02" + NO_TEXT),
        "version 6": resigned(ORIGINAL, ORIGINAL.key, b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x05"),
        "an unknown curve": DER.replace(bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a8648ce3d030108")),
        "extensions twice": resigned(ORIGINAL, ORIGINAL.key, bytes.fromhex("0603551d0e"), bytes.fromhex("0603551d13")),
        "no basicConstraints": der(Odd(ca=None)),
        "a device's": der(Odd(ca=False)),
        "a year ago": der(Odd(start=-400 * DAY, end=-DAY)),
        "next year": der(Odd(start=DAY, end=2 * DAY)),
        "RSA of 1024 bits": der(Odd(), rsa.generate_private_key(65537, 1024)),  # noqa: S505 - that is the point
    }


@pytest.mark.parametrize("name", odd_authorities())
def test_an_authority_that_is_refused(uploads: Uploads, name: str) -> None:
    status, answer = uploads.put(text(odd_authorities()[name]))
    assert status == 400
    assert "certificate" in answer["message"]
    assert uploads.list() == ["subca"]


@pytest.mark.parametrize(
    ("odd", "key"),
    [
        (Odd(names=()), None),
        (Odd(names=("a", "b\n<script>", "'; --")), None),
        (Odd(serial=2**158), None),
        (Odd(hosts=900), None),
        (Odd(critical=True), None),
        (Odd(pathlen=0), None),
        (Odd(curve=ec.SECP521R1()), None),
        (Odd(), ed25519.Ed25519PrivateKey.generate()),
    ],
)
def test_an_odd_authority_keeps_no_device_out(lab: Lab, victim: Device, uploads: Uploads, odd: Odd, key: Any) -> None:
    der = made(odd, None, None, key)[0].public_bytes(serialization.Encoding.DER)
    for _ in range(2):
        status, answer = uploads.put(text(der))
        assert status in (200, 412), answer  # once only: a change takes an etag
    assert lets_in(lab, victim)


@given(by_stranger=st.booleans(), changes=CHANGES)
@WILDLY
def test_whatever_is_sent_as_a_proof_proves_nothing(
    uploads: Uploads, by_stranger: bool, changes: list[tuple[int, int]]
) -> None:
    uploads.put(ORIGINAL.pem.decode())
    uploads.ask("DELETE", "/odd", etag="*")
    _, kept = uploads.ask("PUT", "/odd", {"properties": {"certificate": ORIGINAL.pem.decode()}})
    _, coded = uploads.ask("POST", "/odd/generateVerificationCode", etag=kept["etag"])
    code = coded["properties"]["verificationCode"]
    proof = make("ab").issue(code) if by_stranger else ORIGINAL.issue(f"{code}0")
    der = _with(proof.certificate.public_bytes(serialization.Encoding.DER), changes)
    status, _ = uploads.ask("POST", "/odd/verify", {"certificate": text(der)}, etag=coded["etag"])
    assert status == 400
    assert uploads.ask("GET", "/odd")[1]["properties"]["isVerified"] is False
    uploads.ask("DELETE", "/odd", etag="*")


def test_a_chain_with_a_certificate_that_cannot_be_read(lab: Lab, victim: Device, subca: Paper, tmp_path: Path) -> None:
    """OpenSSL reads it, and cryptography does not: neither the device above it nor the page is any the worse."""
    cert, key = victim[1]
    broken = [
        resigned(ORIGINAL, ORIGINAL.key, b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x05"),
        resigned(ORIGINAL, ORIGINAL.key, bytes.fromhex("0603551d0e"), bytes.fromhex("0603551d13")),
    ]
    for number, der in enumerate(broken):
        chain = tmp_path / f"{number}.pem"
        chain.write_bytes(cert.read_bytes() + pem(der) * 12)
        assert lets_in(lab, (victim[0], (chain, key)))
    leaf, own = tmp_path / "leaf.pem", subca.issue(victim[0])
    leaf.write_bytes(pem(resigned(own, subca.key, b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x05")))
    (tmp_path / "leaf.key").write_bytes(own.key_pem)
    assert not lets_in(lab, (victim[0], (leaf, tmp_path / "leaf.key")))


def test_a_device_that_registers_with_an_odd_chain(lab: Lab, root: Paper, tmp_path: Path) -> None:
    service = Service(lab)
    service.upload("subca", root)
    try:
        service.enroll_group("factory", attestation={"type": "x509", "x509": {"caReferences": {"primary": "subca"}}})
        a, b = root.issue("a", ca=True), root.issue("b", ca=True)
        circle = [make("b", key=a.key, issuer=b), make("a", key=b.key, issuer=a)]
        long = root
        for number in range(12):
            long = long.issue(f"ca-{number}", ca=True)
        for name, papers, expected in (
            ("circle", [a.issue("circle"), *circle], 401),
            ("long", [long.issue("long"), *_above(long)], 401),
            ("direct", [root.issue("direct")], 202),
        ):
            files = papers[0].save(tmp_path, name, *papers[1:])
            place = f"/{service.id_scope}/registrations/{name}/register"
            assert ask_as_device(lab, files, "PUT", place, {"registrationId": name})[0] == expected, name
    finally:
        service.empty()
    wait_until(lambda: "direct" in lab.log)


def _above(paper: Paper) -> list[Paper]:
    return [paper, *_above(paper.issuer)] if paper.issuer else []
