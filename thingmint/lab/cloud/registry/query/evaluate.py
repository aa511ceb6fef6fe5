"""A query's expressions and columns on a twin's JSON.

Where the documentation is silent, docs/conformance.md names what was chosen as a guess.
"""

import json
import math
from collections.abc import Sequence
from typing import Any

from thingmint.lab.cloud.registry.query.tree import (
    UNDEFINED,
    Aggregate,
    Call,
    Chain,
    Column,
    Comparison,
    Constant,
    Expression,
    Not,
    Path,
    Query,
)

Json = dict[str, Any]


def holds(condition: Expression | None, twin: Json) -> bool:
    """Anything but true counts as false."""
    return condition is None or value(condition, twin) is True


def row(columns: Sequence[Column], twin: Json) -> Json:
    """The columns of one twin; what it does not have is left out."""
    found = {column.name: value(column.path, twin) for column in columns if column.path}
    return {name: one for name, one in found.items() if one is not UNDEFINED}


class Groups:
    """The rows of an aggregating query: one a group; without GROUP BY, one of all twins together, even of none."""

    def __init__(self, query: Query) -> None:
        self._by = query.group
        self._plain = [column for column in query.columns if not column.aggregate]
        self._counted = [column for column in query.columns if column.aggregate]
        self._groups: dict[str, tuple[Json, list[list[Any]]]] = {}
        if self._by is None:
            self._group("", {})

    def add(self, twin: Json) -> None:
        key = value(self._by, twin) if self._by else UNDEFINED
        members = self._group("" if key is UNDEFINED else json.dumps(key), twin)
        for column, numbers in zip(self._counted, members, strict=True):
            number = value(column.path, twin) if column.path else 1
            if _kind(number) == "number":
                numbers.append(number)

    def rows(self) -> list[Json]:
        rows = []
        for plain, members in self._groups.values():
            counted = {
                column.name: _aggregate(column.aggregate, numbers)
                for column, numbers in zip(self._counted, members, strict=True)
            }
            rows.append(plain | {name: one for name, one in counted.items() if one is not UNDEFINED})
        return rows

    def _group(self, key: str, first: Json) -> list[list[Any]]:
        if key not in self._groups:
            self._groups[key] = row(self._plain, first), [[] for _ in self._counted]
        return self._groups[key][1]


def _aggregate(name: Aggregate | None, numbers: Sequence[Any]) -> Any:
    match name:
        case "count":
            return len(numbers)
        case "sum":
            result = sum(numbers)
        case _ if not numbers:
            return UNDEFINED
        case "avg":
            result = sum(numbers) / len(numbers)
        case "min":
            result = min(numbers)
        case _:
            result = max(numbers)
    return result if math.isfinite(result) else UNDEFINED  # JSON has no infinity


def value(expression: Expression, twin: Json) -> Any:
    match expression:
        case Constant(value=constant):
            return constant
        case Path(names=names):
            return _look_up(names, twin)
        case Not(operand=operand):
            return value(operand, twin) is not True
        case Call():
            return _call(expression, twin)
        case Comparison(operator=operator, left=left, right=right):
            return _compare(operator, value(left, twin), value(right, twin))
        case Chain():
            return _chain(expression, twin)


def _look_up(names: tuple[str, ...], twin: Json) -> Any:
    """The twin's own fields ignore case, as in the documentation's examples; what is in them does not."""
    first = next((key for key in twin if key.lower() == names[0].lower()), None)
    found: Any = twin[first] if first else UNDEFINED
    for name in names[1:]:
        found = found.get(name, UNDEFINED) if isinstance(found, dict) else UNDEFINED
    return found


def _call(call: Call, twin: Json) -> Any:
    arguments = [value(one, twin) for one in call.arguments]
    if call.name == "is_defined":
        return arguments[0] is not UNDEFINED
    text, part = arguments
    if not isinstance(text, str) or not isinstance(part, str):
        return UNDEFINED
    return text.startswith(part) if call.name == "startswith" else text.endswith(part)


def _chain(chain: Chain, twin: Json) -> Any:
    result = value(chain.first, twin)
    for operator, operand in chain.rest:
        if operator == "and":
            result = result is True and value(operand, twin) is True
        elif operator == "or":
            result = result is True or value(operand, twin) is True
        else:
            result = _calculate(operator, result, value(operand, twin))
    return result


def _calculate(operator: str, left: Any, right: Any) -> Any:
    if _kind(left) != "number" or _kind(right) != "number":
        return UNDEFINED
    try:
        match operator:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
            case "/":
                return left / right
            case _:
                return math.fmod(left, right)
    except (ArithmeticError, ValueError):  # by zero, or beyond what a number holds
        return UNDEFINED


def _compare(operator: str, left: Any, right: Any) -> Any:
    if operator in ("in", "nin"):
        if left is UNDEFINED:
            return UNDEFINED
        return any(_compare("=", left, one) is True for one in right) is (operator == "in")
    kinds = _kind(left), _kind(right)
    if "" in kinds:
        return UNDEFINED  # "comparisons are supported only between primitive types"
    same = kinds[0] == kinds[1]
    if operator in ("=", "!="):
        return (same and left == right) is (operator == "=")
    if not same or kinds[0] not in ("number", "string"):
        return UNDEFINED
    match operator:
        case "<":
            return left < right
        case "<=":
            return left <= right
        case ">":
            return left > right
        case _:
            return left >= right


def _kind(one: Any) -> str:
    """Empty for what is not compared: objects, arrays, undefined."""
    if one is None:
        return "null"
    if isinstance(one, bool):
        return "boolean"
    if isinstance(one, int | float):
        return "number"
    return "string" if isinstance(one, str) else ""
