"""Who reaches the lab, and which root its server shows: --listen and advise."""

import socket
import ssl
from pathlib import Path

import pytest

from tests.lab.clients import Lab, connack, connect_packet, mqtt_connect, tls, username
from tests.lab.conformance.rows import done
from tests.lab.test_listen import ADDRESS
from tests.paper import Paper, make
from thingmint.lab import trials
from thingmint.lab.advice.seen import Stage
from thingmint.target import PROVISIONING_DEVICES

Device = tuple[str, tuple[Path, Path]]
Files = tuple[Path, Path]


def is_refused(port: int) -> bool:
    try:
        socket.create_connection((ADDRESS, port), 5).close()
    except ConnectionRefusedError:
        return True
    return False


def outside(lab: Lab, files: Files, name: str, client_id: str, user: str) -> int | None:
    """CONNACK's code at the address of the network; None where there is no TLS connection."""
    context = ssl.create_default_context(cafile=str(lab.target.ca_file))
    context.load_cert_chain(*files)
    try:
        with (
            socket.create_connection((ADDRESS, lab.running.outside_port), 5) as plain,
            context.wrap_socket(plain, server_hostname=name) as secured,
        ):
            secured.sendall(connect_packet(client_id, user))
            return connack(secured)
    except (ssl.SSLError, ConnectionError):
        return None


@done("reach-loopback")
def loopback(lab: Lab) -> None:
    if not ADDRESS:
        pytest.skip("this machine has no address but its own loopback")
    running = lab.running
    for port in (running.https_port, running.mqtt_port, running.proxy_port, running.page_port):
        assert is_refused(port)


@done("reach-listen")
def listening(heard_outside: Lab, subca: Paper, tmp_path: Path) -> None:
    lab, running = heard_outside, heard_outside.running
    for port in (running.https_port, running.proxy_port, running.page_port):
        assert is_refused(port)
    good = subca.issue("conf-outside").save(tmp_path, "good")
    for name in (ADDRESS, lab.target.hub_host):
        assert outside(lab, good, name, "conf-outside", username(lab, "conf-outside")) == 0
    stranger = make("Stranger").issue("conf-outside").save(tmp_path, "stranger")
    assert outside(lab, stranger, ADDRESS, "conf-outside", username(lab, "conf-outside")) is None


@done("reach-provisioning")
def provisioning(heard_outside: Lab, tmp_path: Path) -> None:
    stranger = make("Stranger").issue("conf-outside").save(tmp_path, "stranger")
    user = "0ne00000000/registrations/conf-outside/api-version=2019-03-31"
    assert outside(heard_outside, stranger, PROVISIONING_DEVICES, "conf-outside", user) == 3  # no TLS alert: an answer


@done("second-root")
def second_root(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    roots = {name: lab.running.folder / name for name in ("ca.pem", "ca-second.pem")}

    def trusting(root: Path) -> str:
        context = ssl.create_default_context(cafile=str(root))
        context.load_cert_chain(*files)
        with socket.create_connection(("127.0.0.1", lab.running.mqtt_port), 5) as plain:
            try:
                with context.wrap_socket(plain, server_hostname=lab.target.hub_host):
                    return "trusted"
            except ssl.SSLCertVerificationError as error:
                return error.verify_message

    untrusted = "unable to get local issuer certificate"
    assert [trusting(root) for root in roots.values()] == ["trusted", untrusted]
    with trials.begun(lab.running, device_id) as trial:
        trial.play(Stage.OTHER_ROOT)
        assert [trusting(root) for root in roots.values()] == [untrusted, "trusted"]


@done("trial-alone")
def alone(lab: Lab, device_files: Device, trusted: Paper, tmp_path: Path) -> None:
    device_id, files = device_files
    lab.register("conf-bystander")
    bystander = trusted.issue("conf-bystander").save(tmp_path, "bystander")
    with trials.begun(lab.running, device_id) as trial:
        trial.play(Stage.BUSY)
        for name, papers, code in ((device_id, files, 3), ("conf-bystander", bystander, 0)):
            with tls(lab, papers) as connection:
                assert mqtt_connect(lab, connection, name) == code
    with tls(lab, files) as connection:
        assert mqtt_connect(lab, connection, device_id) == 0
