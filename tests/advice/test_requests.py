"""How a device takes what the service asks of it."""

import pytest

from tests.advice.courses import course, sure
from thingmint.lab.advice import requests
from thingmint.lab.advice.seen import Seen, What
from thingmint.lab.advice.verdict import Result


def test_a_desired_property_has_to_be_reported_back() -> None:
    wanted = Seen(0.1, What.DESIRED, device="dev", number=21)
    assert requests.obeys(course(wanted, Seen(0.2, What.REPORTED, 1, words='{"telemetryInterval": 20}'))) is None
    assert requests.obeys(course(wanted, Seen(0.2, What.REPORTED, 1, words="no JSON"))) is None
    verdict = sure(requests.obeys(course(wanted, Seen(0.2, What.REPORTED, 1, words='{"telemetryInterval": 21}'))))
    assert verdict.result is Result.PASS
    assert sure(requests.obeys(course(wanted, over=True))).result is Result.WARNING


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
