"""How the benchmarks measure: whole processes, in turn with what they are compared to, medians and ratios.

Absolute times depend on the machine and its mood; the ratio and the difference, measured side by side, are the point.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INVOKE = Path(sys.executable).with_name("invoke")
P256 = {"THINGMINT_PKI_KEY": "ec:P-256"}


@dataclass(frozen=True)
class Result:
    """One comparison: what was measured, and the goal that the figure is held against."""

    name: str
    ours: str
    theirs: str
    figure: float
    goal: float
    unit: str
    at_least: bool

    @property
    def met(self) -> bool:
        return self.figure >= self.goal if self.at_least else self.figure <= self.goal

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        verdict = "met" if self.met else "NOT MET"
        return (
            f"{self.name}\n    ours {self.ours}   theirs {self.theirs}   "
            f"{self.figure:.2f}{self.unit}   goal {sign} {self.goal:g}{self.unit}: {verdict}"
        )


def timed(argv: Sequence[str | Path], *, cwd: Path, environment: Mapping[str, str] | None = None) -> float:
    """Seconds of wall-clock time. Raises where the program fails."""
    began = time.perf_counter()
    subprocess.run(argv, cwd=cwd, env={**os.environ, **(environment or {})}, check=True, capture_output=True)
    return time.perf_counter() - began


def side_by_side(ours: Callable[[int], float], theirs: Callable[[int], float], *, runs: int) -> tuple[float, float]:
    """Medians of both, run in turn, so that a slow moment meets both. The caller warms up by a run of number -1."""
    pairs = [(ours(number), theirs(number)) for number in range(runs)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def invoke(*words: str, workspace: Path, **environment: str) -> float:
    return timed([INVOKE, *words], cwd=ROOT, environment={"THINGMINT_WORKSPACE": str(workspace), **environment})
