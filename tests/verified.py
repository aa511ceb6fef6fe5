"""A lab whose hub trusts an authority and knows a device: what each test of the device's side begins with."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tests.hasty  # noqa: F401 - to be imported is all it does
from tests.paper import Paper, make
from thingmint import config
from thingmint.console import Console
from thingmint.hub.certificates import HubCertificates
from thingmint.hub.credentials import open_credential
from thingmint.hub.enrollments import Enrollments
from thingmint.hub.identity import Registry
from thingmint.hub.provisioning import ProvisioningCertificates
from thingmint.hub.registry import open_registry
from thingmint.hub.resources import Resources
from thingmint.lab import control
from thingmint.lab.control import RunningLab
from thingmint.session import make_session
from thingmint.target import Target


@dataclass(frozen=True)
class Bench:
    """A lab whose hub knows one verified intermediate CA and one device, `dev-1`."""

    lab: RunningLab
    target: Target
    subca: Paper
    certificates: HubCertificates
    devices: Registry


@contextlib.contextmanager
def verified_lab(folder: Path) -> Iterator[Bench]:
    session = make_session(folder, config.load({}), Console())
    lab = control.start(session)
    target = lab.target(session.settings)
    credential = open_credential(target)
    hub = HubCertificates(target, credential)
    subca = make("Root").issue("Intermediate", ca=True)
    uploaded = hub.upload("cert-subca", subca.pem, etag=None)
    challenge = hub.verification_code("cert-subca", etag=uploaded.etag)
    hub.verify("cert-subca", etag=challenge.etag, proof_pem=subca.issue(challenge.code).pem)
    devices = open_registry(target, credential)
    devices.create("dev-1")
    yield Bench(lab, target, subca, hub, devices)
    hub.close()
    devices.close()
    control.stop(session)


@dataclass(frozen=True)
class Gate:
    """A lab's provisioning service, by which devices of the lab's CA come in."""

    bench: Bench
    enrollments: Enrollments
    id_scope: str

    @property
    def target(self) -> Target:
        return self.bench.target


@contextlib.contextmanager
def enrolled(bench: Bench) -> Iterator[Gate]:
    credential = open_credential(bench.target)
    certificates = ProvisioningCertificates(bench.target, credential)
    uploaded = certificates.upload("subca", bench.subca.pem, etag=None)
    challenge = certificates.verification_code("subca", etag=uploaded.etag)
    certificates.verify("subca", etag=challenge.etag, proof_pem=bench.subca.issue(challenge.code).pem)
    enrollments = Enrollments(bench.target, credential)
    enrollments.put_group("subca", certificate="subca", hub=bench.target.hub_host, judged=None)
    service = Resources(bench.target, credential).service()
    assert service
    yield Gate(bench, enrollments, service.id_scope)
    enrollments.close()
    certificates.close()
