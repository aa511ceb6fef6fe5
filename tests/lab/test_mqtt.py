"""The devices' protocol: Microsoft's device SDK through the proxy, and what the SDK would never send."""

import datetime as dt
import gc
import json
from pathlib import Path

import pytest
from azure.iot.device.exceptions import ConnectionFailedError, CredentialError

from tests.lab.clients import (
    Lab,
    connack,
    connect_packet,
    is_closed,
    mqtt_connect,
    packet,
    publish_packet,
    text,
    tls,
    username,
    wait_until,
)
from tests.lab.sdks import sdk, sdk_client
from tests.paper import Paper, make

# azure-iot-device itself asks for ssl.PROTOCOL_TLSv1_2.
pytestmark = pytest.mark.filterwarnings("ignore:ssl.PROTOCOL_TLSv1_2 is deprecated:DeprecationWarning")

Device = tuple[str, tuple[Path, Path]]


def test_the_device_sdk_is_heard(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    before = dt.datetime.now(dt.UTC)
    client = sdk_client(lab, device_id, files)
    try:
        client.connect()
        message = sdk.Message('{"temperature":21.5}', content_encoding="utf-8", content_type="application/json")
        message.message_id = "first one/ä+b"
        message.custom_properties["name&="] = "väl ue+"
        client.send_message(message)
        state = lab.registry.get_device(device_id)
        assert state.connection_state == "Connected"
        assert state.last_activity_time >= before
    finally:
        client.shutdown()
    (heard,) = lab.running.telemetry(device_id)
    assert json.loads(heard.body) == {"temperature": 21.5}
    assert heard.properties == {
        "$.mid": "first one/ä+b",
        "$.ct": "application/json",
        "$.ce": "utf-8",
        "name&=": "väl ue+",
    }
    assert before <= heard.received_at <= dt.datetime.now(dt.UTC)
    assert lab.running.telemetry(device_id, after=heard.sequence) == []
    wait_until(lambda: lab.registry.get_device(device_id).connection_state == "Disconnected")


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_the_device_sdk_is_refused(lab: Lab, trusted: Paper, tmp_path: Path) -> None:
    rogue = sdk_client(lab, "rogue", make("Rogue CA").issue("rogue").save(tmp_path, "rogue"))
    with pytest.raises(ConnectionFailedError):
        rogue.connect()
    rogue.shutdown()
    unknown = sdk_client(lab, "unknown", trusted.issue("unknown").save(tmp_path, "unknown"))
    with pytest.raises(CredentialError):
        unknown.connect()
    unknown.shutdown()
    # paho leaves the socket of a refused handshake to the collector: let that happen while its warning is expected.
    del rogue, unknown
    gc.collect()


def test_publish_and_its_acknowledgement(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    with tls(lab, files) as connection:
        assert mqtt_connect(lab, connection, device_id) == 0
        topic = f"devices/{device_id}/messages/events/"
        connection.sendall(publish_packet(topic, b"zero", qos=0) + publish_packet(topic, b"one", packet_id=515))
        assert connection.recv(4) == b"\x40\x02\x02\x03"
        # An acknowledged message is a stored one.
        assert [heard.body for heard in lab.running.telemetry(device_id)] == ["zero", "one"]
        large = publish_packet(topic, b"x" * 200_000, packet_id=3)
        connection.sendall(large)
        assert connection.recv(4) == b"\x40\x02\x00\x03"


def test_subscriptions_ping_and_disconnect(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    topics = (
        f"devices/{device_id}/messages/devicebound/#",
        "$iothub/twin/res/#",
        "$iothub/methods/POST/#",
        "#",
        "devices/other/messages/devicebound/#",
    )
    with tls(lab, files) as connection:
        assert mqtt_connect(lab, connection, device_id) == 0
        connection.sendall(packet(0x82, b"\x00\x09" + b"".join(text(topic) + b"\x01" for topic in topics)))
        assert connection.recv(9) == b"\x90\x07\x00\x09\x01\x01\x01\x80\x80"
        connection.sendall(packet(0xA2, b"\x00\x0a" + text("$iothub/twin/res/#")))
        assert connection.recv(4) == b"\xb0\x02\x00\x0a"
        connection.sendall(b"\xc0\x00")
        assert connection.recv(2) == b"\xd0\x00"
        connection.sendall(b"\xe0\x00")
        assert is_closed(connection)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (publish_packet("devices/another/messages/events/", b""), "no topic of its own"),
        (publish_packet("hello", b""), "no topic of its own"),
        (publish_packet("devices/x", b"", qos=2), "QoS 2"),
        (b"\xf0\x00", "malformed packet"),
        (b"\x30\xff\xff\xff\x7f", "are the limit"),
        (connect_packet("x", "y"), "second CONNECT"),
    ],
)
def test_what_ends_a_connection(lab: Lab, device_files: Device, data: bytes, reason: str) -> None:
    device_id, files = device_files
    heard = lab.mark()
    with tls(lab, files) as connection:
        assert mqtt_connect(lab, connection, device_id) == 0
        connection.sendall(data)
        assert is_closed(connection)
    wait_until(lambda: reason in heard())
    wait_until(lambda: lab.registry.get_device(device_id).connection_state == "Disconnected")


def test_connect_packets_that_are_refused(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    good = username(lab, device_id)
    for data, expected in (
        (connect_packet(device_id, good, level=5), 1),
        (connect_packet(device_id, ""), 4),
        (connect_packet(device_id, good.replace("-dev", "-prod")), 4),
        (connect_packet(device_id, username(lab, "another")), 4),
        (connect_packet("", good), 2),
    ):
        with tls(lab, files) as connection:
            connection.sendall(data)
            assert connack(connection) == expected
            assert is_closed(connection)
    with tls(lab, files) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert is_closed(connection)


def test_a_will_of_qos_2_ends_the_connection(lab: Lab, device_files: Device) -> None:
    """As a message of QoS 2 does: https://learn.microsoft.com/azure/iot/iot-mqtt-connect-to-iot-hub."""
    device_id, files = device_files
    will = text(f"devices/{device_id}/messages/events/") + text("gone")
    heard = lab.mark()
    with tls(lab, files) as connection:
        flags = 0x80 | 0x10 | 0x04  # user name; a will, of QoS 2
        body = text("MQTT") + bytes((4, flags, 0, 60)) + text(device_id) + will + text(username(lab, device_id))
        connection.sendall(packet(0x10, body))
        assert is_closed(connection)
    wait_until(lambda: "its will is of QoS 2, which the service does not know" in heard())


def test_silence_beyond_the_keep_alive(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    with tls(lab, files) as connection:
        connection.sendall(connect_packet(device_id, username(lab, device_id), keep_alive=1))
        assert connack(connection) == 0
        assert is_closed(connection)  # after 1.5 s; the socket would wait 5 s


def test_the_newer_connection_takes_over(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    with tls(lab, files) as older, tls(lab, files) as newer:
        assert mqtt_connect(lab, older, device_id) == 0
        assert mqtt_connect(lab, newer, device_id) == 0
        assert is_closed(older)
        newer.sendall(b"\xc0\x00")
        assert newer.recv(2) == b"\xd0\x00"
        assert lab.registry.get_device(device_id).connection_state == "Connected"
