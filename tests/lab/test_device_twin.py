"""A device's twin and methods over MQTT: Microsoft's device SDK, and what it would never send."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from azure.iot.device import MethodResponse
from azure.iot.hub.models import CloudToDeviceMethod, Twin
from msrest.exceptions import HttpOperationError

from tests.lab.clients import Lab, wait_until
from tests.lab.conformance.registry import ask, refusal
from tests.lab.dialogue import Dialogue, connected
from tests.lab.sdks import sdk_client

pytestmark = pytest.mark.filterwarnings("ignore:ssl.PROTOCOL_TLSv1_2 is deprecated:DeprecationWarning")

Device = tuple[str, tuple[Path, Path]]
ANSWERS, DESIRED, CALLS = "$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#", "$iothub/methods/POST/#"


def desire(lab: Lab, device_id: str, values: dict[str, Any]) -> Any:
    return lab.registry.update_twin(device_id, Twin(properties={"desired": values}))


def asked(dialogue: Dialogue, topic: str, payload: bytes = b"") -> tuple[str, Any]:
    dialogue.publish(topic, payload)
    told = dialogue.told()
    return told.topic, told.json if told.payload else None


def test_the_device_sdk_reads_reports_and_is_told(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    desire(lab, device_id, {"telemetryInterval": 20})
    client = sdk_client(lab, device_id, files)
    news: list[Any] = []
    arrived = threading.Event()

    def patched(patch: Any) -> None:
        news.append(patch)
        arrived.set()

    try:
        client.connect()
        client.on_twin_desired_properties_patch_received = patched
        assert client.get_twin() == {
            "desired": {"telemetryInterval": 20, "$version": 2},
            "reported": {"$version": 1},
        }
        client.patch_twin_reported_properties({"telemetryInterval": 20, "led": None})
        twin = lab.registry.get_twin(device_id)
        assert twin.properties.reported["telemetryInterval"] == 20
        assert twin.properties.reported["$version"] == 2
        assert set(twin.properties.reported["$metadata"]["telemetryInterval"]) == {"$lastUpdated"}
        etag = twin.etag
        desire(lab, device_id, {"telemetryInterval": 5, "old": None})
        assert arrived.wait(10)
        assert news == [{"telemetryInterval": 5, "old": None, "$version": 3}]
        assert lab.registry.get_twin(device_id).etag != etag  # which a report leaves as it is
    finally:
        client.shutdown()


def test_the_device_sdk_answers_a_method(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    client = sdk_client(lab, device_id, files)
    called: list[tuple[str, Any]] = []

    def answer(request: Any) -> None:
        called.append((request.name, request.payload))
        client.send_method_response(MethodResponse.create_from_method_request(request, 200, {"on": request.payload}))

    try:
        client.connect()
        client.on_method_request_received = answer
        wanted = CloudToDeviceMethod(method_name="led", payload=1, response_timeout_in_seconds=30)
        result = lab.registry.invoke_device_method(device_id, wanted)
        assert (result.status, result.payload) == (200, {"on": 1})
        assert called == [("led", 1)]
    finally:
        client.shutdown()


def test_a_device_that_is_not_there_is_told_at_once_or_after_the_time_to_connect(
    lab: Lab, device_files: Device
) -> None:
    device_id, files = device_files
    call = CloudToDeviceMethod(method_name="led", payload=1)
    with pytest.raises(HttpOperationError) as error:
        lab.registry.invoke_device_method(device_id, call)
    assert refusal(error) == (404, "DeviceNotOnline")
    with connected(lab, device_id, files), pytest.raises(HttpOperationError) as error:
        lab.registry.invoke_device_method(device_id, call)  # connected, and without a subscription
    assert refusal(error) == (404, "DeviceNotOnline")
    with ThreadPoolExecutor() as pool:
        patient = CloudToDeviceMethod(method_name="led", connect_timeout_in_seconds=20)
        result = pool.submit(lab.registry.invoke_device_method, device_id, patient)
        time.sleep(0.3)
        with connected(lab, device_id, files) as dialogue:
            dialogue.subscribe(CALLS)
            told = dialogue.told()
            assert (told.topic.startswith("$iothub/methods/POST/led/?$rid="), told.payload) == (True, b"")
            dialogue.publish(f"$iothub/methods/res/404/?$rid={told.topic.split('=')[1]}")
            assert (result.result(20).status, result.result().payload) == (404, None)


def test_a_device_that_never_answers_or_goes_away(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    call = CloudToDeviceMethod(method_name="led", payload=1, response_timeout_in_seconds=5)
    with ThreadPoolExecutor() as pool, connected(lab, device_id, files) as dialogue:
        dialogue.subscribe(CALLS)
        slow = pool.submit(lab.registry.invoke_device_method, device_id, call)
        assert dialogue.told().topic.startswith("$iothub/methods/POST/led/")
        with pytest.raises(HttpOperationError) as error:
            slow.result(20)
        assert refusal(error) == (504, "GatewayTimeout")
        gone = pool.submit(lab.registry.invoke_device_method, device_id, call)
        dialogue.told()
        dialogue.connection.close()
        with pytest.raises(HttpOperationError) as error:
            gone.result(20)
        assert refusal(error) == (404, "DeviceNotOnline")


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"methodName": "a/b"}, "method name"),
        ({"methodName": "a+"}, "method name"),
        ({"methodName": "x" * 101}, "method name"),
        ({"methodName": None}, "method name"),
        ({"payload": "x" * 131_073}, "131072"),
        ({"responseTimeoutInSeconds": 4}, "from 5 to 300"),
        ({"connectTimeoutInSeconds": "1"}, "from 0 to 300"),
    ],
)
def test_calls_that_are_refused(lab: Lab, device_files: Device, change: dict[str, Any], part: str) -> None:
    device_id, _ = device_files
    status, headers, body = ask(lab, "POST", f"/twins/{device_id}/methods", {"methodName": "led", **change})
    assert (status, headers["iothub-errorcode"]) == (400, "ArgumentInvalid")
    assert part in body["Message"]


def test_reports_that_are_refused(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    topic = "$iothub/twin/PATCH/properties/reported/?$rid=7"
    with connected(lab, device_id, files) as dialogue:
        dialogue.subscribe(ANSWERS)
        for body in (
            b"no JSON",
            b"[]",
            b'{"a": NaN}',
            b'{"a.b": 1}',
            b"\xff",
            json.dumps({f"{number}": "x" * 4096 for number in range(9)}).encode(),
        ):
            told, error = asked(dialogue, topic, body)
            assert told == "$iothub/twin/res/400/?$rid=7", body[:40]
            assert error["errorCode"] in (400004, 400006)
        assert asked(dialogue, topic, b'{"a": 1}') == ("$iothub/twin/res/204/?$rid=7&$version=2", None)
    assert {k for k in lab.registry.get_twin(device_id).properties.reported if k[0] != "$"} == {"a"}


def test_only_what_is_subscribed_is_told(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    heard = lab.mark()
    with connected(lab, device_id, files) as dialogue:
        dialogue.publish("$iothub/twin/GET/?$rid=1")
        desire(lab, device_id, {"a": 1})
        assert dialogue.is_told_nothing()
        dialogue.subscribe(DESIRED)
        lab.registry.update_twin(device_id, Twin(tags={"a": 1}))  # which is no device's business
        desire(lab, device_id, {"a": 2})
        assert dialogue.told().json == {"a": 2, "$version": 3}
        dialogue.publish("$iothub/methods/res/200/?$rid=ff", b"{}")
        dialogue.ping()
    assert "it has not subscribed to $iothub/twin/res/#" in heard()
    wait_until(lambda: "a call ff that nobody waits for" in heard())
