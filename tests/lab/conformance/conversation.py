"""A device's conversation with its hub beyond telemetry: twin, methods, messages from the service, session, will."""

import contextlib
import datetime as dt
import json
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from azure.iot.hub.models import Twin

from tests.lab.clients import Lab, is_closed, wait_until
from tests.lab.conformance.registry import ask
from tests.lab.conformance.rows import done, left_out
from tests.lab.dialogue import connected, inbox, send
from thingmint.lab.cloud.records import Command
from thingmint.lab.cloud.registry.identities import created
from thingmint.lab.cloud.store.store import Store
from thingmint.lab.state import LabFolder

Device = tuple[str, tuple[Path, Path]]


def desire(lab: Lab, device_id: str, values: dict[str, Any]) -> None:
    lab.registry.update_twin(device_id, Twin(properties={"desired": values}))


@done("mqtt-twin-read")
def twin_read(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    desire(lab, device_id, {"a": 1})
    with connected(lab, device_id, files) as dialogue:
        dialogue.subscribe("$iothub/twin/res/#")
        dialogue.publish("$iothub/twin/GET/?$rid=7")
        told = dialogue.told()
    assert (told.topic, told.qos) == ("$iothub/twin/res/200/?$rid=7", 0)
    assert told.json == {"desired": {"a": 1, "$version": 2}, "reported": {"$version": 1}}


@done("mqtt-twin-report")
def twin_report(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    with connected(lab, device_id, files) as dialogue:
        dialogue.subscribe("$iothub/twin/res/#")
        dialogue.publish("$iothub/twin/PATCH/properties/reported/?$rid=7", b'{"a": {"b": 1}}')
        told = dialogue.told()
    assert (told.topic, told.payload) == ("$iothub/twin/res/204/?$rid=7&$version=2", b"")
    twin = lab.registry.get_twin(device_id)
    assert (twin.properties.reported["a"], twin.version, twin.etag) == ({"b": 1}, 3, "AAAAAAAAAAE=")


@done("mqtt-twin-refusals")
def twin_refusals(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    with connected(lab, device_id, files) as dialogue:
        dialogue.subscribe("$iothub/twin/res/#")
        large = json.dumps({str(number): "x" * 4096 for number in range(9)}).encode()
        for body in (b"x", b'{"a.b": 1}', large):
            dialogue.publish("$iothub/twin/PATCH/properties/reported/?$rid=7", body)
            told = dialogue.told()
            assert told.topic == "$iothub/twin/res/400/?$rid=7"
            assert {"errorCode", "message"} <= set(told.json)


@done("mqtt-twin-news")
def twin_news(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    with connected(lab, device_id, files) as dialogue:
        dialogue.subscribe("$iothub/twin/PATCH/properties/desired/#")
        desire(lab, device_id, {"a": 1, "b": None})
        told = dialogue.told()
        assert told.topic == "$iothub/twin/PATCH/properties/desired/?$version=2"
        assert told.json == {"a": 1, "b": None, "$version": 2}
        lab.registry.replace_twin(device_id, Twin(properties={"desired": {"c": 3}}))
        assert dialogue.told().json == {"c": 3, "$version": 3}


@done("method-call")
def method_call(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    with connected(lab, device_id, files) as dialogue, ThreadPoolExecutor() as pool:
        dialogue.subscribe("$iothub/methods/POST/#")
        body = {"methodName": "led", "payload": {"on": True}}
        called = pool.submit(ask, lab, "POST", f"/twins/{device_id}/methods", body)
        told = dialogue.told()
        topic, _, rid = told.topic.partition("/?$rid=")
        assert (topic, told.json, told.qos) == ("$iothub/methods/POST/led", {"on": True}, 0)
        dialogue.publish(f"$iothub/methods/res/200/?$rid={rid}", b'{"done": 1}')
        assert called.result(10)[::2] == (200, {"status": 200, "payload": {"done": 1}})
        called = pool.submit(ask, lab, "POST", f"/twins/{device_id}/methods", body)
        rid = dialogue.told().topic.partition("/?$rid=")[2]
        dialogue.publish(f"$iothub/methods/res/7/?$rid={rid}", b"no JSON")
        assert called.result(10)[::2] == (200, {"status": 7, "payload": None})


@done("method-offline")
def method_offline(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files

    def call(**more: Any) -> float:
        """Seconds until the refusal."""
        began = time.monotonic()
        status, headers, body = ask(lab, "POST", f"/twins/{device_id}/methods", {"methodName": "led", **more})
        assert (status, headers["iothub-errorcode"]) == (404, "DeviceNotOnline")
        assert body["Message"].startswith("ErrorCode:DeviceNotOnline;")
        return time.monotonic() - began

    call()
    assert call(connectTimeoutInSeconds=1) > 0.9
    with connected(lab, device_id, files):  # and has not subscribed
        call()


@done("method-timeout")
def method_timeout(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    with connected(lab, device_id, files) as dialogue:
        dialogue.subscribe("$iothub/methods/POST/#")
        body = {"methodName": "led", "responseTimeoutInSeconds": 5}
        began = time.monotonic()
        status, headers, _ = ask(lab, "POST", f"/twins/{device_id}/methods", body)
        assert 4.9 < time.monotonic() - began < 8
    assert (status, headers["iothub-errorcode"]) == (504, "GatewayTimeout")
    for wrong in (4, 301):
        body = {"methodName": "led", "responseTimeoutInSeconds": wrong}
        assert ask(lab, "POST", f"/twins/{device_id}/methods", body)[0] == 400


@done("method-limits")
def method_limits(lab: Lab, device_files: Device) -> None:
    for call, status in (
        ({"payload": "x" * (131_072 - 2)}, 404),  # with its quotes the largest, and for a device that is away
        ({"payload": "x" * (131_072 - 1)}, 400),
        ({"methodName": "a b"}, 400),
        ({"methodName": "a/b"}, 400),
        ({"methodName": "é"}, 400),
    ):
        assert ask(lab, "POST", f"/twins/{device_files[0]}/methods", {"methodName": "led", **call})[0] == status


@done("c2d-delivery")
def delivery(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    send(lab, device_id, "hello", properties={"a": "b c"}, messageId="one", ack="full")
    with connected(lab, device_id, files) as dialogue:
        dialogue.subscribe(inbox(device_id))
        told = dialogue.told()
        base, _, bag = told.topic.rpartition("/")
        assert (base, told.payload, told.qos) == (f"devices/{device_id}/messages/devicebound", b"hello", 1)
        assert {"%24.mid=one", "a=b%20c", "iothub-ack=full"} <= set(bag.split("&"))
        assert lab.registry.get_twin(device_id).cloud_to_device_message_count == 1
        dialogue.acknowledge(told)
        dialogue.ping()
        assert lab.registry.get_device(device_id).cloud_to_device_message_count == 0
        assert dialogue.subscribe(inbox(device_id), qos=0) == [0]
        send(lab, device_id, "at QoS 0")
        assert dialogue.told().qos == 0


@done("c2d-again")
def again(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    send(lab, device_id, "hello")
    for first in (True, False):
        with connected(lab, device_id, files, clean=False) as dialogue:
            if first:
                dialogue.subscribe(inbox(device_id))
            assert (dialogue.session_present, dialogue.told().again) == (not first, not first)
    for _ in range(8):
        with connected(lab, device_id, files, clean=False) as dialogue:
            assert dialogue.told().payload == b"hello"
    with connected(lab, device_id, files, clean=False) as dialogue:  # for the eleventh time
        assert dialogue.is_told_nothing()
    assert lab.registry.get_device(device_id).cloud_to_device_message_count == 0


@done("c2d-limits")
def limits(lab: Lab, device_files: Device) -> None:
    device_id, _ = device_files
    assert [send(lab, device_id, "x")[0] for _ in range(51)] == [200] * 50 + [403]
    assert send(lab, device_id, "x" * 65_537)[0] == 413
    assert ask(lab, "DELETE", f"/devices/{device_id}/commands")[2]["totalMessagesPurged"] == 50
    two_days = 2 * 24 * 3600
    assert send(lab, device_id, "x", expirySeconds=two_days + 1)[0] == 400
    for more in ({}, {"expirySeconds": two_days}):
        assert send(lab, device_id, "x", **more)[0] == 200
    database = LabFolder(lab.running.folder).database
    with contextlib.closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as kept:
        asked = "SELECT enqueued, expires FROM command WHERE device_id = ? ORDER BY sequence"
        lives = [
            dt.datetime.fromisoformat(end) - dt.datetime.fromisoformat(start)
            for start, end in kept.execute(asked, [device_id])
        ]
    assert [one.total_seconds() for one in lives] == [3600, two_days]


@done("c2d-topic")
def topic(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    assert send(lab, device_id, "x", properties={"a": "%" * 30_000})[0] == 413  # each becomes three
    assert send(lab, device_id, "x", properties={"a": "p" * 60_000})[0] == 200
    with connected(lab, device_id, files) as dialogue:
        dialogue.subscribe(inbox(device_id))
        assert len(dialogue.told().topic) > 60_000


@done("c2d-feedback")
def feedback(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    send(lab, device_id, "x", ack="negative", messageId=device_id)
    ask(lab, "DELETE", f"/devices/{device_id}/commands")
    status, headers, records = ask(lab, "GET", "/messages/serviceBound/feedback")
    assert status == 200
    assert (device_id, "Purged") in [(one["originalMessageId"], one["statusCode"]) for one in records]
    assert ask(lab, "POST", f"/messages/serviceBound/feedback/{lock(headers)}/abandon")[0] == 204
    status, headers, again = ask(lab, "GET", "/messages/serviceBound/feedback")
    assert again == records
    assert ask(lab, "DELETE", f"/messages/serviceBound/feedback/{lock(headers)}")[0] == 204
    kinds = ("none", "positive", "negative", "full")
    for ack in kinds:
        send(lab, device_id, "x", ack=ack, messageId=f"{device_id}-{ack}")
    with connected(lab, device_id, files) as dialogue:
        dialogue.subscribe(inbox(device_id))
        for _ in kinds:
            dialogue.acknowledge(dialogue.told())
        dialogue.ping()
    status, headers, records = ask(lab, "GET", "/messages/serviceBound/feedback")
    told = sorted((one["originalMessageId"], one["statusCode"]) for one in records)
    assert [one for one in told if one[0].startswith(device_id)] == [
        (f"{device_id}-full", "Success"),
        (f"{device_id}-positive", "Success"),
    ]
    assert ask(lab, "DELETE", f"/messages/serviceBound/feedback/{lock(headers)}")[0] == 204


@done("c2d-lock")
def lock_that_runs_out(tmp_path: Path) -> None:
    noon = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
    late = noon + dt.timedelta(seconds=60)
    with contextlib.closing(Store(tmp_path / "db")) as store:
        store.devices.put(created("thing", {}))
        store.commands.add(Command(0, "thing", "m1", noon, noon, "full", b"", {}))
        store.commands.completed(1, noon)
        first, records = store.commands.feedback(noon)
        assert store.commands.feedback(late - dt.timedelta(seconds=1))[1] == []
        store.commands.settle(first, late, taken=True)  # too late
        second, again = store.commands.feedback(late)
        assert [one["originalMessageId"] for one in again] == ["m1"]
        assert again == records
        store.commands.settle(second, late, taken=True)
        assert store.commands.feedback(late + dt.timedelta(days=1))[1] == []


def lock(headers: dict[str, str]) -> str:
    return next(value for name, value in headers.items() if name.lower() == "etag").strip('"')


@left_out("c2d-amqp")
def amqp(lab: Lab, device_files: Device) -> None:
    """No port of the lab's speaks it; its own way in wants its control token."""
    assert lab.request("POST", "/lab/commands", body={"deviceId": device_files[0], "body": "x"})[0] == 401


@done("mqtt-session")
def session(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    for clean, present in ((False, False), (False, True), (True, False), (False, False)):
        with connected(lab, device_id, files, clean=clean) as dialogue:
            assert dialogue.session_present is present
            if not present:
                dialogue.subscribe("$iothub/twin/res/#")
            dialogue.publish("$iothub/twin/GET/?$rid=7")
            assert dialogue.told().topic == "$iothub/twin/res/200/?$rid=7"
    with connected(lab, device_id, files, clean=True) as dialogue:
        dialogue.publish("$iothub/twin/GET/?$rid=7")
        assert dialogue.is_told_nothing()


@done("mqtt-will")
def will(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    with connected(lab, device_id, files, will=(f"devices/{device_id}/messages/events/", b"gone")):
        pass
    wait_until(lambda: lab.running.telemetry(device_id))
    (heard,) = lab.running.telemetry(device_id)
    assert (heard.body, heard.properties) == ("gone", {"iothub-MessageType": "Will"})
    with connected(lab, device_id, files, will=("any/topic", b"gone")) as dialogue:
        dialogue.ping()
    with connected(lab, device_id, files, will=(f"devices/{device_id}/messages/events/", b"gone")) as dialogue:
        dialogue.connection.sendall(b"\xe0\x00")  # DISCONNECT
        assert is_closed(dialogue.connection)
    assert len(lab.running.telemetry(device_id)) == 1
