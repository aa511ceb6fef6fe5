"""The devices' endpoint, packet by packet: what the service's MQTT is, and what a general broker's is not."""

import ssl
from pathlib import Path

import pytest

from tests.lab.clients import Lab, connect_packet, is_closed, mqtt_connect, packet, publish_packet, text, tls, username
from tests.lab.conformance.rows import done, left_out
from tests.paper import Paper, make

Device = tuple[str, tuple[Path, Path]]


@done("mqtt-certificates")
def certificates(lab: Lab, device_files: Device, tmp_path: Path) -> None:
    device_id, files = device_files
    with tls(lab, files) as connection:
        assert mqtt_connect(lab, connection, device_id) == 0
    stranger = make("Rogue CA").issue(device_id).save(tmp_path, "stranger")
    with pytest.raises((ssl.SSLError, ConnectionError)), tls(lab, stranger) as connection:
        mqtt_connect(lab, connection, device_id)


@done("mqtt-name-is-id")
def name_is_id(lab: Lab, device_files: Device, trusted: Paper, tmp_path: Path) -> None:
    device_id, _ = device_files
    with tls(lab, trusted.issue("another").save(tmp_path, "another")) as connection:
        assert mqtt_connect(lab, connection, device_id) == 5


@done("mqtt-disabled-device")
def disabled(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    etag = lab.registry.get_device(device_id).etag
    lab.registry.update_device_with_certificate_authority(device_id, etag, "disabled")
    with tls(lab, files) as connection:
        assert mqtt_connect(lab, connection, device_id) == 5


@done("mqtt-version")
def version(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    with tls(lab, files) as connection:
        connection.sendall(connect_packet(device_id, username(lab, device_id), level=5))
        assert connection.recv(4)[3:] == b"\x01"


@done("mqtt-telemetry")
def telemetry(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    with tls(lab, files) as connection:
        mqtt_connect(lab, connection, device_id)
        connection.sendall(publish_packet(f"devices/{device_id}/messages/events/$.mid=one&a=b%20c", b"hello"))
        assert connection.recv(4) == b"\x40\x02\x00\x07"
    (heard,) = lab.running.telemetry(device_id)
    assert (heard.body, heard.properties) == ("hello", {"$.mid": "one", "a": "b c"})


@done("mqtt-own-topics")
def own_topics(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    for topic in ("devices/another/messages/events/", "any/topic"):
        with tls(lab, files) as connection:
            mqtt_connect(lab, connection, device_id)
            connection.sendall(publish_packet(topic, b"x"))
            assert is_closed(connection)


@done("mqtt-no-qos-2")
def no_qos_2(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    with tls(lab, files) as connection:
        mqtt_connect(lab, connection, device_id)
        connection.sendall(publish_packet(f"devices/{device_id}/messages/events/", b"x", qos=2))
        assert is_closed(connection)


@done("message-size")
def message_size(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    with tls(lab, files) as connection:
        mqtt_connect(lab, connection, device_id)
        connection.sendall(publish_packet(f"devices/{device_id}/messages/events/", b"x" * 262_144)[:4096])
        assert is_closed(connection)


@left_out("mqtt-other-subscriptions")
def other_subscriptions(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    with tls(lab, files) as connection:
        mqtt_connect(lab, connection, device_id)
        connection.sendall(packet(0x82, b"\x00\x09" + text("$iothub/streams/POST/#") + b"\x01"))
        assert connection.recv(5) == b"\x90\x03\x00\x09\x80"


@done("mqtt-take-over")
def take_over(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    with tls(lab, files) as first, tls(lab, files) as second:
        assert mqtt_connect(lab, first, device_id) == mqtt_connect(lab, second, device_id) == 0
        assert is_closed(first)
        second.sendall(b"\xc0\x00")
        assert second.recv(2) == b"\xd0\x00"


@done("mqtt-retain")
def retain(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    topic = text(f"devices/{device_id}/messages/events/")
    with tls(lab, files) as connection:
        mqtt_connect(lab, connection, device_id)
        connection.sendall(packet(0x33, topic + b"\x00\x07" + b"kept"))
        assert connection.recv(4) == b"\x40\x02\x00\x07"
    (heard,) = lab.running.telemetry(device_id)
    assert heard.properties == {"mqtt-retain": "true"}
