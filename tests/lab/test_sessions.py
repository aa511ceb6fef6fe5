"""What a session keeps: the queue of messages to a device, its subscriptions, the will; and what load does not lose."""

import contextlib
import datetime as dt
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.lab.clients import Lab, is_closed, publish_packet, wait_until
from tests.lab.conformance.registry import ask
from tests.lab.dialogue import connected, inbox, send
from tests.lab.sdks import sdk_client
from thingmint.lab.cloud.records import Command
from thingmint.lab.cloud.registry.identities import created
from thingmint.lab.cloud.store.store import Store
from thingmint.lab.state import LabFolder

pytestmark = pytest.mark.filterwarnings("ignore:ssl.PROTOCOL_TLSv1_2 is deprecated:DeprecationWarning")

Device = tuple[str, tuple[Path, Path]]


def waiting(lab: Lab, device_id: str) -> int:
    return int(lab.registry.get_device(device_id).cloud_to_device_message_count)


def feedback(lab: Lab) -> dict[str, str]:
    """Message id → outcome, of all that is to be had."""
    found: dict[str, str] = {}
    while True:
        status, headers, records = ask(lab, "GET", "/messages/serviceBound/feedback")
        if status == 204:
            return found
        found |= {one["originalMessageId"]: one["statusCode"] for one in records}
        etag = next(value for name, value in headers.items() if name.lower() == "etag").strip('"')
        assert ask(lab, "DELETE", f"/messages/serviceBound/feedback/{etag}")[0] == 204


