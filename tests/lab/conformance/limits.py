"""How much and how often: the limits that the other areas do not have."""

import contextlib
import http.client
import ssl
from typing import Any

from tests.lab.clients import Lab
from tests.lab.conformance.registry import ask
from tests.lab.conformance.rows import done, left_out
from tests.lab.provisioning import AUDIENCE


@done("throttle")
def throttle(throttled: Lab) -> None:
    answers = [ask(throttled, "GET", "/devices/conf-throttle") for _ in range(101)]
    assert [status for status, _, _ in answers] == [404] * 100 + [429]
    _, headers, body = answers[-1]
    assert headers["iothub-errorcode"] == "ThrottlingBacklogTimeout"
    assert "retry-after" not in {name.lower() for name in headers}
    assert body["Message"] == (
        "ErrorCode:ThrottlingBacklogTimeout;The request has been throttled. Wait 10 seconds and try again. "
        "Operation type: CRUD"
    )


@done("throttle-queries")
def throttle_queries(throttled: Lab) -> None:
    body = {"query": "SELECT * FROM devices"}
    statuses = [ask(throttled, "POST", "/devices/query", body)[0] for _ in range(21)]
    assert statuses == [200] * 20 + [429]


@left_out("throttle-others")
def others(throttled: Lab) -> None:
    """No refusal: they are not counted."""
    statuses = {ask(throttled, "GET", "/twins/conf-throttle")[0] for _ in range(120)}
    assert statuses == {404}


@done("request-size")
def request_size(lab: Lab) -> None:
    around = len('{"statusReason": ""}')
    for size, status in ((1_000_000, 400), (1_000_001, 413)):  # 400: it was read, and is no status reason
        assert ask(lab, "PUT", "/devices/conf-size", {"statusReason": "x" * (size - around)})[0] == status


def levels(depth: int) -> Any:
    nested: Any = []
    for _ in range(depth - 1):
        nested = [nested]
    return nested


@done("json-depth")
def json_depth(lab: Lab) -> None:
    lab.register("conf-depth")
    for depth, status in ((64, 404), (65, 400)):  # 404: it is not online, and so the body was taken
        call = {"methodName": "led", "payload": levels(depth - 1)}
        assert ask(lab, "POST", "/twins/conf-depth/methods", call)[0] == status
    for path, audience in (
        (f"{lab.arm_path}?api-version=2023-06-30", "https://management.azure.com"),
        ("/enrollments/conf-depth?api-version=2021-10-01", AUDIENCE),
    ):
        deep = {"optionalDeviceInformation": levels(64)}
        assert lab.request("PUT", path, body=deep, headers=lab.bearer(audience))[0] == 400


@done("two-lengths")
def two_lengths(lab: Lab) -> None:
    body = b'{"query": "SELECT * FROM devices"}'
    length = ("Content-Length", str(len(body)))
    token = ("Authorization", lab.bearer("https://iothubs.azure.net")["Authorization"])
    for lengths, expected in (
        ([length], 200),
        ([length, ("Content-Length", str(len(body) + 1))], 400),
        ([length, ("Transfer-Encoding", "chunked")], 400),
    ):
        context = ssl.create_default_context(cafile=str(lab.target.ca_file))
        connection = http.client.HTTPSConnection("localhost", lab.running.https_port, context=context, timeout=10)
        with contextlib.closing(connection):
            connection.putrequest("POST", "/devices/query?api-version=2021-04-12")
            for header in (token, *lengths):
                connection.putheader(*header)
            connection.endheaders(body)
            response = connection.getresponse()
            response.read()
            assert (response.status, response.will_close) == (expected, expected == 400)
