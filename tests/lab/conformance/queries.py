"""POST /devices/query, through azure-iot-hub where it can send the request."""

# ruff: noqa: S608 - no SQL: no database sees these texts

from typing import Any

import pytest
from azure.iot.hub.models import QuerySpecification
from msrest.exceptions import HttpOperationError

from tests.lab.clients import Lab
from tests.lab.conformance.registry import ask, refusal
from tests.lab.conformance.rows import done, left_out, not_done
from tests.lab.conformance.signin import by_policy


def rows(lab: Lab, text: str, **headers: str) -> list[dict[str, Any]]:
    status, _, body = ask(lab, "POST", "/devices/query", {"query": text}, **headers)
    assert status == 200, body
    assert isinstance(body, list)
    return body


def ids(lab: Lab, condition: str) -> list[str]:
    """The last characters of those that are selected."""
    found = rows(lab, f"SELECT * FROM devices WHERE is_defined(tags.conf) AND {condition}")
    return [twin["deviceId"][-1] for twin in found]


@done("query-conditions")
def conditions(places: Lab) -> None:
    assert ids(places, "tags.conf.region = 'US'") == ["0", "1"]
    assert ids(places, "tags.conf.region = 'US' AND properties.desired.interval >= 61") == ["1"]
    assert ids(places, "(status = 'disabled' OR tags.conf.region = 'EU') AND NOT capabilities.iotEdge = true") == [
        "1",
        "2",
    ]
    assert ids(places, "tags.conf.region IN ['EU', 'ASIA']") == ["2"]
    assert ids(places, "tags.conf.region NIN ['EU', 'ASIA']") == ["0", "1"]
    assert ids(places, "connectionState = 'Disconnected' AND authenticationType = 'certificateAuthority'") == [
        "0",
        "1",
        "2",
    ]
    assert ids(places, "lastActivityTime < '2000-01-01'") == ["0", "1", "2"]
    for condition, found in (
        ("!= 60", ["1", "2"]),
        ("<> 60", ["1", "2"]),
        ("< 61", ["0"]),
        ("<= 61", ["0", "1"]),
        ("> 61", ["2"]),
        ("+ 1 = 62", ["1"]),
        ("- 1 = 60", ["1"]),
        ("* 2 = 120", ["0"]),
        ("/ 2 = 31", ["2"]),
        ("% 2 = 1", ["1"]),
    ):
        assert ids(places, f"properties.desired.interval {condition}") == found, condition


@done("query-functions")
def functions(places: Lab) -> None:
    assert ids(places, "is_defined(properties.desired.interval)") == ["0", "1", "2"]
    assert ids(places, "STARTSWITH(tags.conf.region, 'E')") == ["2"]
    assert ids(places, "ENDSWITH(deviceId, 'query-0')") == ["0"]
    for other in ("CONTAINS(deviceId, 'x')", "STARTS_WITH(deviceId, 'x')"):
        body = {"query": f"SELECT * FROM devices WHERE {other}"}
        assert ask(places, "POST", "/devices/query", body)[0] == 400


@done("query-group-word")
def group_word(places: Lab) -> None:
    assert ids(places, "tags.conf.[[group]] = 1") == ["1"]
    assert ask(places, "POST", "/devices/query", {"query": "SELECT * FROM devices WHERE tags.group = 1"})[0] == 400


@done("query-null")
def null(places: Lab) -> None:
    assert ids(places, "statusReason = null") == ["0", "1", "2"]
    assert ids(places, "tags.conf.none = null") == []
    assert ids(places, "tags.conf.none != 'x'") == []
    assert ids(places, "tags.conf.region = 1") == []
    assert ids(places, "tags.conf.region != 1") == ["0", "1", "2"]
    assert ids(places, "tags.conf.region < 1 OR tags.conf.region >= 1") == []


@done("query-not")
def negation(places: Lab) -> None:
    assert ids(places, "NOT tags.conf.none = 'x'") == ["0", "1", "2"]


@done("query-columns")
def columns(places: Lab) -> None:
    found = rows(
        places, "SELECT deviceId, tags.conf.region AS region, tags.none FROM devices WHERE tags.conf.region = 'EU'"
    )
    assert found == [{"deviceId": "conf-query-2", "region": "EU"}]
    _, headers, _ = ask(places, "POST", "/devices/query", {"query": "SELECT deviceId FROM devices"})
    assert headers["x-ms-item-type"] == "Raw"


