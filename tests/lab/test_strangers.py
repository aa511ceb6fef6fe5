"""Clients without a right to be there: they hold no place that another needs, and do not keep the lab alive."""

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab.clients import Lab, connack, connect_clients, connect_packet, mqtt_connect, tls, wait_until
from tests.lab.provisioning import Service
from tests.lab.within import in_process, role
from tests.paper import Paper, make
from thingmint.lab import control
from thingmint.lab.cloud import door, server
from thingmint.lab.cloud.mqtt import connection, endpoint
from thingmint.lab.cloud.provisioning import session as registering
from thingmint.lab.listen import Listen
from thingmint.lab.state import LabFolder, LabRecord, Role
from thingmint.session import Session
from thingmint.target import PROVISIONING_DEVICES

MOST = 8
OUTSIDE = Listen("127.0.0.1", "127.0.0.1")  # the option would refuse it; what stands behind is the same
Files = tuple[Path, Path]
Register = Callable[..., ssl.SSLSocket]


@pytest.fixture
def stranger(tmp_path: Path) -> Files:
    return make("stranger", ca=False).save(tmp_path, "stranger")


@pytest.fixture
def register() -> Iterator[Register]:
    """Connects a client to register, let in and silent for as long as a client can wish for."""
    with contextlib.ExitStack() as held:

        def connect(port: int, ca: Path, id_scope: str, registration_id: str, files: Files) -> ssl.SSLSocket:
            context = ssl.create_default_context(cafile=str(ca))
            context.load_cert_chain(*files)
            plain = held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
            secured = held.enter_context(context.wrap_socket(plain, server_hostname=PROVISIONING_DEVICES))
            username = f"{id_scope}/registrations/{registration_id}/api-version=2019-03-31"
            secured.sendall(connect_packet(registration_id, username, keep_alive=0))
            assert connack(secured) == 0
            return secured

        yield connect


def is_up(connection: ssl.SSLSocket) -> bool:
    try:
        connection.sendall(b"\xc0\x00")
        return connection.recv(2) == b"\xd0\x00"
    except OSError:
        return False


def test_whoever_has_no_enrollment_holds_no_place(
    folder: LabFolder, stranger: Files, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "most_connections", lambda: MOST)

    def watch(record: LabRecord) -> None:
        connections = [
            register(record.mqtt_port, folder.ca, record.role.id_scope, "stranger", stranger) for _ in range(3 * MOST)
        ]
        assert is_up(connections[-1])
        assert not is_up(connections[0])

    in_process(folder, watch)


def test_a_connect_has_its_time(folder: LabFolder, stranger: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_CONNECT_SECONDS", 0.3)

    def watch(record: LabRecord) -> None:
        context = ssl.create_default_context(cafile=str(folder.ca))
        context.load_cert_chain(*stranger)
        plain = socket.create_connection(("127.0.0.1", record.mqtt_port), timeout=5)
        with plain, context.wrap_socket(plain, server_hostname=PROVISIONING_DEVICES) as secured:
            started = time.monotonic()
            with contextlib.suppress(OSError):
                for byte in connect_packet("slow", "s" * 60_000):  # it is not silent
                    secured.sendall(bytes((byte,)))
                    time.sleep(0.005)
            assert time.monotonic() - started < 5
        wait_until(lambda: "it was silent, or did not read, for too long" in folder.log.read_text())

    in_process(folder, watch)


def test_a_device_that_was_let_in_keeps_its_place(
    session: Session, tmp_path: Path, stranger: Files, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "most_connections", lambda: MOST)
    folder, own = LabFolder(session.workspace.lab), make("kept", ca=False)
    folder.make(session.shell)

    def watch(record: LabRecord) -> None:
        running = control.running(session)
        assert running
        lab = connect_clients(session, running)
        lab.registry.create_device_with_x509("kept", own.thumbprint, "F" * 40, "enabled")
        with tls(lab, own.save(tmp_path, "kept")) as device:
            assert mqtt_connect(lab, device, "kept") == 0
            for _ in range(2 * MOST):
                register(record.mqtt_port, folder.ca, record.role.id_scope, "stranger", stranger)
            assert is_up(device)

    in_process(folder, watch, Role.of(session.settings))


def test_those_who_register_have_their_time(
    folder: LabFolder, stranger: Files, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registering, "_LIFE_SECONDS", 0.5)

    def watch(record: LabRecord) -> None:
        registered = register(record.mqtt_port, folder.ca, record.role.id_scope, "stranger", stranger)
        started = time.monotonic()
        while is_up(registered):  # it is not silent
            assert time.monotonic() - started < 5
        wait_until(lambda: "'stranger': connection closed: it had 0.5 s to register" in folder.log.read_text())

    in_process(folder, watch)


def test_strangers_give_way_to_strangers_and_not_those_who_are_enrolled(
    lab: Lab,
    provisioning: Service,
    subca: Paper,
    stranger: Files,
    register: Register,
    tmp_path: Path,
) -> None:
    provisioning.upload("subca", subca)
    provisioning.enroll_group("g")
    place = (lab.running.mqtt_port, Path(str(lab.target.ca_file)), provisioning.id_scope)
    enrolled = register(*place, "enrolled", subca.issue("enrolled").save(tmp_path, "enrolled"))
    # In its name, too: nobody but the right certificate makes it give way.
    strangers = [register(*place, "enrolled", stranger) for _ in range(endpoint._MOST_STRANGERS + 1)]
    assert not is_up(strangers[0])
    assert is_up(strangers[1])
    assert is_up(enrolled)
    own = subca.issue("enrolled").save(tmp_path, "newer")
    newer = [register(*place, "ENROLLED", own) for _ in range(endpoint._MOST_OF_ONE)]
    assert all(map(is_up, newer))
    assert not is_up(enrolled)


def test_outside_others_lose_their_places_and_inside_nobody(
    folder: LabFolder, stranger: Files, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "most_connections", lambda: MOST)
    monkeypatch.setattr(endpoint, "most_connections", lambda: MOST)

    def watch(record: LabRecord) -> None:
        place = (folder.ca, record.role.id_scope, "stranger", stranger)
        inside = [register(record.mqtt_port, *place) for _ in range(MOST)]
        outside = [register(record.outside_port, *place) for _ in range(MOST)]
        assert all(map(is_up, inside))
        assert list(map(is_up, outside)) == [False] * (MOST - MOST // door.OUTSIDE) + [True] * (MOST // door.OUTSIDE)
        assert "mqtt (outside): refused a connection: it had no claim" in folder.log.read_text()

    in_process(folder, watch, role(OUTSIDE))


def test_strangers_from_outside_do_not_keep_the_lab_alive(
    folder: LabFolder, stranger: Files, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    touched: list[object] = []
    monkeypatch.setattr(server._Lab, "_touch", lambda _lab: touched.append(1))

    def watch(record: LabRecord) -> None:
        place = (folder.ca, record.role.id_scope, "stranger", stranger)
        socket.create_connection(("127.0.0.1", record.outside_port), timeout=5).close()
        registered = register(record.outside_port, *place)
        for _ in range(3):
            assert is_up(registered)
        assert not touched
        register(record.mqtt_port, *place)
        assert touched  # whoever is on this machine is somebody who uses it

    in_process(folder, watch, role(OUTSIDE))
