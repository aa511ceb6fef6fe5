"""The query language's grammar, by recursive descent.

https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-query-language and …/query-twins
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from thingmint.lab.cloud.registry.query.tokens import Token, cut
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
    NotDone,
    Path,
    Query,
    QueryProblem,
)

DEEPEST = 30
_CONSTANTS = {"true": True, "false": False, "null": None, "undefined": UNDEFINED}
# CONTAINS and STARTS_WITH are for routes: https://github.com/MicrosoftDocs/azure-docs/issues/110329 and /105649
_FUNCTIONS = {"is_defined": 1, "startswith": 2, "endswith": 2}
_AGGREGATES: dict[str, Aggregate] = {"count": "count", "avg": "avg", "sum": "sum", "min": "min", "max": "max"}
# Words that begin no property's name unless they stand in [[ ]]; `group` is none within a name either, says the documentation.
_GROUP = frozenset({"group"})
_RESERVED = _GROUP | {"select", "top", "from", "where", "by", "as", "and", "or", "not", "in", "nin", *_CONSTANTS}


def parse(text: str) -> Query:
    """Raises QueryProblem, or NotDone for what the service has and the lab has not."""
    return _Parser(cut(text)).query()


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._next = 0
        self._depth = 0

    def query(self) -> Query:
        self._require_word("select")
        top = self._top() if self._take_word("top") else None
        columns = () if self._take_sign("*") else self._columns()
        self._require_word("from")
        self._collection()
        where = self._or() if self._take_word("where") else None
        group = None
        if self._take_word("group"):
            self._require_word("by")
            group = self._path()
        self._take_sign(";")
        if self._token.kind != "end":
            raise self._unexpected("the end")
        query = Query(columns, where, group, top)
        _require_grouped(query)
        return query

    # --- SELECT … FROM -------------------------------------------------------------------------------------------

    def _top(self) -> int:
        token = self._take()
        if type(token.value) is not int or token.value < 1:
            raise QueryProblem("TOP takes a positive number")
        return token.value

    def _columns(self) -> tuple[Column, ...]:
        columns = [self._column()]
        while self._take_sign(","):
            columns.append(self._column())
        if len({column.name for column in columns}) < len(columns):
            raise QueryProblem("two columns have one name")
        return tuple(columns)

    def _column(self) -> Column:
        aggregate = _AGGREGATES.get(self._token.text.lower()) if self._token.kind == "word" else None
        if aggregate and self._tokens[self._next + 1].is_sign("("):
            self._next += 2
            path = None if aggregate == "count" or self._token.is_sign(")") else self._path()
            if path is None and aggregate != "count":
                raise QueryProblem(f"{aggregate.upper()} takes a property")
            self._require_sign(")")
            self._require_word("as")
            return Column(self._name(), path, aggregate)
        path = self._path()
        return Column(self._name() if self._take_word("as") else path.names[-1], path)

    def _collection(self) -> None:
        names = self._path().names
        if names in (("devices", "modules"), ("devices", "jobs")):
            raise NotDone("queries FROM " + ".".join(names))
        if names != ("devices",):
            raise QueryProblem(f"there is no collection {'.'.join(names)}")

    # --- expressions, the loosest binding first ------------------------------------------------------------------

    def _or(self) -> Expression:
        return self._chain(self._and, lambda token: token.is_word("or"))

    def _and(self) -> Expression:
        return self._chain(self._not, lambda token: token.is_word("and"))

    def _not(self) -> Expression:
        if self._take_word("not"):
            with self._deeper():
                return Not(self._not())
        return self._comparison()

    def _comparison(self) -> Expression:
        left = self._sum()
        if self._token.is_word("in", "nin"):
            return Comparison(self._take().text.lower(), left, self._array())
        if self._token.is_sign("=", "!=", "<>", "<", "<=", ">", ">="):
            operator = self._take().text
            return Comparison("!=" if operator == "<>" else operator, left, self._sum())
        return left

    def _sum(self) -> Expression:
        return self._chain(self._product, lambda token: token.is_sign("+", "-"))

    def _product(self) -> Expression:
        return self._chain(self._factor, lambda token: token.is_sign("*", "/", "%"))

    def _chain(self, operand: Callable[[], Expression], joins: Callable[[Token], bool]) -> Expression:
        first = operand()
        rest = []
        while joins(self._token):
            operator = self._take().text.lower()
            rest.append((operator, operand()))
        return Chain(first, tuple(rest)) if rest else first

    def _factor(self) -> Expression:
        token = self._token
        if token.is_sign("("):
            self._next += 1
            with self._deeper():
                inner = self._or()
            self._require_sign(")")
            return inner
        if token.is_sign("["):
            return self._array()
        if token.is_sign("-") or token.kind == "constant" or token.is_word(*_CONSTANTS):
            return self._constant()
        if token.kind == "word" and self._tokens[self._next + 1].is_sign("("):
            return self._call()
        return self._path()

    def _call(self) -> Call:
        name = self._take().text.lower()
        if name not in _FUNCTIONS:
            raise QueryProblem(f"twins are not queried with the function {name.upper()[:40]}")
        self._require_sign("(")
        with self._deeper():
            arguments: list[Expression] = [self._path() if name == "is_defined" else self._sum()]
            while self._take_sign(","):
                arguments.append(self._sum())
        self._require_sign(")")
        if len(arguments) != _FUNCTIONS[name]:
            raise QueryProblem(f"{name.upper()} takes {_FUNCTIONS[name]} argument(s)")
        return Call(name, tuple(arguments))

    def _constant(self) -> Constant:
        negative = self._take_sign("-")
        token = self._take()
        if token.is_word(*_CONSTANTS) and not negative:
            return Constant(_CONSTANTS[token.text.lower()])
        if token.kind != "constant" or (negative and isinstance(token.value, str)):
            raise self._unexpected("a number" if negative else "a constant", token)
        return Constant(-token.value if negative else token.value)

    def _array(self) -> Constant:
        self._require_sign("[")
        values: list[Any] = []
        while not self._take_sign("]"):
            if values:
                self._require_sign(",")
            values.append(self._constant().value)
        return Constant(values)

    def _path(self) -> Path:
        names = [self._name()]
        while self._take_sign("."):
            names.append(self._name(_GROUP))
        return Path(tuple(names))

    def _name(self, reserved: frozenset[str] = _RESERVED) -> str:
        token = self._take()
        if token.kind == "name" or (token.kind == "word" and token.text.lower() not in reserved):
            return token.text
        if token.is_word(*_GROUP):
            raise self._unexpected("a name", token, "; a property of that name is written [[group]]")
        raise self._unexpected("a name", token)

    # --- tokens --------------------------------------------------------------------------------------------------

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._token
        if token.kind != "end":
            self._next += 1
        return token

    def _take_word(self, word: str) -> bool:
        return self._token.is_word(word) and bool(self._take())

    def _take_sign(self, sign: str) -> bool:
        return self._token.is_sign(sign) and bool(self._take())

    def _require_word(self, word: str) -> None:
        if not self._take_word(word):
            raise self._unexpected(word.upper())

    def _require_sign(self, sign: str) -> None:
        if not self._take_sign(sign):
            raise self._unexpected(f"'{sign}'")

    def _unexpected(self, wanted: str, found: Token | None = None, hint: str = "") -> QueryProblem:
        token = found or self._token
        return QueryProblem(f"{wanted} was expected at character {token.at + 1}, not {token.text[:20]!r}{hint}")

    @contextlib.contextmanager
    def _deeper(self) -> Iterator[None]:
        self._depth += 1
        if self._depth > DEEPEST:
            raise QueryProblem(f"it is nested deeper than {DEEPEST} levels")
        yield
        self._depth -= 1


def _require_grouped(query: Query) -> None:
    """Beside aggregates stands nothing but what the rows are grouped by."""
    if not query.aggregates:
        return
    if not query.columns:
        raise QueryProblem("SELECT * cannot be grouped")
    for column in query.columns:
        if column.aggregate is None and column.path != query.group:
            raise QueryProblem(f"{column.name} is neither aggregated nor what the rows are grouped by")
