"""The hub's query language apart from any server: what it reads, what it refuses, what it finds."""

# ruff: noqa: S608 - no SQL: no database sees these texts
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingmint.lab.cloud.registry.query.evaluate import Groups, holds, row, value
from thingmint.lab.cloud.registry.query.parser import DEEPEST, parse
from thingmint.lab.cloud.registry.query.tree import UNDEFINED, NotDone, Query, QueryProblem

TWIN: dict[str, Any] = {
    "deviceId": "it's",
    "status": "enabled",
    "statusReason": None,
    "version": 3,
    "capabilities": {"iotEdge": False},
    "tags": {"site": {"name": "Oslo"}, "group": "g", "odd-name": 1, "from": "x", "floor": 4},
    "properties": {"desired": {"interval": 5, "$version": 2}, "reported": {"battery": 55.5, "ok": True, "list": [1]}},
}


def selected(condition: str) -> bool:
    return holds(parse(f"SELECT * FROM devices WHERE {condition}").where, TWIN)


@pytest.mark.parametrize(
    "condition",
    [
        "status = 'enabled'",
        "STATUS = \"enabled\" and Tags.site.name <> 'Rome'",
        r"deviceId = 'it\'s'",
        'deviceId = "it\'s"',
        r"tags.site.name = '\u004fslo'",
        "statusReason = null",
        "status != null",
        "capabilities.iotEdge = false",
        "properties.desired.interval >= 5 AND properties.desired.interval < 0x6",
        "properties.desired.$version = 2",
        "properties.reported.battery IN [1, -2, 55.5]",
        "tags.site.name NIN ['Rome']",
        "tags.[[group]] = 'g' AND tags.[[odd-name]] = 1 AND tags.from = 'x'",
        "is_defined(tags.site) and not IS_DEFINED(tags.none)",
        "STARTSWITH(deviceId, 'it') AND endswith(deviceId, 's')",
        "NOT (tags.none = 1)",
        "status = 'disabled' OR version = 3 AND tags.floor = 4",
        "version * 2 + 1 = 7 AND version - 1 = 2 AND version / 2 = 1.5 AND version % 2 = 1",
        "properties.reported.ok",
    ],
)
def test_conditions_that_hold(condition: str) -> None:
    assert selected(condition)


@pytest.mark.parametrize(
    "condition",
    [
        "status = 'Enabled'",
        "tags.none = null",
        "tags.none != 'x'",
        "tags.none NIN ['x']",
        "tags.Site.name = 'Oslo'",
        "tags.site = tags.site",
        "properties.reported.list = properties.reported.list",
        "properties.reported.ok = 1",
        "version > '1'",
        "version / 0 = 1",
        "status",
        "undefined",
        "(status = 'disabled' OR version = 3) AND tags.floor = 5",
    ],
)
def test_conditions_that_do_not_hold(condition: str) -> None:
    assert not selected(condition)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "SELECT was expected"),
        ("SELECT * FROM devices WHERE", "a name was expected"),
        ("SELECT * FROM devices WHERE a = 'x", "begins with"),
        ("SELECT * FROM devices WHERE a == 1", "a name was expected"),
        (
            "SELECT * FROM devices WHERE tags.group = 1",
            r"not 'group'; a property of that name is written \[\[group\]\]",
        ),
        ("SELECT * FROM devices WHERE CONTAINS(deviceId, 'x')", "the function CONTAINS"),
        ("SELECT * FROM devices WHERE STARTS_WITH(deviceId, 'x')", "the function STARTS_WITH"),
        ("SELECT * FROM devices WHERE is_defined('x')", "a name was expected"),
        (r"SELECT * FROM devices WHERE a = '\n'", "no escape"),
        (r"SELECT * FROM devices WHERE a = '\ud800'", "half a character"),
        ("SELECT * FROM devices WHERE a IN [b]", "a constant was expected"),
        ("SELECT * FROM devices; DROP TABLE device", "the end was expected"),
        ("SELECT * FROM sensors", "no collection sensors"),
        ("SELECT TOP 0 * FROM devices", "positive"),
        ("SELECT COUNT() FROM devices", "AS was expected"),
        ("SELECT a, COUNT() AS n FROM devices", "neither aggregated"),
        ("SELECT a, b.a FROM devices", "one name"),
        ("SELECT AVG() AS a FROM devices", "AVG takes a property"),
        (f"SELECT * FROM devices WHERE {'(' * (DEEPEST + 1)}a", "nested deeper"),
        (f"SELECT * FROM devices WHERE {'NOT ' * (DEEPEST + 1)}a", "nested deeper"),
        (f"SELECT * FROM devices WHERE a = {'9' * 5000}", "a number is too long"),
    ],
)
def test_what_is_no_query(text: str, told: str) -> None:
    with pytest.raises(QueryProblem, match=told):
        parse(text)


