"""When a device comes back, how often, and when it gives up."""

import itertools
import time
from collections.abc import Callable

import pytest

from thingmint.device import comeback
from thingmint.errors import HubError, PassingError


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses, during which the clock goes on by itself."""
    pauses: list[float] = []
    real = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real() + sum(pauses))
    monkeypatch.setattr(time, "sleep", pauses.append)
    return pauses


def breaking(times: int, given: list[float]) -> Callable[[float], str]:
    """Broken so often, then heard; `given` takes the seconds of each turn."""
    turn = itertools.count()

    def speak(seconds: float) -> str:
        given.append(seconds)
        if next(turn) < times:
            raise PassingError("it broke.")
        return "heard"

    return speak


def test_what_broke_is_tried_again_after_pauses_that_double(slept: list[float]) -> None:
    given: list[float] = []
    said: list[str] = []
    assert comeback.until_through(breaking(3, given), 60, said.append) == "heard"
    assert [0.5 <= pause / full <= 1 for pause, full in zip(slept, (0.5, 1, 2), strict=True)] == [True] * 3
    assert [line.split(" Again")[0] for line in said] == ["it broke."] * 3
    assert given == [20] * 4  # so that silence leaves time for another turn


def test_it_gives_up_after_some_turns(slept: list[float]) -> None:
    given: list[float] = []
    with pytest.raises(PassingError):
        comeback.until_through(breaking(99, given), 1000, print)
    assert (len(given), len(slept)) == (4, 3)


@pytest.mark.parametrize(("seconds", "turns"), [(1, 1), (2, 1), (5, 2), (15, 3), (60, 3)])
def test_silence_ends_in_time(seconds: float, turns: int, slept: list[float]) -> None:
    given: list[float] = []

    def silent(wait: float) -> None:
        given.append(wait)
        slept.append(wait)
        raise PassingError("no answer.")

    with pytest.raises(PassingError):
        comeback.until_through(silent, seconds, print)
    assert len(given) == turns
    assert min(given) == given[-1] >= min(seconds, 2) - 0.1
    assert sum(slept) <= seconds + 0.1


def test_a_server_that_is_not_to_be_trusted_ends_it_at_once(slept: list[float]) -> None:
    def speak(_seconds: float) -> None:
        raise HubError("the server's certificate is not trusted")

    with pytest.raises(HubError, match="not trusted"):
        comeback.until_through(speak, 60, print)
    assert slept == []
