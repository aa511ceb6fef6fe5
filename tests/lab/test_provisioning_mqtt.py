"""The registering device's protocol, byte by byte: what the SDK would never send."""

import contextlib
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.clients import Lab, connack, connect_packet, is_closed, packet, publish_packet, text, tls
from tests.lab.provisioning import Service
from tests.paper import Paper
from thingmint.target import PROVISIONING_DEVICES

ASK = "$dps/registrations/PUT/iotdps-register/?$rid=r1"
STATUS = "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=r2&operationId="
SUBSCRIBE = packet(0x82, b"\x00\x01" + text("$dps/registrations/res/#") + b"\x01")


@pytest.fixture
def files(provisioning: Service, subca: Paper, tmp_path: Path) -> tuple[Path, Path]:
    provisioning.upload("subca", subca)
    provisioning.enroll_group("g")
    return subca.issue("raw-1").save(tmp_path, "leaf")


def name(provisioning: Service, registration_id: str = "raw-1", scope: str = "") -> str:
    return f"{scope or provisioning.id_scope}/registrations/{registration_id}/api-version=2019-03-31&ClientVersion=t"


@contextlib.contextmanager
def connected(provisioning: Service, files: tuple[Path, Path]) -> Iterator[ssl.SSLSocket]:
    with tls(provisioning.lab, files, host=PROVISIONING_DEVICES) as connection:
        connection.sendall(connect_packet("raw-1", name(provisioning)))
        assert connack(connection) == 0
        yield connection


def answer(connection: ssl.SSLSocket) -> tuple[str, Any]:
    """Topic and body of a PUBLISH at QoS 1, behind the acknowledgement of what was asked."""
    assert connection.recv(4)[:2] == b"\x40\x02"
    first = connection.recv(1)[0]
    assert first == 0x32
    length = shift = 0
    while True:
        byte = connection.recv(1)[0]
        length |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            break
    body = b""
    while len(body) < length:
        body += connection.recv(length - len(body))
    end = 2 + int.from_bytes(body[:2], "big")
    return body[2:end].decode(), json.loads(body[end + 2 :])


def subscribe(connection: ssl.SSLSocket) -> None:
    connection.sendall(SUBSCRIBE)
    assert connection.recv(5) == b"\x90\x03\x00\x01\x01"


def test_a_request_is_taken_and_its_outcome_asked_for(provisioning: Service, files: tuple[Path, Path]) -> None:
    with connected(provisioning, files) as connection:
        subscribe(connection)
        connection.sendall(publish_packet(ASK, b'{"registrationId":"raw-1","payload":null}'))
        topic, told = answer(connection)
        assert topic == "$dps/registrations/res/202/?$rid=r1&retry-after=1"
        assert told["status"] == "assigning"
        connection.sendall(publish_packet(STATUS + told["operationId"], b" "))
        topic, outcome = answer(connection)
    assert topic == "$dps/registrations/res/200/?$rid=r2"
    assert (outcome["operationId"], outcome["status"]) == (told["operationId"], "assigned")
    state = outcome["registrationState"]
    assert state["x509"] == {}
    assert (state["registrationId"], state["assignedHub"]) == ("raw-1", provisioning.lab.target.hub_host)
    provisioning.lab.registry.delete_device("raw-1")


@pytest.mark.parametrize(
    ("topic", "payload", "status", "code"),
    [
        (ASK, b"{", 400, 400000),
        (ASK, b"[]", 400, 400000),
        (ASK, b'{"registrationId":"raw-2"}', 400, 400000),
        (STATUS + "5.unknown", b" ", 404, 404202),
    ],
)
def test_what_cannot_be_answered_is_refused_in_the_services_form(
    provisioning: Service, files: tuple[Path, Path], topic: str, payload: bytes, status: int, code: int
) -> None:
    log = provisioning.lab.mark()
    with connected(provisioning, files) as connection:
        subscribe(connection)
        connection.sendall(publish_packet(topic, payload))
        where, told = answer(connection)
    assert where.startswith(f"$dps/registrations/res/{status}/?$rid=r")
    assert set(told) == {"errorCode", "trackingId", "message", "timestampUtc"}
    assert told["errorCode"] == code
    assert f"refused device 'raw-1': registration ({code}): " in log()


def test_who_may_connect(provisioning: Service, files: tuple[Path, Path]) -> None:
    log = provisioning.lab.mark()
    for data, code, reason in (
        (connect_packet("raw-1", name(provisioning), level=5), 1, "protocol level 5"),
        (connect_packet("raw_", name(provisioning, "raw_")), 2, "is no valid registration id"),
        (connect_packet("raw-1", name(provisioning, scope="0neFFFFFFFF")), 3, "its id scope '0neFFFFFFFF'"),
        (connect_packet("raw-1", name(provisioning, "raw-2")), 4, "its username is not"),
        (connect_packet("raw-1", "hub.azure-devices.net/raw-1/?api-version=2021-04-12"), 4, "its username is not"),
    ):
        with tls(provisioning.lab, files, host=PROVISIONING_DEVICES) as connection:
            connection.sendall(data)
            assert connack(connection) == code
            assert is_closed(connection)
        assert reason in log()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (publish_packet("devices/raw-1/messages/events/", b"{}"), "no topic of the service"),
        (publish_packet(ASK, b"{}", qos=2), "QoS 2"),
        (publish_packet(ASK, b"{}"), "has not subscribed"),
    ],
)
def test_what_ends_the_connection(provisioning: Service, files: tuple[Path, Path], data: bytes, reason: str) -> None:
    log = provisioning.lab.mark()
    with connected(provisioning, files) as connection:
        connection.sendall(data)
        while connection.recv(100):
            pass
    assert reason in log()


def test_there_is_one_topic_to_subscribe_to(provisioning: Service, files: tuple[Path, Path]) -> None:
    with connected(provisioning, files) as connection:
        connection.sendall(packet(0x82, b"\x00\x01" + text("$iothub/twin/res/#") + b"\x01"))
        assert connection.recv(5) == b"\x90\x03\x00\x01\x80"


def test_a_registering_device_is_not_connected_to_the_hub(
    lab: Lab, provisioning: Service, files: tuple[Path, Path]
) -> None:
    lab.register("raw-1")
    with connected(provisioning, files):
        assert lab.registry.get_device("raw-1").connection_state == "Disconnected"
    lab.registry.delete_device("raw-1")
