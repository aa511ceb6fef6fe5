"""The lab's certificates: kept from start to start while they are good, since devices are loaded with its CA."""

import dataclasses
import datetime as dt
import ipaddress
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509

from tests.paper import make
from thingmint.lab.cloud import tls
from thingmint.lab.state import LabFolder, Role

ROLE = Role("acc50000", "tenant", "group", "hub-dev", "provs-dev", 60.0)


@pytest.fixture
def folder(tmp_path: Path) -> LabFolder:
    made = LabFolder(tmp_path)
    tls.make_certificates(made, ROLE)
    return made


def test_they_are_kept_while_they_are_good(folder: LabFolder) -> None:
    before = folder.ca.read_bytes(), folder.server_key.read_bytes()
    assert tls.keep_or_make(folder, ROLE) > dt.datetime.now(dt.UTC) + dt.timedelta(days=6)
    assert (folder.ca.read_bytes(), folder.server_key.read_bytes()) == before


def another_ca(folder: LabFolder) -> None:
    kept = folder.server_key.read_bytes()
    tls.make_certificates(folder, ROLE)
    folder.server_key.write_bytes(kept)


def of_an_older_lab(folder: LabFolder) -> None:
    """Its CA was held to the same hosts, and to nothing else."""
    with pytest.MonkeyPatch.context() as patch:
        names = [x509.DNSName(host) for host in tls.hosts(ROLE)]
        patch.setattr(tls, "_constraints", lambda _role: x509.NameConstraints(names, None))
        tls.make_certificates(folder, ROLE)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: folder.ca.unlink(),
        lambda folder: folder.server_key.write_bytes(b"half"),
        another_ca,
        lambda folder: tls.make_certificates(folder, dataclasses.replace(ROLE, hub="other-dev")),
        of_an_older_lab,
    ],
    ids=["no CA", "half a key", "of another CA", "for another hub", "of other constraints"],
)
def test_what_does_not_fit_is_made_anew(folder: LabFolder, damage: Callable[[LabFolder], None]) -> None:
    damage(folder)
    damaged = folder.ca.read_bytes() if folder.ca.exists() else b""
    tls.keep_or_make(folder, ROLE)
    kept = folder.ca.read_bytes()
    assert kept != damaged
    tls.keep_or_make(folder, ROLE)
    assert folder.ca.read_bytes() == kept  # whole again


def test_they_are_made_anew_a_day_before_they_end(folder: LabFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(tls, "LIFETIME", dt.timedelta(hours=24))
        tls.make_certificates(folder, ROLE)
    old = folder.ca.read_bytes()
    tls.keep_or_make(folder, ROLE)
    assert folder.ca.read_bytes() != old


def test_the_ca_vouches_for_no_other_name_of_any_kind(folder: LabFolder, tmp_path: Path) -> None:
    """By openssl, on a CA with these constraints whose key is at hand: that of the lab's is gone."""
    lab_ca = x509.load_pem_x509_certificate(folder.ca.read_bytes())
    constraints = lab_ca.extensions.get_extension_for_class(x509.NameConstraints)
    ca = make("a CA", constraints=constraints.value)
    (tmp_path / "ca.pem").write_bytes(ca.pem)

    def verified(name: x509.GeneralName) -> bool:
        leaf = tmp_path / "leaf.pem"
        leaf.write_bytes(ca.issue("localhost", names=[name]).pem)
        words = ["openssl", "verify", "-x509_strict", "-CAfile", str(tmp_path / "ca.pem"), str(leaf)]
        done = subprocess.run(words, check=False, capture_output=True, text=True)
        assert done.returncode == 0 or "permitted subtree violation" in done.stderr, done.stderr
        return done.returncode == 0

    for host in (*tls.hosts(ROLE), f"below.{ROLE.hub_host}"):
        assert verified(x509.DNSName(host))
    assert verified(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
    for other in (
        x509.DNSName("example.com"),
        x509.DNSName("azure.com"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.2")),
        x509.IPAddress(ipaddress.ip_address("::1")),
        x509.RFC822Name("somebody@example.com"),
        x509.RFC822Name("somebody@localhost"),
        x509.UniformResourceIdentifier("https://example.com/"),
        x509.UniformResourceIdentifier("https://localhost/"),
    ):
        assert not verified(other), other
