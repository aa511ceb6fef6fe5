"""What the tests talk to the lab with: Microsoft's SDKs, a plain HTTPS client, and a small MQTT one."""

import contextlib
import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from azure.identity import ClientSecretCredential
from azure.iot.hub import IoTHubRegistryManager
from azure.mgmt.iothub import IotHubClient
from azure.mgmt.iothub.models import CertificateDescription, CertificateProperties, CertificateVerificationDescription

from tests.paper import Paper
from thingmint.lab.control import RunningLab
from thingmint.session import Session
from thingmint.target import Target


@dataclass(frozen=True)
class Lab:
    """A running lab with the clients that its tests use."""

    session: Session
    running: RunningLab
    target: Target
    credential: ClientSecretCredential
    arm: Any
    registry: Any

    @property
    def log(self) -> str:
        return (self.running.folder / "lab.log").read_text()

    def mark(self) -> Callable[[], str]:
        """The log's lines from now on, with a moment's patience for the one that belongs to what just happened."""
        start = len(self.log)
        return lambda: self.log[start:]

    def upload(self, name: str, ca: Paper, *, verified: bool = True) -> Any:
        return self.arm.certificates.create_or_update(
            self.target.resource_group,
            self.target.hub,
            name,
            CertificateDescription(properties=CertificateProperties(certificate=ca.pem.decode(), is_verified=verified)),
        )

    def delete_certificate(self, name: str) -> None:
        rg, hub = self.target.resource_group, self.target.hub
        etag = self.arm.certificates.get(rg, hub, name).etag
        self.arm.certificates.delete(rg, hub, name, etag)

    def register(self, device_id: str, *, status: str = "enabled") -> Any:
        return self.registry.create_device_with_certificate_authority(device_id, status)

    def request(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        text: str | None = None,
        headers: Mapping[str, str] = {},
    ) -> tuple[int, dict[str, str], Any]:
        context = ssl.create_default_context(cafile=str(self.target.ca_file))
        connection = http.client.HTTPSConnection("localhost", self.running.https_port, context=context, timeout=10)
        with contextlib.closing(connection):
            sent = text if body is None else json.dumps(body)
            connection.request(method, path, sent, dict(headers))
            response = connection.getresponse()
            answer = response.read()
        return response.status, dict(response.getheaders()), json.loads(answer) if answer else None

    def ask(
        self,
        method: str,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] = {},
    ) -> tuple[int, Any]:
        """By the service's real name, through the lab's proxy. Status, and the body's JSON or None."""
        place = urlsplit(url)
        context = ssl.create_default_context(cafile=str(self.target.ca_file))
        connection = http.client.HTTPSConnection("127.0.0.1", self.running.proxy_port, context=context, timeout=10)
        connection.set_tunnel(str(place.hostname), 443)
        kind = {"Content-Type": "application/x-www-form-urlencoded"} if form is not None else {}
        target = url.partition(str(place.hostname))[2].replace(" ", "%20")
        with contextlib.closing(connection):
            connection.request(method, target, None if form is None else urlencode(form), {**kind, **headers})
            response = connection.getresponse()
            text = response.read()
        return response.status, json.loads(text) if text else None

    def bearer(self, audience: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.credential.get_token(f'{audience}/.default').token}"}

    @property
    def arm_path(self) -> str:
        t = self.target
        return (
            f"/subscriptions/{t.subscription_id}/resourceGroups/{t.resource_group}"
            f"/providers/Microsoft.Devices/IotHubs/{t.hub}"
        )


def connect_clients(session: Session, running: RunningLab) -> Lab:
    target = running.target(session.settings)
    login = target.login
    assert login
    ca = str(target.ca_file)
    credential = ClientSecretCredential(
        login.tenant_id,
        login.client_id,
        login.secret,
        authority=login.authority,
        disable_instance_discovery=True,
        connection_verify=ca,
    )
    arm = IotHubClient(
        credential,
        target.subscription_id,
        base_url=target.arm_url,
        credential_scopes=["https://management.azure.com/.default"],
        connection_verify=ca,
        retry_total=0,
    )
    registry = IoTHubRegistryManager.from_token_credential(target.registry_host, credential)
    registry.protocol.config.connection.verify = ca
    return Lab(session, running, target, credential, arm, registry)


def verification(proof: Paper) -> CertificateVerificationDescription:
    return CertificateVerificationDescription(certificate=proof.pem.decode())


def wait_until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


# --- MQTT, byte by byte: a client that can also misbehave --------------------------------------------------------


def text(value: str) -> bytes:
    return len(value.encode()).to_bytes(2, "big") + value.encode()


def packet(first: int, body: bytes) -> bytes:
    length, encoded = len(body), bytearray()
    while True:
        length, low = divmod(length, 128)
        encoded.append(low | (0x80 if length else 0))
        if not length:
            return bytes((first, *encoded)) + body


def connect_packet(client_id: str, username: str, *, level: int = 4, keep_alive: int = 60) -> bytes:
    flags = 0x80  # user name, and no clean session, as the SDK has it
    return packet(
        0x10, text("MQTT") + bytes((level, flags)) + keep_alive.to_bytes(2, "big") + text(client_id) + text(username)
    )


def publish_packet(topic: str, payload: bytes, *, qos: int = 1, packet_id: int = 7) -> bytes:
    number = packet_id.to_bytes(2, "big") if qos else b""
    return packet(0x30 | qos << 1, text(topic) + number + payload)


@contextlib.contextmanager
def tls(lab: Lab, files: tuple[Path, Path] | None, *, host: str = "") -> Iterator[ssl.SSLSocket]:
    """A TLS connection to the devices' endpoint. Raises ssl.SSLError where the hub refuses the certificate."""
    context = ssl.create_default_context(cafile=str(lab.target.ca_file))
    if files:
        context.load_cert_chain(*files)
    with (
        socket.create_connection(("127.0.0.1", lab.running.mqtt_port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=host or lab.target.hub_host) as secured,
    ):
        yield secured


def username(lab: Lab, device_id: str) -> str:
    return f"{lab.target.hub_host}/{device_id}/?api-version=2019-10-01&DeviceClientType=test"


def connack(connection: ssl.SSLSocket) -> int:
    answer = connection.recv(4)
    assert answer[:2] == b"\x20\x02", answer
    assert answer[2] in (0, 1), answer  # whether there was a session
    return answer[3]


def mqtt_connect(lab: Lab, connection: ssl.SSLSocket, device_id: str) -> int:
    """The CONNACK's code."""
    connection.sendall(connect_packet(device_id, username(lab, device_id)))
    return connack(connection)


def is_closed(connection: ssl.SSLSocket) -> bool:
    try:
        return connection.recv(1) == b""
    except (ConnectionError, ssl.SSLError):
        return True
