"""The throttle's minute, on a clock of the test's own."""

import pytest

from thingmint.lab.cloud.registry.throttle import A_MINUTE, Throttle
from thingmint.lab.cloud.wire import Refusal


def test_the_limit_is_one_of_the_last_minute() -> None:
    now = [0.0]
    throttle = Throttle(lambda: now[0])
    for _ in range(A_MINUTE["CRUD"] - 1):
        throttle.take("CRUD")
    now[0] = 59.0
    throttle.take("CRUD")
    for _ in range(2):  # what is refused does not count
        with pytest.raises(Refusal):
            throttle.take("CRUD")
    throttle.take("Query")  # counted apart
    now[0] = 60.0
    for _ in range(A_MINUTE["CRUD"] - 1):
        throttle.take("CRUD")
    with pytest.raises(Refusal):
        throttle.take("CRUD")