def test_the_device_sdk_takes_what_waited_for_it(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    assert send(lab, device_id, "hello", properties={"a&b": "c d"}, messageId="first")[0] == 200
    assert waiting(lab, device_id) == 1
    client = sdk_client(lab, device_id, files)
    taken: list[Any] = []
    arrived = threading.Event()

    def take(message: Any) -> None:
        taken.append(message)
        arrived.set()

    try:
        client.connect()
        client.on_message_received = take
        assert arrived.wait(10)
        (message,) = taken
        assert (message.data, message.message_id, message.custom_properties) == (b"hello", "first", {"a&b": "c d"})
        wait_until(lambda: waiting(lab, device_id) == 0)
    finally:
        client.shutdown()


def test_what_is_not_acknowledged_comes_again_to_the_same_session(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    with connected(lab, device_id, files, clean=False) as dialogue:
        assert not dialogue.session_present
        assert dialogue.subscribe(inbox(device_id)) == [1]
        send(lab, device_id, "one", ack="full", messageId=f"{device_id}-1")
        send(lab, device_id, "two", ack="positive", messageId=f"{device_id}-2")
        first, second = dialogue.told(), dialogue.told()
        assert [(one.payload, one.qos, one.again) for one in (first, second)] == [
            (b"one", 1, False),
            (b"two", 1, False),
        ]
        dialogue.acknowledge(second)
        dialogue.ping()
    assert waiting(lab, device_id) == 1
    with connected(lab, device_id, files, clean=False) as dialogue:
        assert dialogue.session_present
        again = dialogue.told()  # the subscription was kept
        assert (again.payload, again.again, again.packet_id) == (b"one", True, first.packet_id)
        dialogue.acknowledge(again)
        dialogue.acknowledge(again)
        assert dialogue.is_told_nothing()
    assert waiting(lab, device_id) == 0
    assert {key: value for key, value in feedback(lab).items() if key.startswith(device_id)} == {
        f"{device_id}-1": "Success",
        f"{device_id}-2": "Success",
    }


def test_a_message_that_is_65535_later_than_one_that_waits_comes_all_the_same(lab: Lab, device_files: Device) -> None:
    """Messages to other devices count, too."""
    device_id, files = device_files
    with connected(lab, device_id, files) as dialogue:
        dialogue.subscribe(inbox(device_id))
        send(lab, device_id, "one")
        first = dialogue.told()
        with contextlib.closing(sqlite3.connect(LabFolder(lab.running.folder).database)) as database, database:
            database.execute("UPDATE sqlite_sequence SET seq = seq + 65534 WHERE name = 'command'")
        send(lab, device_id, "two")
        second = dialogue.told()
        assert (first.payload, second.payload) == (b"one", b"two")
        assert first.packet_id != second.packet_id
        dialogue.acknowledge(second)
        dialogue.ping()
        assert waiting(lab, device_id) == 1
        dialogue.acknowledge(first)
        assert dialogue.is_told_nothing()
    assert waiting(lab, device_id) == 0


def test_a_clean_session_keeps_nothing_but_the_queue(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    with connected(lab, device_id, files, clean=False) as dialogue:
        dialogue.subscribe(inbox(device_id))
    send(lab, device_id, "later")
    with connected(lab, device_id, files, clean=True) as dialogue:
        assert not dialogue.session_present
        assert dialogue.is_told_nothing()
        dialogue.subscribe(inbox(device_id), qos=0)
        assert (dialogue.told().qos, waiting(lab, device_id)) == (0, 0)  # nothing to wait for at QoS 0
    with connected(lab, device_id, files, clean=False) as dialogue:
        assert not dialogue.session_present


def test_the_subscriptions_that_are_taken_back_are_forgotten(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    with connected(lab, device_id, files, clean=False) as dialogue:
        dialogue.subscribe(inbox(device_id))
        dialogue.connection.sendall(b"\xa2" + bytes((4 + len(inbox(device_id)),)) + b"\x00\x05\x00")
        dialogue.connection.sendall(bytes((len(inbox(device_id)),)) + inbox(device_id).encode())
        assert dialogue.read() == (0xB0, b"\x00\x05")
    send(lab, device_id, "later")
    with connected(lab, device_id, files, clean=False) as dialogue:
        assert dialogue.session_present
        assert dialogue.is_told_nothing()


def test_a_queue_is_bounded_ends_in_time_and_can_be_purged(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    ids = [f"{device_id}-{number}" for number in range(50)]
    for number, message_id in enumerate(ids):
        more = {"expirySeconds": 1} if number == 0 else {}
        assert send(lab, device_id, "x", messageId=message_id, ack="negative", **more)[0] == 200
    wait_until(lambda: send(lab, device_id, "x")[0] == 200)  # once the first is out of date
    status, answer = send(lab, device_id, "x")
    assert status == 403
    assert "DeviceMaximumQueueDepthExceeded" in answer["Message"]
    assert lab.registry.protocol.cloud_to_device_messages.purge_cloud_to_device_message_queue(
        device_id
    ).total_messages_purged == len(ids)
    with connected(lab, device_id, files) as dialogue:
        dialogue.subscribe(inbox(device_id))
        assert dialogue.is_told_nothing()
    ended = feedback(lab)
    assert [ended[one] for one in ids[:2]] == ["Expired", "Purged"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"ack": "maybe"}, 400),
        ({"expirySeconds": 0}, 400),
        ({"properties": {"a": 1}}, 400),
        ({"body": "x" * 65_537}, 413),
    ],
)
def test_messages_that_are_refused(lab: Lab, device_files: Device, change: dict[str, Any], status: int) -> None:
    assert send(lab, device_files[0], change.pop("body", "x"), **change)[0] == status


def test_what_was_delivered_ten_times_is_given_up(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    send(lab, device_id, "poison", ack="full", messageId=device_id)
    for _ in range(10):
        with connected(lab, device_id, files) as dialogue:
            dialogue.subscribe(inbox(device_id))
            assert dialogue.told().payload == b"poison"
    with connected(lab, device_id, files) as dialogue:
        dialogue.subscribe(inbox(device_id))
        assert dialogue.is_told_nothing()
    assert feedback(lab)[device_id] == "DeliveryCountExceeded"


def test_a_tenth_delivery_may_still_be_taken(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    send(lab, device_id, "hard to take", ack="full", messageId=f"{device_id}-hard")
    for number in range(10):
        with connected(lab, device_id, files) as dialogue:
            dialogue.subscribe(inbox(device_id))
            told = dialogue.told()
            if number == 9:
                send(lab, device_id, "meanwhile", messageId=f"{device_id}-other")
                assert dialogue.told().payload == b"meanwhile"
                dialogue.acknowledge(told)
                dialogue.ping()
    assert feedback(lab)[f"{device_id}-hard"] == "Success"


def test_the_will_of_a_device_that_goes_away_without_a_word(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    will = (f"devices/{device_id}/messages/events/a=b", b"gone")
    with connected(lab, device_id, files, will=will) as dialogue:
        dialogue.connection.sendall(b"\xe0\x00")
        assert is_closed(dialogue.connection)
    with connected(lab, device_id, files, will=("some/where/else", b"gone")):
        pass
    with connected(lab, device_id, files, will=will) as dialogue:
        dialogue.ping()
    wait_until(lambda: lab.running.telemetry(device_id))
    (heard,) = lab.running.telemetry(device_id)
    assert (heard.body, heard.properties) == ("gone", {"a": "b", "iothub-MessageType": "Will"})


def test_a_take_over_hands_on_what_was_not_acknowledged(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    with connected(lab, device_id, files, clean=False) as older:
        older.subscribe(inbox(device_id))
        send(lab, device_id, "one")
        told = older.told()
        with connected(lab, device_id, files, clean=False) as newer:
            again = newer.told()
            assert (again.again, again.packet_id) == (True, told.packet_id)
            assert is_closed(older.connection)
            newer.acknowledge(again)
            newer.ping()
            assert waiting(lab, device_id) == 0


def test_what_came_before_a_fault_is_kept_and_acknowledged(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    topic = f"devices/{device_id}/messages/events/"
    with connected(lab, device_id, files) as dialogue:
        good = b"".join(publish_packet(topic, f"{number}".encode(), packet_id=number + 1) for number in range(20))
        dialogue.connection.sendall(good + publish_packet("no/topic", b"x") + publish_packet(topic, b"after"))
        acknowledged = [dialogue.read() for _ in range(20)]
        assert [int.from_bytes(body, "big") for _, body in acknowledged] == list(range(1, 21))
        assert is_closed(dialogue.connection)
    assert [one.body for one in lab.running.telemetry(device_id)] == [f"{number}" for number in range(20)]


def test_feedback_that_a_reader_died_with_is_told_again_after_a_restart(tmp_path: Path) -> None:
    moment = dt.datetime.now(dt.UTC)
    for _ in range(2):
        with contextlib.closing(Store(tmp_path / "db")) as store:
            if store.devices.get("thing") is None:
                store.devices.put(created("thing", {}))
                store.commands.add(Command(0, "thing", "m1", moment, moment, "full", b"", {}))
                store.commands.completed(1, moment)
            assert [one["originalMessageId"] for one in store.commands.feedback(moment)[1]] == ["m1"]
            assert store.commands.feedback(moment)[1] == []
