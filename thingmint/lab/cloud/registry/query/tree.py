"""A query as values: what the parser makes, and the evaluation walks."""

from dataclasses import dataclass
from typing import Any, Literal

Aggregate = Literal["count", "avg", "sum", "min", "max"]


class QueryProblem(Exception):  # noqa: N818 - the field's word
    """Why a text is no query, as a clause."""


class NotDone(Exception):  # noqa: N818 - no error of the query
    """A query that the service answers and the lab does not."""


@dataclass(frozen=True)
class Constant:
    value: Any


@dataclass(frozen=True)
class Path:
    """tags.location.region"""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Call:
    """IS_DEFINED and its like, in lower case."""

    name: str
    arguments: tuple["Expression", ...]


@dataclass(frozen=True)
class Not:
    operand: "Expression"


@dataclass(frozen=True)
class Comparison:
    """Also "in" and "nin", whose right side is an array."""

    operator: str
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True)
class Chain:
    """Operands joined by operators of one rank, from left to right: flat, so that a long one is no deep one."""

    first: "Expression"
    rest: tuple[tuple[str, "Expression"], ...]


Expression = Constant | Path | Call | Not | Comparison | Chain


@dataclass(frozen=True)
class Column:
    """One element of the SELECT list: a value, or an aggregate over one (None: of nothing, as in COUNT())."""

    name: str
    path: Path | None
    aggregate: Aggregate | None = None


@dataclass(frozen=True)
class Query:
    columns: tuple[Column, ...]  # none: SELECT *
    where: Expression | None
    group: Path | None
    top: int | None

    @property
    def aggregates(self) -> bool:
        return self.group is not None or any(column.aggregate for column in self.columns)

    @property
    def counts_alone(self) -> bool:
        """Whether nothing of a twin is looked at to fill its one row."""
        return self.group is None and bool(self.columns) and all(one.aggregate == "count" for one in self.columns)


class _Undefined:
    """The value of a property that is not there. Not null, which is a value."""

    def __repr__(self) -> str:
        return "undefined"


UNDEFINED = _Undefined()
