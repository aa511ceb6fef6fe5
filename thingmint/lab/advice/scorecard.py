"""The scorecard: what is said of each case, and of all of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from thingmint.lab.advice.cases import Case
from thingmint.lab.advice.verdict import Result, Verdict

_RESULT_WIDTH = max(map(len, Result)) + 2
_NAME_WIDTH = 16


@dataclass(frozen=True)
class Score:
    case: Case
    verdict: Verdict

    def as_json(self) -> dict[str, Any]:
        return {
            "case": self.case.name,
            "hub": self.case.hub,
            "expected": self.case.expected,
            "device": self.verdict.did,
            "result": self.verdict.result,
            "cure": self.verdict.cure or None,
        }

    def lines(self) -> str:
        """The result in a row; of what was not a plain pass, what was expected and what cures it."""
        row = f"{self.verdict.result:<{_RESULT_WIDTH}}{self.case.name:<{_NAME_WIDTH}}{self.verdict.did}"
        if self.verdict.result in {Result.PASS, Result.NOT_SEEN}:
            return row
        indent = " " * (_RESULT_WIDTH + _NAME_WIDTH)
        more = [f"{indent}The hub {self.case.hub}; a device {self.case.expected}."]
        if self.verdict.cure:
            more.append(f"{indent}Cure: {self.verdict.cure}.")
        return "\n".join([row, *more])


def summary(scores: Sequence[Score]) -> str:
    counts = [(result, sum(one.verdict.result is result for one in scores)) for result in Result]
    return ", ".join(f"{count} {result}" for result, count in counts if count)


def failures(scores: Iterable[Score]) -> list[Score]:
    return [one for one in scores if one.verdict.result is Result.FAIL]
