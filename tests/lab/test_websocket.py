"""MQTT over websockets on 443: Microsoft's device SDK, and a client that does what the SDK would never do."""

import contextlib
import gc
import ssl
from pathlib import Path

import pytest
import socks
from azure.iot.device.exceptions import ConnectionFailedError
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.lab.clients import Lab, publish_packet, wait_until
from tests.lab.provisioning import Service
from tests.lab.sdks import provisioning_client, sdk, sdk_client
from tests.lab.websockets import CONNACK, PATH, PONG, REFUSED, is_closed, login, opened
from tests.paper import Paper, make

# azure-iot-device itself asks for ssl.PROTOCOL_TLSv1_2.
pytestmark = pytest.mark.filterwarnings("ignore:ssl.PROTOCOL_TLSv1_2 is deprecated:DeprecationWarning")

Device = tuple[str, tuple[Path, Path]]


def test_the_device_sdk_is_heard_over_websockets(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    client = sdk_client(lab, device_id, files, websockets=True)
    try:
        client.connect()
        client.send_message(sdk.Message("x" * 100_000))
        assert lab.registry.get_device(device_id).connection_state == "Connected"
    finally:
        client.shutdown()
    (heard,) = lab.running.telemetry(device_id)
    assert heard.body == "x" * 100_000
    wait_until(lambda: lab.registry.get_device(device_id).connection_state == "Disconnected")


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_the_device_sdk_with_a_rogue_certificate(lab: Lab, tmp_path: Path) -> None:
    heard = lab.mark()
    rogue = sdk_client(lab, "rogue", make("Rogue CA").issue("rogue").save(tmp_path, "rogue"), websockets=True)
    with pytest.raises(ConnectionFailedError):
        rogue.connect()
    rogue.shutdown()
    assert "https: refused certificate CN 'rogue': unknown issuer" in heard()
    # paho leaves the socket of a refused handshake to the collector: let that happen while its warning is expected.
    del rogue
    gc.collect()


def test_the_provisioning_client_registers_over_websockets(
    lab: Lab, provisioning: Service, subca: Paper, tmp_path: Path
) -> None:
    provisioning.upload("subca", subca)
    provisioning.enroll_group("sockets")
    files = subca.issue("socket-1").save(tmp_path, "leaf")
    client = provisioning_client(lab, provisioning.id_scope, "socket-1", files, websockets=True)
    assert client.register().registration_state.assigned_hub == lab.target.hub_host


def test_packets_span_frames_and_share_them(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    topic = f"devices/{device_id}/messages/events/"
    with opened(lab, files) as websocket:
        assert websocket.subprotocol == "mqtt"
        for byte in login(lab, device_id):
            websocket.send(bytes((byte,)))
        websocket.send(b"")
        assert websocket.recv(timeout=5) == CONNACK
        one = publish_packet(topic, b"one", packet_id=515)
        websocket.send(publish_packet(topic, b"zero", qos=0) + one + b"\xc0")
        assert websocket.recv(timeout=5) == b"\x40\x02\x02\x03"
        websocket.send([b"\x00", b"\xc0\x00"])  # one message of two fragments
        assert websocket.recv(timeout=5) == PONG * 2
        websocket.send(b"\xe0\x00")
        assert is_closed(websocket)
        assert websocket.close_code == 1000
    assert [heard.body for heard in lab.running.telemetry(device_id)] == ["zero", "one"]


def test_without_a_certificate(lab: Lab, device_files: Device) -> None:
    heard = lab.mark()
    with opened(lab, None) as websocket:
        websocket.send(login(lab, device_files[0]))
        assert websocket.recv(timeout=5) == REFUSED
        assert is_closed(websocket)
    assert "it showed no certificate" in heard()


def test_a_certificate_counts_as_on_8883(lab: Lab, trusted: Paper, device_files: Device, tmp_path: Path) -> None:
    device_id, _ = device_files
    other = trusted.issue("somebody-else").save(tmp_path, "other")
    with opened(lab, other) as websocket:
        websocket.send(login(lab, device_id))
        assert websocket.recv(timeout=5) == REFUSED
    for files in (
        make("Rogue CA").issue(device_id).save(tmp_path, "rogue"),
        make("Test SubCA").issue(device_id, key_ids=False).save(tmp_path, "namesake"),
    ):
        with pytest.raises((ssl.SSLError, ConnectionError)), opened(lab, files):
            pass
    own = make("pinned", ca=False)
    lab.registry.create_device_with_x509("pinned-socket", own.thumbprint, "F" * 40, "enabled")
    with opened(lab, own.save(tmp_path, "own")) as websocket:
        websocket.send(login(lab, "pinned-socket"))
        assert websocket.recv(timeout=5) == CONNACK


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({"protocol": "chat"}, 400, "it asks for the subprotocol 'chat'"),
        ({"path": "/elsewhere"}, 404, "no websocket is served there"),
        ({"host": "evil.example"}, 421, "names no host of the lab"),
        ({"origin": "https://evil.example"}, 403, "comes from a web page of 'https://evil.example'"),
    ],
    ids=["subprotocol", "path", "host", "origin"],
)
def test_refused_before_it_is_a_websocket(
    lab: Lab, device_files: Device, changes: dict[str, str], status: int, reason: str
) -> None:
    heard = lab.mark()
    with pytest.raises(InvalidStatus) as caught, opened(lab, device_files[1], **changes):
        pass
    assert caught.value.response.status_code == status
    assert reason in heard()


