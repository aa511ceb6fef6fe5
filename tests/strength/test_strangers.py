"""Who is let in: nobody whose certificate OpenSSL, asked apart, does not find below a verified CA, or by its thumbprint."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.lab.clients import Lab, mqtt_connect, tls, wait_until
from tests.paper import CLIENT, DAY, SERVER, Paper, make
from tests.strength.forged import Key, Odd, key_pem, made, pem

WILDLY = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@dataclass(frozen=True)
class Issuer:
    certificate: x509.Certificate
    key: Key


@dataclass(frozen=True)
class World:
    """CAs good and bad, by name; `verified` are the hub's."""

    issuers: dict[str, Issuer]
    verified: tuple[str, ...]


def issuer(paper: Paper) -> Issuer:
    return Issuer(paper.certificate, paper.key)


@pytest.fixture(scope="module")
def world(lab: Lab, root: Paper, subca: Paper) -> Iterator[World]:
    old = root.issue("Old CA", ca=True, start=-9 * DAY, end=-DAY)
    short, key = made(Odd(names=("Short CA",), pathlen=0), root.certificate.subject, root.key)
    issuers = {
        "subca": issuer(subca),
        "root": issuer(root),
        "below": issuer(subca.issue("CA below", ca=True)),
        "namesake": issuer(make("Test SubCA", key_ids=False)),
        "unverified": issuer(make("Unverified CA")),
        "device": issuer(subca.issue("bystander")),
        "old": issuer(old),
        "old, below subca": issuer(subca.issue("Old CA below", ca=True, start=-9 * DAY, end=-DAY)),
        "short": Issuer(short, key),
    }
    below, its_key = made(Odd(names=("Below Short CA",)), short.subject, key)
    issuers["below short"] = Issuer(below, its_key)
    issuers["no signer"] = Issuer(*made(Odd(names=("No Signer",), signs=False), subca.certificate.subject, subca.key))
    verified = {"Short": short}
    for name, certificate in verified.items():
        text = certificate.public_bytes(serialization.Encoding.PEM).decode()
        headers = lab.bearer("https://management.azure.com")
        target = f"{lab.arm_path}/certificates/{name}?api-version=2021-07-02"
        body = {"properties": {"certificate": text, "isVerified": True}}
        assert lab.request("PUT", target, body=body, headers=headers)[0] == 200
    unproven = lab.upload("unverified", make("Unverified CA"), verified=False)
    for name in ("by-ca", "by-thumbprint"):
        lab.register(name)
    yield World(issuers, ("subca", "short"))
    for name in (*verified, unproven.name):
        lab.delete_certificate(name)


leaves = st.builds(
    Odd,
    names=st.sampled_from([("by-ca",), ("by-ca",), ("by-thumbprint",), ("by-ca", "by-thumbprint"), (), ("BY-CA",)]),
    ca=st.sampled_from([False, False, None, True]),
    critical=st.sampled_from([False, False, False, True]),
    start=st.sampled_from([-DAY, -DAY, DAY]),
    end=st.sampled_from([2 * DAY, 2 * DAY, -DAY / 2]),
    purposes=st.sampled_from([(CLIENT,), (CLIENT,), (), (SERVER,)]),
).filter(lambda odd: odd.start < odd.end)


@given(data=st.data(), odd=leaves, thumbprint=st.booleans(), registered=st.booleans())
@WILDLY
def test_no_stranger_is_let_in(
    lab: Lab, world: World, tmp_path: Path, data: st.DataObject, odd: Odd, *, thumbprint: bool, registered: bool
) -> None:
    by = world.issuers[data.draw(st.sampled_from(sorted(world.issuers)))]
    leaf, key = made(odd, by.certificate.subject, by.key)
    shown = data.draw(st.lists(st.sampled_from(sorted(world.issuers)), max_size=4))
    chain = [by.certificate] * data.draw(st.booleans()) + [world.issuers[name].certificate for name in shown]
    if registered:
        register(lab, "by-thumbprint", leaf)
    device_id = "by-thumbprint" if thumbprint else "by-ca"
    let_in = connects(lab, device_id, leaf, key, chain, tmp_path)
    assert let_in <= (may_enter(world, device_id, leaf, chain, tmp_path) or (thumbprint and registered))


def test_a_stranger_below_a_device_that_is_registered_elsewhere(lab: Lab, world: World, tmp_path: Path) -> None:
    """It signs with a key that may sign nothing, in another device's name; its thumbprint is registered, for a third one.

    OpenSSL is content with the thumbprint, and led astray by a root of the same name and key.
    """
    for name in ("device", "old, below subca", "below short", "no signer"):
        by = world.issuers[name]
        leaf, key = made(Odd(names=("by-ca",), ca=False), by.certificate.subject, by.key)
        (common_name,) = by.certificate.subject
        astray, _ = made(Odd(names=(str(common_name.value),)), None, None, by.key)
        register(lab, "by-thumbprint", leaf)
        heard = lab.mark()
        assert not connects(lab, "by-ca", leaf, key, [astray, by.certificate], tmp_path), name
        wait_until(lambda: "no verified CA certificate of the hub stands above its certificate" in heard())  # noqa: B023
        assert connects(lab, "by-thumbprint", leaf, key, [], tmp_path)


def register(lab: Lab, device_id: str, leaf: x509.Certificate) -> None:
    """The device is known by this certificate from now on."""
    thumbprint = leaf.fingerprint(hashes.SHA256()).hex()
    authentication = {"type": "selfSigned", "x509Thumbprint": {"primaryThumbprint": thumbprint}}
    headers = {**lab.bearer("https://iothubs.azure.net"), "If-Match": "*"}
    target = f"/devices/{device_id}?api-version=2021-04-12"
    assert lab.request("PUT", target, body={"authentication": authentication}, headers=headers)[0] == 200


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def connects(
    lab: Lab, device_id: str, leaf: x509.Certificate, key: Key, chain: list[x509.Certificate], folder: Path
) -> bool:
    (folder / "leaf.pem").write_bytes(b"".join(pem(der(one)) for one in (leaf, *chain)))
    (folder / "leaf.key").write_bytes(key_pem(key))
    try:
        with tls(lab, (folder / "leaf.pem", folder / "leaf.key")) as connection:
            return mqtt_connect(lab, connection, device_id) == 0
    except OSError:
        return False  # within TLS


def may_enter(
    world: World, device_id: str, leaf: x509.Certificate, chain: list[x509.Certificate], folder: Path
) -> bool:
    """What `openssl verify` says, with the CN beside it."""
    trusted = b"".join(pem(der(world.issuers[name].certificate)) for name in world.verified)
    for name, content in (
        ("trusted", trusted),
        ("chain", b"".join(pem(der(one)) for one in chain)),
        ("one", pem(der(leaf))),
    ):
        (folder / name).write_bytes(content)
    untrusted = ["-untrusted", str(folder / "chain")] if chain else []
    asked = ["openssl", "verify", "-partial_chain", "-trusted", str(folder / "trusted"), *untrusted]
    answer = subprocess.run([*asked, "-purpose", "sslclient", str(folder / "one")], capture_output=True, check=False)
    names = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return answer.returncode == 0 and bool(names) and names[-1].value == device_id
