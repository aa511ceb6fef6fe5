"""MQTT over websockets on port 443."""

from pathlib import Path

from tests.lab.clients import Lab
from tests.lab.conformance.rows import done, left_out
from tests.lab.websockets import CONNACK, REFUSED, is_closed, login, opened

Device = tuple[str, tuple[Path, Path]]


@done("websocket")
def served(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    with opened(lab, files) as websocket:
        assert websocket.subprotocol == "mqtt"
        for byte in login(lab, device_id):  # packets may span frames
            websocket.send(bytes((byte,)))
        assert websocket.recv(timeout=5) == CONNACK


@done("websocket-frames")
def frames(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    with opened(lab, files) as websocket:
        websocket.send(login(lab, device_id))
        assert websocket.recv(timeout=5) == CONNACK
        websocket.send("text")
        assert is_closed(websocket)


@done("websocket-certificate")
def certificate(lab: Lab, device_files: Device) -> None:
    with opened(lab, None) as websocket:
        websocket.send(login(lab, device_files[0]))
        assert websocket.recv(timeout=5) == REFUSED


@left_out("websocket-tokens")
def tokens(lab: Lab, device_files: Device) -> None:
    with opened(lab, None, path="/$iothub/websocket?iothub-no-client-cert=true") as websocket:
        websocket.send(login(lab, device_files[0]))
        assert websocket.recv(timeout=5) == REFUSED


@left_out("websocket-compression")
def compression(lab: Lab, device_files: Device) -> None:
    with opened(lab, device_files[1], compression="deflate") as websocket:
        assert not websocket.protocol.extensions
