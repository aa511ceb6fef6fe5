"""How a device takes what the service asks of it."""

import json

import pytest

from tests.advice.courses import course, sure
from thingmint.lab.advice import requests
from thingmint.lab.advice.seen import Seen, What
from thingmint.lab.advice.verdict import Result

WANTED = Seen(0.1, What.DESIRED, device="dev", number=21)


def reported(interval: str) -> Seen:
    return Seen(0.2, What.REPORTED, 1, words=interval)


def test_a_desired_property_has_to_be_reported_back() -> None:
    for other in ("20", "", "null", '{"value": 20}', '"21"', "[21]"):
        assert requests.obeys(course(WANTED, reported(other))) is None
    verdict = sure(requests.obeys(course(WANTED, reported("20"), reported("21"))))
    assert verdict.result is Result.PASS
    assert sure(requests.obeys(course(WANTED, over=True))).result is Result.WARNING


@pytest.mark.parametrize("status", [', "ac": 200', ', "ac": 202', ""])
def test_plug_and_plays_acknowledgement_is_a_report(status: str) -> None:
    verdict = sure(requests.obeys(course(WANTED, reported(f'{{"value": 21{status}, "av": 2}}'))))
    assert verdict.result is Result.PASS


@pytest.mark.parametrize("value", [21, 20])
def test_an_acknowledgement_with_another_status_is_told(value: int) -> None:
    """It may follow with a better one, as long as there is time."""
    refusal = reported(f'{{"value": {value}, "ac": 400, "av": 2}}')
    assert requests.obeys(course(WANTED, refusal)) is None
    verdict = sure(requests.obeys(course(WANTED, refusal, over=True)))
    assert (verdict.result, "with status 400" in verdict.did) == (Result.WARNING, True)


@pytest.mark.parametrize(
    "report", [b"{", b"[]", b"\xff", b"[" * 10_000, b'{"telemetryInterval": 1' + b"0" * 5000 + b"}"]
)
def test_a_report_that_is_none_says_nothing(report: bytes) -> None:
    assert requests.interval_in(report) == ""


def test_of_a_report_the_interval_alone_is_kept_however_long_it_is() -> None:
    long = {"a": "x" * 9000, "telemetryInterval": {"value": 21, "ac": 200}}
    assert requests.interval_in(json.dumps(long).encode()) == '{"value": 21, "ac": 200}'
    assert requests.interval_in(b'{"telemetryInterval": 21}') == "21"
    assert requests.interval_in(json.dumps({"telemetryInterval": "x" * 9000}).encode()) == ""


def test_a_device_that_subscribes_late_is_waited_for() -> None:
    """That it takes no calls is true of one moment."""
    deaf = Seen(0.1, What.ANSWERED)
    assert requests.answers(course(deaf)) is None
    answered = Seen(0.5, What.ANSWERED, number=200, flag=True)
    assert sure(requests.answers(course(deaf, answered))).result is Result.PASS
    assert "has not subscribed" in sure(requests.answers(course(deaf, over=True))).did


@pytest.mark.parametrize(
    ("seen", "result"),
    [
        ([Seen(0.2, What.ANSWERED, number=200, flag=True)], Result.PASS),
        ([Seen(0.2, What.ANSWERED, number=299, flag=True)], Result.PASS),
        ([Seen(0.2, What.ANSWERED, number=404, flag=True)], Result.WARNING),
        ([Seen(0.2, What.ANSWERED, number=501, flag=True)], Result.WARNING),
        ([Seen(0.2, What.ANSWERED, number=500, flag=True)], Result.FAIL),
        ([Seen(0.2, What.ANSWERED, number=0, flag=True)], Result.FAIL),
        ([Seen(0.2, What.ANSWERED)], Result.WARNING),
        ([], Result.FAIL),
    ],
)
def test_a_call_has_to_be_answered(seen: list[Seen], result: Result) -> None:
    assert sure(requests.answers(course(*seen, over=True))).result is result
