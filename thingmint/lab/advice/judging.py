"""Judging one case by what was seen so far: whether it can be told yet, and what then."""

from collections.abc import Sequence
from dataclasses import replace

from thingmint.lab.advice.cases import Case
from thingmint.lab.advice.course import Course
from thingmint.lab.advice.evidence import Evidence
from thingmint.lab.advice.returning import hammers
from thingmint.lab.advice.seen import Seen, What
from thingmint.lab.advice.verdict import Verdict, not_seen


def judged(case: Case, seen: Sequence[Seen], device: str, *, patience: float, now: float, over: bool) -> Verdict | None:
    """None: more has to be seen. `seen` is all of the trial so far, `now` in its seconds; `over`: no more is waited for."""
    course = Course(Evidence(seen, device), case.stage, patience, now, over)
    if over and course.unasked:
        return not_seen(f"It was not asked: {course.unasked}.")
    if not course.overflow:
        return case.judge(course)
    # What is told before the time is over stands on what was seen, and not on what was not.
    certain = case.judge(replace(course, over=False))
    return certain or hammers(course) or not_seen(f"Too much happened in it: more than {course.overflow} events.")


def after_all(case: Case, before: Verdict, seen: Sequence[Seen], device: str, *, patience: float) -> Verdict:
    """The verdict of `before` again, now that the trial is over and every client that showed itself is known.

    Itself where its result stays, or the case's stage was never played.
    """
    if not any(one.what is What.STAGE and one.words == case.stage for one in seen):
        return before
    again = judged(case, seen, device, patience=patience, now=seen[-1].at, over=True)
    if again is None or again.result is before.result:
        return before
    return replace(again, did=f"After all: {again.did}")
