"""Driving a device on trial through the cases, one after the other."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from thingmint.lab.advice.cases import Case
    from thingmint.lab.advice.scorecard import Score
    from thingmint.lab.advice.verdict import Verdict
    from thingmint.lab.trials import Look, Trial

LOOK_SECONDS = 0.1
_SOON = 1 / 8  # of the patience: a device that did not come back once gets as long before it is switched off and on
_MISSED = 2  # cases in a row for which nobody switched it on
UNSEEN = "It stayed away before, and was not waited for any more."
T = TypeVar("T")
OffAndOn = Callable[[Callable[[], None]], None]
"""Switches the device off, calls what it is given, and switches it on."""


def drive(
    trial: "Trial",
    cases: "Sequence[Case]",
    patience: float,
    *,
    off_and_on: OffAndOn = lambda between: between(),
    tell: "Callable[[Score], None]" = lambda _score: None,
) -> "list[Score]":
    """Each case in turn. A device that does not come back after one is switched off and on for each further one, until it
    is seen to come back by itself.

    Where it stays away all the same, nobody is there to switch it, and the rest is not waited for; so it is with one that
    never came, though the hub lets it in as always in the first case.
    """
    from thingmint.lab.advice.scorecard import Score
    from thingmint.lab.advice.verdict import Result, not_seen

    scores: list[Score] = []
    stays_away, missed = False, 0
    for case in cases:
        if missed >= _MISSED:
            verdict = not_seen(UNSEEN)
        elif stays_away:
            verdict, by_itself = _anew(trial, case, patience, off_and_on)
            missed = missed + 1 if verdict.result is Result.NOT_SEEN else 0
            stays_away = not by_itself
        else:
            verdict = _one(trial, case, patience)
        scores.append(Score(case, verdict))
        tell(scores[-1])
        if len(scores) == 1 and verdict.result is Result.NOT_SEEN:
            missed = _MISSED
        stays_away = stays_away or (missed < _MISSED and not _back(trial, patience))
    return _after_all(trial, scores, patience, tell)


def _after_all(
    trial: "Trial", scores: "Sequence[Score]", patience: float, tell: "Callable[[Score], None]"
) -> "list[Score]":
    """The scores by all that was seen; those with another result are told again."""
    from thingmint.lab.advice import judging

    look = trial.look()

    def again(score: "Score") -> "Score":
        if score.verdict.did == UNSEEN:
            return score
        verdict = judging.after_all(score.case, score.verdict, look.seen, look.device, patience=patience)
        return replace(score, verdict=verdict)

    found = [again(one) for one in scores]
    for before, now in zip(scores, found, strict=True):
        if now != before:
            tell(now)
    return found


def _anew(trial: "Trial", case: "Case", patience: float, off_and_on: OffAndOn) -> "tuple[Verdict, bool]":
    """A case for a device that did not come back once: within the case's stage, where it can be so. It is switched off and
    on if it does not come soon; and whether it came by itself, after its connection was ended."""
    from thingmint.lab.advice.course import Course
    from thingmint.lab.advice.evidence import Evidence
    from thingmint.lab.advice.seen import KEEP_THE_CONNECTION, Stage, What
    from thingmint.lab.advice.verdict import not_seen

    def comes(look: "Look") -> bool:
        course = Course(Evidence(look.seen, look.device), case.stage, patience, look.now, over=False)
        return bool(course.all(What.OPENED))

    if case.stage is Stage.NORMAL:
        return _one(trial, case, patience), False
    soon = patience * _SOON
    if case.stage not in KEEP_THE_CONNECTION:
        was_there = trial.look().connected
        trial.play(case.stage)
        if not (came := _until(trial, soon, comes)):
            # It may have come in the very moment: what its being switched off looks like is nothing that it did.
            off_and_on(lambda: trial.play(case.stage))
        return _judged(trial, case, patience), was_there and bool(came)
    trial.play(Stage.NORMAL)
    if not _until(trial, soon, _connected):
        off_and_on(lambda: None)
        if not _until(trial, patience, _connected):
            return not_seen(f"It did not connect within {patience:g} s."), False
    return _one(trial, case, patience), False


def _connected(look: "Look") -> bool:
    return look.connected


def _one(trial: "Trial", case: "Case", patience: float) -> "Verdict":
    """The lab takes on the case's stage, until what it sees can be judged."""
    trial.play(case.stage)
    return _judged(trial, case, patience)


def _judged(trial: "Trial", case: "Case", patience: float) -> "Verdict":
    from thingmint.lab.advice import judging

    def judged(look: "Look", *, over: bool) -> "Verdict | None":
        return judging.judged(case, look.seen, look.device, patience=patience, now=look.now, over=over)

    verdict = _until(trial, patience, lambda look: judged(look, over=False)) or judged(trial.look(), over=True)
    assert verdict is not None  # noqa: S101 - a course that is over is judged
    return verdict


def _back(trial: "Trial", patience: float) -> bool:
    """The lab is itself again; whether the device is let in within its time."""
    from thingmint.lab.advice.seen import Stage

    trial.play(Stage.NORMAL)
    return bool(_until(trial, patience, _connected))


def _until(trial: "Trial", patience: float, found: "Callable[[Look], T | None]") -> "T | None":
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if result := found(trial.look()):
            return result
        time.sleep(LOOK_SECONDS)
    return None
