"""docs/conformance.md against the lab: each row has its exercise, and each exercise holds."""

import importlib
import inspect
from pathlib import Path

import pytest

from tests.lab.conformance.rows import DOCUMENT, EXERCISES, Row, read_rows

for area in sorted(Path(__file__).parent.glob("*.py")):
    if not area.stem.startswith(("test_", "conftest", "__")):
        importlib.import_module(f"tests.lab.conformance.{area.stem}")

ROWS = read_rows()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.key)
def test_the_lab_does_what_the_row_says(row: Row, request: pytest.FixtureRequest) -> None:
    exercise = EXERCISES.get(row.key)
    assert exercise, f"no function in tests/lab/conformance exercises {row.key}"
    assert exercise.state == row.state
    names = inspect.signature(exercise.function).parameters
    exercise.function(**{name: request.getfixturevalue(name) for name in names})


def test_each_exercise_has_its_row() -> None:
    assert sorted(EXERCISES) == sorted(row.key for row in ROWS)


def test_each_line_of_the_tables_is_a_row_with_a_source() -> None:
    lines = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert len(lines) == len(ROWS)
    for row in ROWS:
        assert row.source.startswith(("https://", "SDK: ", "recording: ", "guess: ")), row.key
