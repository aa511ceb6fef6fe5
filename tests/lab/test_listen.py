"""--listen: a device of the network reaches the lab's MQTT endpoint by this machine's address, and nothing else of it."""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.clients import connack, connect_packet
from tests.paper import make
from thingmint import config
from thingmint.console import Console
from thingmint.errors import InputError
from thingmint.hub.certificates import HubCertificates
from thingmint.hub.credentials import open_credential
from thingmint.hub.registry import open_registry
from thingmint.lab import control, listen
from thingmint.lab.control import RunningLab
from thingmint.session import Session, make_session


def own_address() -> str:
    """Of the network that the default route leads to; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        address = str(probe.getsockname()[0])
    return "" if address.startswith("127.") else address


ADDRESS = own_address()
reachable = pytest.mark.skipif(not ADDRESS, reason="this machine has no address but its own loopback")


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    return make_session(tmp_path_factory.mktemp("listening"), config.load({}), Console())


@pytest.fixture(scope="module")
def lab(session: Session) -> Iterator[RunningLab]:
    running = control.start(session, listen=listen.parse(ADDRESS))
    yield running
    control.stop(session)


def secured(lab: RunningLab, files: tuple[Path, Path], name: str) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(lab.folder / "ca.pem"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(*files)
    return context.wrap_socket(socket.create_connection((ADDRESS, lab.outside_port), 5), server_hostname=name)


@reachable
@pytest.mark.parametrize("by", ["address", "hub's name"])
def test_a_device_of_the_network_is_let_in_by_its_certificate(
    lab: RunningLab, session: Session, tmp_path: Path, by: str
) -> None:
    target = lab.target(session.settings)
    credential = open_credential(target)
    device_id = f"dev-{len(by)}"
    subca = make("Root").issue("Intermediate", ca=True)
    name = f"cert-{len(by)}"
    hub = HubCertificates(target, credential)
    uploaded = hub.upload(name, subca.pem, etag=None)
    challenge = hub.verification_code(name, etag=uploaded.etag)
    hub.verify(name, etag=challenge.etag, proof_pem=subca.issue(challenge.code).pem)
    devices = open_registry(target, credential)
    devices.create(device_id)
    username = f"{target.hub_host}/{device_id}/?api-version=2019-10-01"
    files = subca.issue(device_id).save(tmp_path, "device", subca)
    with secured(lab, files, ADDRESS if by == "address" else target.hub_host) as connection:
        connection.sendall(connect_packet(device_id, username))
        assert connack(connection) == 0
    hub.close()
    devices.close()


@reachable
def test_nothing_else_of_the_lab_is_reached_there(lab: RunningLab) -> None:
    for port in (lab.https_port, lab.proxy_port, lab.mqtt_port):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((ADDRESS, port), 5)


@reachable
def test_a_stranger_is_refused_there_as_anywhere(lab: RunningLab, tmp_path: Path) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        secured(lab, make("Stranger").issue("dev-1").save(tmp_path, "stranger"), ADDRESS).recv(1)


@reachable
def test_a_running_lab_does_not_begin_to_listen_by_the_way(lab: RunningLab, session: Session, tmp_path: Path) -> None:
    assert control.start(session, listen=listen.parse(ADDRESS)).pid == lab.pid
    other = make_session(tmp_path / "ws", config.load({}), Console())
    control.start(other)
    try:
        with pytest.raises(InputError, match="to this machine alone"):
            control.start(other, listen=listen.parse(ADDRESS))
    finally:
        control.stop(other)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no address"),
        ("no such name", "no address"),
        ("bücher", "no address"),
        ("0.0.0.0", "every network"),
        ("::", "every network"),
        ("127.0.0.1", "this machine alone"),
        ("localhost", "this machine alone"),
        ("192.0.2.77", "cannot listen there"),
    ],
)
def test_what_is_no_address_to_listen_on_is_refused(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        listen.parse(text)