def test_where_no_certificate_is_asked_for(lab: Lab) -> None:
    context = ssl.create_default_context(cafile=str(lab.target.ca_file))
    uri = f"wss://localhost:{lab.running.https_port}{PATH}"
    heard = lab.mark()
    with pytest.raises(InvalidStatus, match="421"), connect(uri, ssl=context, subprotocols=[Subprotocol("mqtt")]):
        pass
    assert "it has to come through the proxy" in heard()


@pytest.mark.parametrize(
    ("frame", "code", "reason"),
    [
        ("text", 1000, "a websocket frame of text"),
        (b"\x30" * 300_000, 1009, "a websocket message of more than 262144 bytes"),
        (publish_packet("hello", b""), 1000, "no topic of its own"),
    ],
    ids=["text", "too large", "foreign topic"],
)
def test_what_ends_a_websocket(lab: Lab, device_files: Device, frame: str | bytes, code: int, reason: str) -> None:
    device_id, files = device_files
    heard = lab.mark()
    with opened(lab, files) as websocket:
        websocket.send(login(lab, device_id))
        assert websocket.recv(timeout=5) == CONNACK
        with contextlib.suppress(ConnectionClosed):  # while a large one is under way
            websocket.send(frame)
        assert is_closed(websocket)
        # What was left unread behind a large one makes the end a reset, which may overtake its reason.
        assert websocket.close_code in (code, 1006 if code == 1009 else code)
    wait_until(lambda: reason in heard())
    wait_until(lambda: lab.registry.get_device(device_id).connection_state == "Disconnected")


def test_empty_frames_are_nothing_and_no_end(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    with opened(lab, files) as websocket:
        websocket.send(login(lab, device_id))
        assert websocket.recv(timeout=5) == CONNACK
        for _ in range(3_000):
            websocket.send(b"")
        websocket.send(b"\xc0\x00")
        assert websocket.recv(timeout=5) == PONG


def test_silence_beyond_the_keep_alive_of_a_websocket(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    with opened(lab, files) as websocket:
        websocket.send(login(lab, device_id, keep_alive=1))
        assert websocket.recv(timeout=5) == CONNACK
        assert is_closed(websocket)  # after 1.5 s


def test_who_loses_the_right_loses_the_websocket(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    with opened(lab, files) as websocket:
        websocket.send(login(lab, device_id))
        assert websocket.recv(timeout=5) == CONNACK
        lab.registry.delete_device(device_id)
        assert is_closed(websocket)
        assert websocket.close_code == 1006  # cut off


def test_who_is_asked_for_a_certificate_and_by_which_tls(lab: Lab) -> None:
    """A browser with a certificate would show a dialogue at the page; and 1.3 would tell a device of its refusal late."""
    asked = {}
    for host in (lab.target.hub_host, "management.azure.com"):
        seen: list[str] = []
        context = ssl.create_default_context(cafile=str(lab.target.ca_file))
        context._msg_callback = (  # type: ignore[attr-defined]
            lambda _c, _d, _v, _t, message, _b, seen=seen: seen.append(getattr(message, "name", ""))
        )
        with (
            socks.create_connection(
                (host, 443), 5, proxy_type=socks.HTTP, proxy_addr="127.0.0.1", proxy_port=lab.running.proxy_port
            ) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            asked[host] = (secured.version(), "CERTIFICATE_REQUEST" in seen)
    assert asked == {lab.target.hub_host: ("TLSv1.2", True), "management.azure.com": ("TLSv1.3", False)}
