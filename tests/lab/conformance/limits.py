"""How much and how often: the limits that the other areas do not have."""

from tests.lab.clients import Lab
from tests.lab.conformance.registry import ask
from tests.lab.conformance.rows import done, left_out


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
    assert ask(lab, "PUT", "/devices/conf-size", {"statusReason": "x" * 1_000_001})[0] == 413