@done("query-names")
def names(places: Lab) -> None:
    assert ids(places, "DeviceID = 'conf-query-1'") == ["1"]
    assert ids(places, "tags.Conf.region = 'US'") == []


@done("query-aggregates")
def aggregates(places: Lab) -> None:
    where = "FROM devices WHERE is_defined(tags.conf)"
    assert rows(places, f"SELECT COUNT() AS total {where}") == [{"total": 3}]
    of_each = ", ".join(f"{name}(properties.desired.interval) AS {name}" for name in ("AVG", "SUM", "MIN", "MAX"))
    text = f"SELECT tags.conf.region AS region, COUNT() AS n, {of_each} {where} GROUP BY tags.conf.region"
    assert rows(places, text) == [
        {"region": "US", "n": 2, "AVG": 60.5, "SUM": 121, "MIN": 60, "MAX": 61},
        {"region": "EU", "n": 1, "AVG": 62, "SUM": 62, "MIN": 62, "MAX": 62},
    ]


@done("query-top")
def top(places: Lab) -> None:
    assert len(rows(places, "SELECT TOP 2 * FROM devices")) == 2


@done("query-pages")
def pages(places: Lab) -> None:
    specification = QuerySpecification(query="SELECT * FROM devices WHERE is_defined(tags.conf)")
    first = places.registry.query_iot_hub(specification, None, 2)
    second = places.registry.query_iot_hub(specification, first.continuation_token, 2)
    assert [twin.device_id[-1] for twin in first.items + second.items] == ["0", "1", "2"]
    assert second.continuation_token is None
    many = [{"id": f"conf-page-{number}", "importMode": "create"} for number in range(1001)]
    hundreds = [many[at : at + 100] for at in range(0, len(many), 100)]
    assert {ask(places, "POST", "/devices", some)[0] for some in hundreds} == {200}
    for wanted, given in (({}, 100), ({"x-ms-max-item-count": "1001"}, 1000)):
        _, headers, found = ask(places, "POST", "/devices/query", {"query": "SELECT * FROM devices"}, **wanted)
        assert (len(found), headers["x-ms-item-type"], "x-ms-continuation" in headers) == (given, "Twin", True)
    for some in hundreds:
        assert ask(places, "POST", "/devices", [one | {"importMode": "delete"} for one in some])[0] == 200


@done("query-invalid")
def invalid(places: Lab) -> None:
    with pytest.raises(HttpOperationError) as error:
        places.registry.query_iot_hub(QuerySpecification(query="SELECT * WHERE"))
    assert refusal(error) == (400, "ArgumentInvalid")
    assert error.value.response.json()["Message"].startswith("ErrorCode:ArgumentInvalid;BadRequest")


@done("query-length")
def length(places: Lab) -> None:
    text = "SELECT * FROM devices WHERE deviceId = '{}'"
    for size, status in ((8192, 200), (8193, 412)):
        body = {"query": text.format("x" * (size - len(text.format(""))))}
        assert ask(places, "POST", "/devices/query", body)[0] == status


@done("query-rights")
def rights(places: Lab) -> None:
    body = {"query": "SELECT * FROM devices"}
    for policy, status in (("iothubowner", 200), ("service", 200), ("registryRead", 200), ("device", 401)):
        assert ask(places, "POST", "/devices/query", body, **by_policy(places, policy))[0] == status, policy


@left_out("query-other-collections")
def other_collections(places: Lab) -> None:
    for collection in ("devices.modules", "devices.jobs"):
        assert not_done(ask(places, "POST", "/devices/query", {"query": f"SELECT * FROM {collection}"}))


def refused(lab: Lab, text: str) -> bool:
    return ask(lab, "POST", "/devices/query", {"query": text})[0] == 400


@done("query-alias")
def alias(places: Lab) -> None:
    assert refused(places, "SELECT COUNT() FROM devices")
    assert not refused(places, "SELECT COUNT() AS n FROM devices")


@done("query-collection-names")
def collection_names(places: Lab) -> None:
    assert refused(places, "SELECT * FROM Devices")
    assert not refused(places, "select * from devices")


@done("query-nesting")
def nesting(places: Lab) -> None:
    for depth, is_refused in ((30, False), (31, True)):
        condition = f"{'(' * depth}status = 'enabled'{')' * depth}"
        assert refused(places, f"SELECT * FROM devices WHERE {condition}") is is_refused
