"""The devices' endpoint, packet by packet: what the service's MQTT is, and what a general broker's is not."""

import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from tests.lab.clients import Lab, connect_packet, is_closed, mqtt_connect, packet, publish_packet, text, tls, username
from tests.lab.conformance.rows import done, left_out
from tests.lab.dialogue import connected
from tests.paper import DAY, Paper, make
from tests.strength.forged import Key, Odd, key_pem, made

Device = tuple[str, tuple[Path, Path]]


@done("mqtt-certificates")
def certificates(lab: Lab, device_files: Device, tmp_path: Path) -> None:
    device_id, files = device_files
    with tls(lab, files) as connection:
        assert mqtt_connect(lab, connection, device_id) == 0
    unproven = make("Unproven CA")
    lab.upload("unproven", unproven, verified=False)
    for ca in (unproven, make("Rogue CA")):
        stranger = ca.issue(device_id).save(tmp_path, "stranger")
        with pytest.raises((ssl.SSLError, ConnectionError)), tls(lab, stranger) as connection:
            mqtt_connect(lab, connection, device_id)
    lab.delete_certificate("unproven")


@done("chain-strict")
def chain_strict(lab: Lab, device_files: Device, trusted: Paper, tmp_path: Path) -> None:
    """Where OpenSSL is led astray, by a root of the CA's name and key, it is content with a registered thumbprint."""
    device_id, _ = device_files
    known = lab.registry.create_device_with_x509("conf-chain", "A" * 40, "A" * 40, "enabled")
    subject, key = trusted.certificate.subject, trusted.key
    good, good_key = made(Odd(names=("Good",)), subject, key)
    old, old_key = made(Odd(names=("Old",), start=-9 * DAY, end=-DAY), subject, key)
    device, device_key = made(Odd(names=("bystander",), ca=False), subject, key)
    short, short_key = made(Odd(names=("Short",), pathlen=0), subject, key)
    below, below_key = made(Odd(names=("Below",)), short.subject, short_key)
    mute, mute_key = made(Odd(names=("Mute",), signs=False), subject, key)
    for issuers, signer, let_in in (
        ([good], good_key, True),
        ([old], old_key, False),
        ([device], device_key, False),
        ([below, short], below_key, False),
        ([mute], mute_key, False),
    ):
        leaf, leaf_key = made(Odd(names=(device_id,), ca=False), issuers[0].subject, signer)
        astray, _ = made(Odd(names=(issuers[0].subject.rfc4514_string().removeprefix("CN="),)), None, None, signer)
        assert enters(lab, device_id, tmp_path, leaf_key, leaf, *issuers) is let_in
        thumbprint = leaf.fingerprint(hashes.SHA256()).hex()
        known = lab.registry.update_device_with_x509("conf-chain", known.etag, thumbprint, thumbprint, "enabled")
        assert enters(lab, "conf-chain", tmp_path, leaf_key, leaf, astray, *issuers)
        assert enters(lab, device_id, tmp_path, leaf_key, leaf, astray, *issuers) is let_in


def enters(lab: Lab, device_id: str, folder: Path, key: Key, *chain: x509.Certificate) -> bool:
    files = folder / "chain.pem", folder / "chain.key"
    files[0].write_bytes(b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain))
    files[1].write_bytes(key_pem(key))
    try:
        with tls(lab, files) as connection:
            return mqtt_connect(lab, connection, device_id) == 0
    except (ssl.SSLError, ConnectionError):
        return False


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
    topic = f"devices/{device_id}/messages/events/"
    around = len(publish_packet(topic, b"x" * 262_000)) - 262_000
    with tls(lab, files) as connection:
        mqtt_connect(lab, connection, device_id)
        connection.sendall(publish_packet(topic, b"x" * (262_144 - around)))
        assert connection.recv(4) == b"\x40\x02\x00\x07"
        connection.sendall(publish_packet(topic, b"x" * (262_145 - around))[:4096])
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


@done("mqtt-many-topics")
def many_topics(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    for first, answered, topic in ((0x82, 0x90, text("$iothub/methods/POST/#") + b"\0"), (0xA2, 0xB0, text("any"))):
        with connected(lab, device_id, files) as dialogue:
            dialogue.connection.sendall(packet(first, b"\0\1" + topic * 64))
            assert dialogue.read()[0] == answered
            dialogue.connection.sendall(packet(first, b"\0\1" + topic * 65))
            assert is_closed(dialogue.connection)
