"""Judging a stage of which not all was noted; and what was seen, on its way from the lab."""

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from tests.advice.courses import DEVICE, KNOWN, PATIENCE, dialogue, sure
from thingmint.lab.advice import judging
from thingmint.lab.advice.cases import CASES, Case
from thingmint.lab.advice.scorecard import Score
from thingmint.lab.advice.seen import Seen, Stage, What
from thingmint.lab.advice.verdict import Result, Verdict
from thingmint.workflows.lab import driving


def case(name: str) -> Case:
    return next(one for one in CASES if one.name == name)


def overflowing(*seen: Seen, name: str) -> Verdict:
    stage = Seen(0.0, What.STAGE, words=case(name).stage)
    everything = (*KNOWN, stage, *seen, Seen(30.0, What.OVERFLOW, number=5000))
    return sure(judging.judged(case(name), everything, DEVICE, patience=PATIENCE, now=100.0, over=False))


def test_a_stage_that_overflowed_is_judged_by_what_is_certain_alone() -> None:
    accepted = [replace(one, device=DEVICE) for one in dialogue(1, 1.0, What.GREETED, What.CONNECT, shown="other")]
    assert overflowing(*accepted, name="unknown-ca").result is Result.FAIL
    verdict = overflowing(name="unknown-ca")
    assert verdict == Verdict(Result.NOT_SEEN, "Too much happened in it: more than 5000 events.")


def test_a_device_that_made_it_overflow_by_hammering_is_told_so() -> None:
    knocks = [one for n in range(1, 200) for one in dialogue(n, 0.1 * n, What.CLOSED)]
    verdict = overflowing(*knocks, name="no-connack")
    assert (verdict.result, "hammers: 199 attempts" in verdict.did) == (Result.FAIL, True), verdict


@pytest.mark.parametrize("stage", Stage)
def test_a_sight_survives_its_way_as_json(stage: Stage) -> None:
    seen = Seen(1.5, What.STAGE, 3, "dev", stage, 2, flag=True)
    assert Seen.of(seen.as_json()) == seen


# --- all of the trial ------------------------------------------------------------------------------------------------


class Trial:
    """One in which something is seen in each stage."""

    def __init__(self, *, before: Sequence[Seen] = KNOWN, **happens: Sequence[Seen]) -> None:
        self._seen = [*before]
        self._happens = happens

    def play(self, stage: Stage) -> None:
        self._seen += [Seen(0.0, What.STAGE, words=stage), *self._happens.get(stage.value, ())]

    def look(self) -> SimpleNamespace:
        return SimpleNamespace(device=DEVICE, connected=True, unseen=False, now=100.0, seen=(*self._seen,))


def scores(trial: Any, *names: str) -> tuple[list[Score], list[Score]]:
    """As the scorecard has them at the end, and as they were told."""
    told: list[Score] = []
    return driving.drive(trial, [case(name) for name in names], PATIENCE, tell=told.append), told


KNOCKS = [one for n in range(1, 9) for one in dialogue(n, 0.01 * n, What.CLOSED)]
ELSE = [*dialogue(50, 0.1), Seen(0.2, What.GREETED, 50, "else")]
"""Another device, at the same address."""


def test_what_another_client_did_is_taken_back_once_it_shows_itself() -> None:
    at_the_end, told = scores(Trial(refusing=KNOCKS, mute=[*ELSE, *asked()]), "back-off", "no-connack")
    assert [one.case.name for one in told] == ["back-off", "no-connack", "back-off"]
    assert (told[0].verdict.result, told[2]) == (Result.FAIL, at_the_end[0])
    verdict = at_the_end[0].verdict
    assert (verdict.result, verdict.did.startswith("After all: It was not seen to come back")) == (
        Result.NOT_SEEN,
        True,
    )
    assert "another client (else)" in verdict.did


def asked() -> list[Seen]:
    """The device gives up waiting for a CONNACK, and tries again."""
    gave_up = [
        *dialogue(30, 0.3, What.GREETED, What.CONNECT),
        Seen(1.0, What.CLOSED, 30, flag=True),
        *dialogue(31, 1.1),
    ]
    return [replace(one, device=DEVICE) for one in gave_up]


def test_a_verdict_that_stands_is_told_once() -> None:
    at_the_end, told = scores(Trial(refusing=KNOCKS, mute=asked()), "back-off", "no-connack")
    assert told == at_the_end


def test_what_could_not_be_asked_is_not_judged() -> None:
    absent = Seen(0.1, What.UNASKED, words="the device 'dev' is not connected")

    def judge(*seen: Seen, over: bool) -> Verdict | None:
        everything = (*KNOWN, Seen(0.0, What.STAGE, words=Stage.CALLED), *seen)
        return judging.judged(case("method"), everything, DEVICE, patience=PATIENCE, now=100.0, over=over)

    assert judge(absent, over=False) is None, "it may connect yet"
    not_asked = Verdict(Result.NOT_SEEN, "It was not asked: the device 'dev' is not connected.")
    assert judge(absent, over=True) == not_asked
    assert sure(judge(absent, Seen(0.2, What.ANSWERED, number=200, flag=True), over=True)).result is Result.PASS
