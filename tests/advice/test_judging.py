"""Judging a stage of which not all was noted; and what was seen, on its way from the lab."""

from dataclasses import replace

import pytest

from tests.advice.courses import DEVICE, KNOWN, PATIENCE, dialogue, sure
from thingmint.lab.advice import judging
from thingmint.lab.advice.cases import CASES, Case
from thingmint.lab.advice.seen import Seen, Stage, What
from thingmint.lab.advice.verdict import Result, Verdict


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
