"""Judging one case by what was seen so far: whether it can be told yet, and what then."""

from collections.abc import Sequence
from dataclasses import replace

from thingmint.lab.advice.cases import Case
from thingmint.lab.advice.course import Course
from thingmint.lab.advice.evidence import Evidence
from thingmint.lab.advice.returning import hammers
from thingmint.lab.advice.seen import Seen
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
