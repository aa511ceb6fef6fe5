"""What load and bad lines do not do: lose what was acknowledged, or let one device's slowness reach the others."""

import asyncio
import socket
import ssl
import threading
import time
from asyncio import sslproto
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho  # type: ignore[import-untyped]
import pytest
from azure.iot.hub.models import AuthenticationMechanism, ExportImportDevice, Twin, X509Thumbprint

from tests.lab.clients import Lab, connect_clients, connect_packet, publish_packet, username, wait_until
from tests.lab.dialogue import connected, inbox, send
from tests.paper import Paper, make
from thingmint.lab import control
from thingmint.lab.cloud.door import most_connections
from thingmint.session import Session

Device = tuple[str, tuple[Path, Path]]
IDLE = 1_000


@contextmanager
def paho_client(lab: Lab, device_id: str, files: tuple[Path, Path]) -> Iterator[Any]:
    """As a device that is no SDK of Microsoft's does it; a session is kept, and what is not acknowledged sent again."""
    context = ssl.create_default_context(cafile=str(lab.target.ca_file))
    context.load_cert_chain(*files)
    context.check_hostname = False  # paho has no way to a name's port on this machine but the address
    client = paho.Client(device_id, clean_session=False)
    client.username_pw_set(username(lab, device_id))
    client.tls_set_context(context)
    client.reconnect_delay_set(1, 1)
    client.max_inflight_messages_set(100)
    up = threading.Event()
    client.on_connect = lambda *_: up.set()
    client.connect("127.0.0.1", lab.running.mqtt_port)
    client.loop_start()
    assert up.wait(10)
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def test_several_devices_at_once_lose_nothing(lab: Lab, trusted: Paper, tmp_path: Path) -> None:
    ids = [f"load-{number}" for number in range(4)]
    each = 500

    def speak(device_id: str) -> None:
        files = trusted.issue(device_id).save(tmp_path, device_id)
        with paho_client(lab, device_id, files) as client:
            topic = f"devices/{device_id}/messages/events/"
            last = [client.publish(topic, f"{number}", qos=1) for number in range(each)][-1]
            last.wait_for_publish(60)

    for device_id in ids:
        lab.register(device_id)
    threads = [threading.Thread(target=speak, args=(device_id,)) for device_id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    for device_id in ids:
        assert [one.body for one in lab.running.telemetry(device_id)] == [str(number) for number in range(each)]


def test_what_a_cut_line_took_along_comes_again(lab: Lab, device_files: Device) -> None:
    """At QoS 1 twice is allowed, and never is not."""
    device_id, files = device_files
    with paho_client(lab, device_id, files) as client:
        topic = f"devices/{device_id}/messages/events/"
        for start in range(0, 300, 100):
            sent = [client.publish(topic, f"{start + number}", qos=1) for number in range(100)]
            connection = client.socket()
            assert isinstance(connection, ssl.SSLSocket)
            connection.shutdown(socket.SHUT_RDWR)
            wait_until(lambda sent=sent: all(one.is_published() for one in sent), 30)  # type: ignore[misc]
    assert {one.body for one in lab.running.telemetry(device_id)} == {str(number) for number in range(300)}


def test_paho_takes_what_waited_in_its_queue(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    taken: list[bytes] = []
    with paho_client(lab, device_id, files) as client:
        client.on_message = lambda _client, _data, message: taken.append(message.payload)
        client.subscribe(inbox(device_id), 1)
        for number in range(50):
            assert send(lab, device_id, f"{number}")[0] == 200
        wait_until(lambda: len(taken) == 50, 20)
        wait_until(lambda: lab.registry.get_device(device_id).cloud_to_device_message_count == 0)
    assert taken == [f"{number}".encode() for number in range(50)]


@pytest.mark.timeout(120)
def test_a_device_that_does_not_read_is_cut_off_and_holds_nobody_up(
    lab: Lab, device_files: Device, trusted: Paper, tmp_path: Path
) -> None:
    device_id, files = device_files
    lab.register("reader")
    other = trusted.issue("reader").save(tmp_path, "reader")
    heard = lab.mark()
    with connected(lab, device_id, files) as deaf, connected(lab, "reader", other) as reader:
        deaf.subscribe("$iothub/twin/PATCH/properties/desired/#")
        # 30 kB at each turn, until the system's buffers and the lab's patience are used up
        started = time.monotonic()
        number = 0
        while "it does not read" not in heard() and "did not read" not in heard():
            number += 1
            values = {f"{part}": f"{number}-" + "x" * 3000 for part in range(9)}
            lab.registry.update_twin(device_id, Twin(properties={"desired": values}))
            before = time.monotonic()
            reader.publish("devices/reader/messages/events/", b"x", qos=1)
            assert reader.read() == (0x40, b"\x00\x07")
            assert time.monotonic() - before < 5
            assert time.monotonic() - started < 100
    wait_until(lambda: lab.registry.get_device(device_id).connection_state == "Disconnected")


def test_a_packet_may_come_in_drops(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    with connected(lab, device_id, files) as dialogue:
        whole = publish_packet(f"devices/{device_id}/messages/events/", b"slowly")
        for byte in whole:
            dialogue.connection.sendall(bytes((byte,)))
        assert dialogue.read() == (0x40, b"\x00\x07")
    assert [one.body for one in lab.running.telemetry(device_id)] == ["slowly"]


class _Idle(asyncio.Protocol):
    """A device that is connected, and speaks when it is asked to."""

    def __init__(self, hello: bytes) -> None:
        self._hello = hello
        self.answers: asyncio.Queue[bytes] = asyncio.Queue()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self._hello)

    def data_received(self, data: bytes) -> None:
        self.answers.put_nowait(data)

    def connection_lost(self, _error: Exception | None) -> None:
        self.answers.put_nowait(b"")


@pytest.fixture
def crowded(session: Session) -> Iterator[tuple[Lab, list[str], Paper]]:
    """A lab of its own, the ids of its devices, and the one certificate that all of them are known by."""
    lab, own = connect_clients(session, control.start(session)), make("idle", ca=False)
    pinned = AuthenticationMechanism(
        type="selfSigned", x509_thumbprint=X509Thumbprint(primary_thumbprint=own.thumbprint)
    )
    ids = [f"idle-{number}" for number in range(IDLE)]
    devices = [ExportImportDevice(id=one, import_mode="create", status="enabled", authentication=pinned) for one in ids]
    try:
        for start in range(0, IDLE, 100):
            assert lab.registry.bulk_create_or_update_devices(devices[start : start + 100]).is_successful
        yield lab, ids, own
    finally:
        control.stop(session)


@pytest.mark.timeout(180)  # for a machine that has more to do: five seconds otherwise
def test_a_thousand_idle_devices_are_held(
    crowded: tuple[Lab, list[str], Paper], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if most_connections() < IDLE + 20:  # it raises this process's limit as well, as far as it may
        pytest.skip("this system lets a process open too few files for a thousand connections")
    monkeypatch.setattr(sslproto.SSLProtocol, "max_size", 2_048)  # of each client's buffer
    lab, ids, own = crowded
    context = ssl.create_default_context(cafile=str(lab.target.ca_file))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(*own.save(tmp_path, "idle"))

    async def held() -> None:
        loop = asyncio.get_running_loop()
        slots = asyncio.Semaphore(8)

        async def connected(device_id: str) -> _Idle:
            hello = connect_packet(device_id, username(lab, device_id), keep_alive=0)
            async with slots:
                _, client = await loop.create_connection(
                    lambda: _Idle(hello),
                    "127.0.0.1",
                    lab.running.mqtt_port,
                    ssl=context,
                    server_hostname=lab.target.hub_host,
                )
                assert await client.answers.get() == b"\x20\x02\x00\x00"
            return client

        clients = await asyncio.gather(*map(connected, ids))
        for client in clients:
            client.transport.write(b"\xc0\x00")
        assert {await client.answers.get() for client in clients} == {b"\xd0\x00"}
        for client in clients:
            client.transport.abort()

    asyncio.run(held())
