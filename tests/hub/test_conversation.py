"""Twins and calls through both registries, against the same lab; and what is read of Azure's endpoint for events."""

import datetime as dt
import sys
from types import SimpleNamespace
from typing import Any, Self

import pytest

from tests.hub.clients import KINDS, Credential, open_kind
from tests.hub.faults import FaultServer, Plan
from thingmint.errors import HubError
from thingmint.hub import transport
from thingmint.hub.events import Endpoint, Event, endpoint_of, event_of, follow
from thingmint.hub.identity import Registry
from thingmint.hub.twin import Returned, Section, Twin
from thingmint.target import Target


def test_desired_properties_are_merged_and_told_apart_from_what_is_reported(devices: Registry) -> None:
    devices.create("twin-1")
    assert devices.twin("twin-1") == Twin("twin-1", Section({}, 1), Section({}, 1), connected=False)
    first = devices.desire("twin-1", {"telemetryInterval": 5, "mode": {"a": 1}})
    assert first.desired == Section({"telemetryInterval": 5, "mode": {"a": 1}}, 2)
    assert first.pending == ("telemetryInterval", "mode")
    second = devices.desire("twin-1", {"mode": None})
    assert second == devices.twin("twin-1")
    assert second.desired == Section({"telemetryInterval": 5}, 3)
    devices.delete("twin-1")


@pytest.mark.parametrize(
    ("desired", "reported", "same"),
    [
        (5, 5, True),
        (5, 5.0, True),
        (0, 5, False),
        (-3, 5, False),
        ("5", 5, False),
        (True, 1, False),
        (0, False, False),
        ({"a": [1, True]}, {"a": [1, True]}, True),
        ({"a": [1, True]}, {"a": [1, 1]}, False),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ([1], [1, 2], False),
    ],
)
def test_pending_is_what_is_reported_with_another_value(desired: Any, reported: Any, same: bool) -> None:
    twin = Twin("x", Section({"p": desired}, 2), Section({"p": reported}, 2), connected=True)
    assert twin.pending == (() if same else ("p",))


def test_what_is_not_there_or_not_taken_is_told(devices: Registry) -> None:
    with pytest.raises(HubError, match="reading the twin of none-1 failed") as refused:
        devices.twin("none-1")
    assert refused.value.status == 404
    devices.create("odd-1")
    with pytest.raises(HubError, match="changing the twin of odd-1 failed") as refused:
        devices.desire("odd-1", {"a.b": 1})
    assert refused.value.status == 400
    with pytest.raises(HubError, match="calling led of odd-1 failed: the device is not connected") as refused:
        devices.call("odd-1", "led", 1, seconds=5)
    assert (refused.value.status, refused.value.code) == (404, "DeviceNotOnline")
    devices.delete("odd-1")


# As published: https://github.com/Azure/azure-iot-sdk-csharp/issues/3442
OFFLINE = {
    "Message": '{"errorCode":404103,"trackingId":"x","message":"The operation failed because the requested device '
    'isn\'t online or hasn\'t registered the direct method callback.","info":{"timeout":"00:00:00"}}',
    "ExceptionMessage": "",
}


@pytest.mark.parametrize("kind", KINDS)
def test_azures_newer_words_for_a_device_that_is_away(kind: str, server: FaultServer, azure: Target) -> None:
    server.plan = Plan(404, OFFLINE)
    devices = open_kind(kind, azure, Credential())
    with pytest.raises(HubError, match="the device is not connected, or takes no calls"):
        devices.call("dev-1", "led", 1, seconds=5)
    devices.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_call_is_given_the_devices_time_on_top_of_the_hubs(
    kind: str, server: FaultServer, azure: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "READ_SECONDS", 1.0)
    monkeypatch.setattr("thingmint.hub.registry_rest.READ_SECONDS", 1.0)
    server.plan = Plan(200, {"status": 202, "payload": None}, manner="late")
    devices = open_kind(kind, azure, Credential())
    assert devices.call("dev-1", "led", None, seconds=5) == Returned(202, None)
    devices.close()


def test_the_endpoints_key_is_in_its_connection_string_and_nowhere_else(azure: Target) -> None:
    endpoints = {"events": SimpleNamespace(endpoint="sb://ihsu.servicebus.windows.net/", path="iothub-ehub-x")}
    found = endpoint_of(endpoints, "c2VjcmV0", azure)
    assert found.connection_string == (
        "Endpoint=sb://ihsu.servicebus.windows.net/;SharedAccessKeyName=service;SharedAccessKey=c2VjcmV0;"
        "EntityPath=iothub-ehub-x"
    )
    assert "c2VjcmV0" not in repr(found)
    with pytest.raises(HubError, match="no built-in endpoint"):
        endpoint_of({}, "c2VjcmV0", azure)


@pytest.mark.parametrize("body", [b'{"t":2\xff}', iter([b'{"t":2', b"\xff}"])], ids=["whole", "in pieces"])
def test_an_event_as_the_endpoint_hands_it_out(body: object) -> None:
    moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)

    data: Any = SimpleNamespace(
        system_properties={b"iothub-connection-device-id": b"dev-1"},
        enqueued_time=moment,
        body=body,
        properties={b"a": b"b", "c": 1},
    )
    event = event_of(data)
    assert (event.device_id, event.received_at, event.body) == ("dev-1", moment, b'{"t":2\xff}')
    assert event.properties == {"a": "b", "c": "1"}


class Listening:
    """Of azure-eventhub's client what matters here: it takes what a callback raises for a failure of its own, and goes on."""

    def __init__(self, events: list[Any]) -> None:
        self._events = events

    def from_connection_string(self, *_: object, **__: object) -> "Listening":
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def close(self) -> None:
        self._events.clear()

    def receive(self, on_event: Any, on_error: Any, **_: object) -> None:
        while self._events:
            try:
                on_event(None, self._events.pop(0))
            except Exception as error:  # noqa: BLE001 - so does the SDK
                on_error(None, error)


def test_what_the_teller_raises_is_no_failure_of_the_endpoint(azure: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    event = SimpleNamespace(system_properties={}, enqueued_time=None, body=b"x", properties={})
    listening = Listening([None, event, event])
    monkeypatch.setitem(sys.modules, "azure.eventhub", SimpleNamespace(EventHubConsumerClient=listening))
    told: list[object] = []

    def tell(one: Event | None) -> None:
        told.append(one and one.body)
        if one:
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        follow(azure, Endpoint("events", "Endpoint=x"), tell)
    assert told == [None, b"x"]
