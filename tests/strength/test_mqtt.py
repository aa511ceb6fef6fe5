"""MQTT as no client speaks it: each connection is answered or ended with a reason, and nobody else notices."""

import contextlib
import json
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.lab.clients import Lab, mqtt_connect, packet, publish_packet, text, tls, username, wait_until
from tests.lab.dialogue import Dialogue, connected, inbox, send
from tests.lab.websockets import CONNACK, PONG, opened
from tests.lab.websockets import login as websocket_login
from tests.strength import wild

Device = tuple[str, tuple[Path, Path]]
_ENDS = ("disconnected", "went away", "connection closed", "closed device")
WILDLY = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@given(data=st.data())
@WILDLY
def test_a_device_that_says_anything(lab: Lab, good: Dialogue, victim: Device, data: st.DataObject) -> None:
    device_id, files = victim
    said = data.draw(st.lists(wild.packets(device_id, username(lab, device_id)), max_size=8))
    heard = lab.mark()
    with contextlib.suppress(OSError), tls(lab, files) as connection:
        assert mqtt_connect(lab, connection, device_id) == 0
        for one in said:
            connection.sendall(one)
    wait_until(lambda: any(end in heard() for end in _ENDS))
    good.ping()


@given(first=wild.packets("victim", "host/victim/?api-version=2021-04-12"))
@WILDLY
def test_a_stranger_to_mqtt(lab: Lab, good: Dialogue, victim: Device, first: bytes) -> None:
    with contextlib.suppress(OSError), tls(lab, victim[1]) as connection:
        connection.sendall(first)
    good.ping()


def test_a_message_whose_properties_fit_into_no_topic(lab: Lab, victim: Device) -> None:
    device_id, files = victim
    status, _ = send(lab, device_id, "hello", properties={"a": "%" * 40_000})
    assert status == 413
    with connected(lab, device_id, files) as dialogue:
        assert dialogue.subscribe(inbox(device_id)) == [1]  # it would have ended the connection here


def test_subscribing_to_no_end_of_topics(lab: Lab, victim: Device) -> None:
    device_id, files = victim
    heard = lab.mark()
    for first, topic in ((0x82, text("#") + b"\0"), (0xA2, text("#"))):
        with connected(lab, device_id, files) as dialogue:
            dialogue.connection.sendall(packet(first, b"\0\1" + topic * 50_000))
            with pytest.raises((EOFError, OSError)):
                dialogue.read()
    wait_until(lambda: heard().count("50000 topics, and 64 are the limit") == 2)


def test_answers_wait_for_their_reader(lab: Lab, victim: Device) -> None:
    """Small questions for large answers, sent all at once: they are answered as fast as the device reads."""
    device_id, files = victim
    with connected(lab, device_id, files) as dialogue:
        dialogue.subscribe("$iothub/twin/res/#")
        values = {f"k{number}": "v" * 4000 for number in range(7)}
        dialogue.publish("$iothub/twin/PATCH/properties/reported/?$rid=1", json.dumps(values).encode())
        dialogue.told()
        before = _memory(lab)
        question = publish_packet("$iothub/twin/GET/?$rid=1", b"", qos=0)
        dialogue.connection.sendall(question * 1500)
        assert all(len(dialogue.told().payload) > 28_000 for _ in range(1500))
        assert _memory(lab) - before < 20_000_000  # the answers have 42 MB
        dialogue.ping()


def test_websocket_frames_without_content(lab: Lab, victim: Device) -> None:
    device_id, files = victim
    with opened(lab, files) as websocket:
        websocket.send(websocket_login(lab, device_id))
        assert websocket.recv(5) == CONNACK
        for _ in range(2000):
            websocket.send(b"")
        websocket.send(b"\xc0\x00")
        assert websocket.recv(5) == PONG


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells of another process's memory on Linux alone")
def test_what_bad_connections_took_is_given_back(lab: Lab, victim: Device) -> None:
    device_id, files = victim
    folder = Path(f"/proc/{_pid(lab)}/fd")

    def misbehave(times: int) -> None:
        for number in range(times):
            with contextlib.suppress(OSError, EOFError), connected(lab, device_id, files) as dialogue:
                dialogue.connection.sendall((b"\x30\xff\xff\x0f" + b"x" * 60_000, b"\xf0", b"\x82\x02")[number % 3])

    misbehave(20)
    time.sleep(0.5)
    descriptors, memory = len(list(folder.iterdir())), _memory(lab)
    misbehave(150)
    wait_until(lambda: len(list(folder.iterdir())) <= descriptors + 2)
    assert _memory(lab) - memory < 15_000_000


def _pid(lab: Lab) -> int:
    return int(json.loads((lab.running.folder / "lab.json").read_text())["pid"])


def _memory(lab: Lab) -> int:
    """Bytes that the lab's process holds; 0 where the system does not tell."""
    status = Path(f"/proc/{_pid(lab)}/status")
    if not status.exists():
        return 0
    (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) * 1024
