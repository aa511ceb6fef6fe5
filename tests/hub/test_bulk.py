"""Many identities at once, by both registries: against the lab, and through a server that troubles the way there."""

import dataclasses
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.hub.clients import KINDS, Credential, open_kind
from tests.hub.faults import FaultServer, Plan
from thingmint.errors import HubError
from thingmint.hub import transport
from thingmint.hub.credentials import open_credential
from thingmint.hub.identity import ALREADY_EXISTS, MOST_IN_BULK, Identity, Refused, Registry
from thingmint.hub.refusals import ThrottledError
from thingmint.hub.registry import open_registry
from thingmint.target import Target

THROTTLED = {"Message": "ErrorCode:ThrottlingBacklogTimeout;Wait 10 seconds and try again.", "ExceptionMessage": ""}


@pytest.fixture(params=KINDS)
def client(request: pytest.FixtureRequest, azure: Target, target: Target) -> Iterator[Registry]:
    """Signed in at the lab, but its requests go to the tests' server."""
    opened = open_kind(
        request.param,
        dataclasses.replace(target, registry_host=azure.registry_host, ca_file=azure.ca_file),
        open_credential(target),
    )
    yield opened
    opened.close()


@pytest.fixture(params=KINDS)
def stranger(request: pytest.FixtureRequest, azure: Target) -> Iterator[Registry]:
    """A client of the tests' server alone."""
    opened = open_kind(request.param, azure, Credential())
    yield opened
    opened.close()


@pytest.fixture
def names() -> tuple[str, ...]:
    """250 ids of one test alone, not in alphabetical order."""
    stem = uuid.uuid4().hex
    return tuple(f"{stem}-{number}" for number in range(250))


def listed(target: Target) -> dict[str, Identity]:
    lab = open_registry(target, open_credential(target))
    try:
        return {one.device_id: one for one in lab.list()}
    finally:
        lab.close()


def no_wait(_seconds: float) -> None:
    pytest.fail("nothing throttles here")


def test_250_ids_are_registered_in_three_calls(
    client: Registry, server: FaultServer, target: Target, names: tuple[str, ...]
) -> None:
    server.plan = Plan(hub=target)
    assert client.create_many(names, on_wait=no_wait) == ()
    assert server.requests == [("POST", "/devices?api-version=2021-04-12")] * 3
    made = listed(target)
    assert {(made[name].authentication, made[name].status) for name in names} == {("certificateAuthority", "enabled")}


def test_no_ids_ask_nothing(client: Registry, server: FaultServer) -> None:
    assert client.create_many((), on_wait=no_wait) == ()
    assert server.requests == []


def test_a_full_call_of_the_longest_ids_is_taken(devices: Registry, names: tuple[str, ...]) -> None:
    assert devices.create_many([name.ljust(128, "x") for name in names[:MOST_IN_BULK]], on_wait=no_wait) == ()


def test_those_that_exist_come_back_in_order_and_are_left_alone(
    devices: Registry, target: Target, names: tuple[str, ...]
) -> None:
    first = devices.create(names[180])
    second = devices.create(names[20])
    devices.disable(second.device_id, etag=second.etag)
    refused = devices.create_many(names, on_wait=no_wait)
    assert [(one.device_id, one.code) for one in refused] == [(names[20], ALREADY_EXISTS), (names[180], ALREADY_EXISTS)]
    assert refused[0].message == f"A device with ID '{names[20]}' is already registered."
    made = listed(target)
    assert set(names) <= made.keys()
    assert made[names[180]] == first
    assert made[names[20]].status == "disabled"


def test_an_id_the_hub_refuses_does_not_keep_the_others_out(
    devices: Registry, target: Target, names: tuple[str, ...]
) -> None:
    refused = devices.create_many((*names[:3], "no device id", *names[3:6]), on_wait=no_wait)
    assert refused == (Refused("no device id", "400004", "The device id 'no device id' is invalid."),)
    assert set(names[:6]) <= listed(target).keys()


def test_throttling_in_the_middle_is_told_then_waited_for(
    client: Registry, server: FaultServer, target: Target, names: tuple[str, ...]
) -> None:
    busy = Plan(429, THROTTLED, headers={"Retry-After": "1"}, times=1, then=Plan(hub=target))
    server.plan = Plan(hub=target, times=1, then=busy)
    told: list[tuple[float, int]] = []
    started = time.monotonic()
    assert client.create_many(names, on_wait=lambda seconds: told.append((seconds, len(server.requests)))) == ()
    assert told == [(1, 2)]
    assert time.monotonic() - started > 0.9
    assert len(server.requests) == 4
    assert set(names) <= listed(target).keys()


def test_throttling_without_a_time_is_waited_for_too(
    client: Registry,
    server: FaultServer,
    target: Target,
    names: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport, "UNNAMED_WAIT_SECONDS", 0.2)
    server.plan = Plan(429, THROTTLED, times=2, then=Plan(hub=target))
    told: list[float] = []
    assert client.create_many(names[:2], on_wait=told.append) == ()
    assert told == [0.2, 0.2]


