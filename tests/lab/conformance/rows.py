"""The rows of docs/conformance.md, and the functions that exercise them."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

DOCUMENT = Path(__file__).resolve().parents[3] / "docs/conformance.md"
_ROW = re.compile(r"^\| `([a-z0-9-]+)` \| (.+?) \| (done|left out) \| (.+?) \|$", re.MULTILINE)

State = Literal["done", "left out"]
Function = Callable[..., None]


@dataclass(frozen=True)
class Row:
    key: str
    behaviour: str
    state: str
    source: str


@dataclass(frozen=True)
class Exercise:
    function: Function
    state: State


EXERCISES: dict[str, Exercise] = {}


def done(key: str) -> Callable[[Function], Function]:
    """The function shows that the lab does it. Its parameters are names of fixtures, as a test's are."""
    return _register(key, "done")


def left_out(key: str) -> Callable[[Function], Function]:
    """The function shows how the lab says that it does not do it."""
    return _register(key, "left out")


def _register(key: str, state: State) -> Callable[[Function], Function]:
    def keep(function: Function) -> Function:
        assert key not in EXERCISES, f"{key} is exercised twice"
        EXERCISES[key] = Exercise(function, state)
        return function

    return keep


def read_rows() -> list[Row]:
    return [Row(*found) for found in _ROW.findall(DOCUMENT.read_text(encoding="utf-8"))]


def not_done(answer: tuple[int, Any, Any]) -> bool:
    """Whether an answer says, in the one form that the lab has for it, that this is left out."""
    status, _headers, body = answer
    return status == 501 and "the lab does not do this" in body["Message"]