@pytest.mark.parametrize("collection", ["devices.modules", "devices.jobs"])
def test_other_collections_are_left_out(collection: str) -> None:
    with pytest.raises(NotDone, match=collection):
        parse(f"SELECT * FROM {collection}")


def test_columns() -> None:
    query = parse("SELECT deviceId, tags.site.name AS site, tags.none FROM devices")
    assert row(query.columns, TWIN) == {"deviceId": "it's", "site": "Oslo"}


def grouped(query: Query, twins: list[dict[str, Any]]) -> list[dict[str, Any]]:
    groups = Groups(query)
    for twin in twins:
        groups.add(twin)
    return groups.rows()


def test_groups() -> None:
    twins = [{"status": one, "version": n} for one, n in (("a", 1), ("b", 2), ("a", 6))] + [{"version": "no number"}]
    query = parse(
        "SELECT status AS s, COUNT() AS n, SUM(version) AS sum, AVG(version) AS avg, MIN(version) AS least, "
        "MAX(version) AS most FROM devices GROUP BY status"
    )
    assert grouped(query, twins) == [
        {"s": "a", "n": 2, "sum": 7, "avg": 3.5, "least": 1, "most": 6},
        {"s": "b", "n": 1, "sum": 2, "avg": 2.0, "least": 2, "most": 2},
        {"n": 1, "sum": 0},
    ]
    assert grouped(parse("SELECT COUNT() AS n FROM devices"), []) == [{"n": 0}]
    assert grouped(parse("SELECT SUM(a) AS n FROM devices"), [{"a": 1e308}, {"a": 1e308}]) == [{}]
    assert grouped(parse("SELECT status, COUNT() AS n FROM devices GROUP BY status"), []) == []


def test_a_chain_as_long_as_a_query_may_be_is_no_deep_one() -> None:
    assert selected(" OR ".join(["status = 1"] * 700 + ["version = 3"]))
    assert selected(f"version = 3{' + 0' * 2000}")


# --- against a naive evaluation --------------------------------------------------------------------------------------

NAMES: dict[str, Any] = {
    "status": "enabled",
    "version": 3,
    "tags.floor": 4,
    "statusReason": None,
    "tags.none": UNDEFINED,
}
Case = tuple[str, Callable[[], bool]]


def leaf(name: str, operator: str, constant: Any) -> Case:
    literal = "null" if constant is None else repr(constant)

    def naive() -> bool:
        found = NAMES[name]
        if found is UNDEFINED:
            return False
        if operator in ("=", "!=", "<>"):
            return (type(found) is type(constant) and found == constant) is (operator == "=")
        if type(found) is not type(constant) or found is None:
            return False
        answers = {"<": found < constant, "<=": found <= constant, ">": found > constant, ">=": found >= constant}
        return bool(answers[operator])

    return f"{name} {operator} {literal}", naive


def joined(word: str, left: Case, right: Case) -> Case:
    both = all if word == "AND" else any
    return f"({left[0]} {word} {right[0]})", lambda: both([left[1](), right[1]()])


LEAVES = st.builds(
    leaf,
    st.sampled_from(sorted(NAMES)),
    st.sampled_from(["=", "!=", "<>", "<", "<=", ">", ">="]),
    st.sampled_from([None, "enabled", "disabled", "", 3, 4, -5]),
)
CASES = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(joined, st.sampled_from(["AND", "OR"]), inner, inner)
        | inner.map(lambda case: (f"NOT ({case[0]})", lambda: not case[1]()))
    ),
    max_leaves=8,
)


@given(CASES)
def test_conditions_agree_with_a_naive_evaluation(case: Case) -> None:
    text, naive = case
    assert selected(text) is naive()


@given(st.text())
def test_any_string_is_found_by_its_literal(text: str) -> None:
    literal = "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
    condition = parse(f"SELECT * FROM devices WHERE deviceId = {literal}").where
    assert condition
    assert value(condition, {"deviceId": text}) is True
    assert value(condition, {"deviceId": text + "'"}) is False


WORDS = st.sampled_from(
    [
        "SELECT",
        "*",
        "TOP",
        "5",
        "FROM",
        "devices",
        "WHERE",
        "deviceId",
        "tags",
        ".",
        "=",
        "!=",
        "(",
        ")",
        "[",
        "]",
        "'",
        "NOT",
        "AND",
        "IN",
        "'x'",
        "1.5",
        "is_defined",
        "GROUP",
        "BY",
        "AS",
        "COUNT",
        ",",
        "-",
        ";",
        "[[a]]",
    ]
)


@given(
    st.one_of(
        st.text(),
        st.lists(WORDS).map(" ".join),
        st.lists(WORDS).map(lambda w: "SELECT * FROM devices WHERE " + " ".join(w)),
    )
)
def test_any_text_is_a_query_or_refused(text: str) -> None:
    try:
        query = parse(text)
    except (QueryProblem, NotDone):
        return
    holds(query.where, TWIN)
    if query.aggregates:
        grouped(query, [TWIN])
    else:
        row(query.columns, TWIN)