def test_a_single_call_whose_wait_nobody_sees_does_not_wait(stranger: Registry, server: FaultServer) -> None:
    server.plan = Plan(429, THROTTLED)
    with pytest.raises(ThrottledError, match="throttling"):
        stranger.create("a")
    assert len(server.requests) == 1


class SeenError(Exception):
    """Ends a wait before it begins."""


def test_a_long_wait_is_told_before_it_begins(stranger: Registry, server: FaultServer) -> None:
    def tell(seconds: float) -> None:
        raise SeenError(seconds)

    server.plan = Plan(429, THROTTLED, headers={"Retry-After": "900"})
    with pytest.raises(SeenError, match="900"):
        stranger.create_many(["a"], on_wait=tell)


def test_waits_that_exceed_the_patience_end_it(
    stranger: Registry, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.plan = Plan(429, THROTTLED, headers={"Retry-After": "901"})
    with pytest.raises(ThrottledError, match="registering a to c \\(3 devices\\) failed: .* is throttling") as refused:
        stranger.create_many(["a", "b", "c"], on_wait=no_wait)
    assert refused.value.retry_after == 901
    monkeypatch.setattr(transport, "WATCHED_PATIENCE_SECONDS", 0.5)
    server.plan = Plan(429, THROTTLED, headers={"retry-after-ms": "200"})
    told: list[float] = []
    with pytest.raises(ThrottledError):
        stranger.create_many(["a"], on_wait=told.append)
    assert told == [0.2, 0.2]


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("code", [409001, "DeviceAlreadyExists"])
def test_the_answer_is_read_whatever_its_status(
    stranger: Registry, server: FaultServer, status: int, code: Any
) -> None:
    errors = [{"deviceId": name, "errorCode": code, "errorStatus": f"{name} is taken"} for name in ("c", "b")]
    server.plan = Plan(status, {"isSuccessful": False, "errors": errors, "warnings": []})
    refused = stranger.create_many(["a", "b", "c"], on_wait=no_wait)
    assert refused == (Refused("b", ALREADY_EXISTS, "b is taken"), Refused("c", ALREADY_EXISTS, "c is taken"))


def test_a_400_against_the_whole_call_is_an_error(stranger: Registry, server: FaultServer) -> None:
    server.plan = Plan(400, {"Message": "ErrorCode:BulkAddDevicesNotSupported;not here", "ExceptionMessage": "x"})
    with pytest.raises(HubError, match="registering a failed: the hub .* finds the request invalid") as refused:
        stranger.create_many(["a"], on_wait=no_wait)
    assert (refused.value.status, refused.value.code) == (400, "BulkAddDevicesNotSupported")
    assert "not here" in refused.value.detail


@pytest.mark.parametrize("errors", [[], None, [{"deviceId": "x", "errorCode": 500001, "errorStatus": "it broke"}]])
def test_an_error_of_no_known_device_is_no_success(stranger: Registry, server: FaultServer, errors: Any) -> None:
    server.plan = Plan(400, {"isSuccessful": False, "errors": errors, "warnings": []})
    with pytest.raises(HubError, match="registering a failed: the hub's answer does not tell which of them") as refused:
        stranger.create_many(["a"], on_wait=no_wait)
    assert refused.value.detail == "\n".join(f"{error['deviceId']} 500001: it broke" for error in errors or ())


@pytest.mark.parametrize(("status", "body"), [(200, {}), (200, []), (200, b"<html>Welcome</html>"), (400, b"<html>")])
def test_an_answer_of_somebody_else_is_no_success(
    stranger: Registry, server: FaultServer, status: int, body: Any
) -> None:
    server.plan = Plan(status, body)
    with pytest.raises(HubError, match="registering a failed: "):
        stranger.create_many(["a"], on_wait=no_wait)


def test_a_cut_after_the_hub_committed_is_harmless_when_repeated(
    client: Registry, server: FaultServer, target: Target, names: tuple[str, ...]
) -> None:
    server.plan = Plan(hub=target, times=1, then=Plan(hub=target, manner="cut", times=1, then=Plan(hub=target)))
    refused = client.create_many(names, on_wait=no_wait)
    assert len(server.requests) == len(names) // 100 + 2  # one more than calls
    assert [(one.device_id, one.code) for one in refused] == [(name, ALREADY_EXISTS) for name in names[100:200]]
    assert set(names) <= listed(target).keys()


def test_an_id_named_twice_is_refused_with_its_whole_call(devices: Registry, names: tuple[str, ...]) -> None:
    with pytest.raises(HubError) as refused:
        devices.create_many((names[0], names[1], names[0]), on_wait=no_wait)
    assert refused.value.code == "DeviceDefinedMultipleTimes"
    assert devices.get(names[1]) is None
