"""Twins from the service's side, through azure-iot-hub."""

from typing import Any

import pytest
from azure.iot.hub.models import Twin
from msrest.exceptions import HttpOperationError

from tests.lab.clients import Lab
from tests.lab.conformance.registry import ask, refusal
from tests.lab.conformance.rows import done
from tests.lab.conformance.signin import by_policy


def patched(lab: Lab, device_id: str, *, tags: Any = None, desired: Any = None, etag: str | None = None) -> Any:
    properties = None if desired is None else {"desired": desired}
    return lab.registry.update_twin(device_id, Twin(tags=tags, properties=properties), etag)


@done("twin-new")
def new(lab: Lab) -> None:
    lab.register("conf-twin-new")
    twin = lab.registry.get_twin("conf-twin-new")
    assert (twin.etag, twin.version, twin.tags) == ("AAAAAAAAAAE=", 2, None)
    assert twin.properties.desired["$version"] == twin.properties.reported["$version"] == 1
    assert (twin.status, twin.connection_state, twin.authentication_type) == (
        *("enabled", "Disconnected"),
        "certificateAuthority",
    )


@done("twin-patch")
def patch(lab: Lab) -> None:
    lab.register("conf-twin-patch")
    patched(lab, "conf-twin-patch", tags={"a": {"b": 1, "c": 2}}, desired={"old": 1, "kept": {"x": 1, "y": 2}})
    twin = patched(lab, "conf-twin-patch", tags={"a": {"b": None, "d": 3}}, desired={"old": None, "kept": {"y": 3}})
    assert twin.tags == {"a": {"c": 2, "d": 3}}
    assert {key: value for key, value in twin.properties.desired.items() if key[0] != "$"} == {"kept": {"x": 1, "y": 3}}
    assert lab.registry.get_twin("conf-twin-patch").tags == twin.tags


@done("twin-replace")
def replace(lab: Lab) -> None:
    lab.register("conf-twin-replace")
    patched(lab, "conf-twin-replace", tags={"a": 1}, desired={"b": 1})
    twin = lab.registry.replace_twin("conf-twin-replace", Twin(tags={"c": 2}))
    assert twin.tags == {"c": 2}
    assert twin.properties.desired["b"] == 1  # what the body does not name stays
    twin = lab.registry.replace_twin("conf-twin-replace", Twin(properties={"desired": {"d": 3}}))
    assert (twin.tags, "b" in twin.properties.desired, twin.properties.desired["d"]) == ({"c": 2}, False, 3)


@done("twin-metadata")
def metadata(lab: Lab) -> None:
    lab.register("conf-twin-metadata")
    patched(lab, "conf-twin-metadata", desired={"a": {"b": 1, "c": 1}})
    desired = patched(lab, "conf-twin-metadata", desired={"a": {"c": 2}}).properties.desired
    told = desired["$metadata"]
    versions = [one["$lastUpdatedVersion"] for one in (told, told["a"], told["a"]["b"], told["a"]["c"])]
    assert versions == [3, 3, 2, 3] == [desired["$version"]] * 2 + [2, 3]
    assert told["a"]["b"]["$lastUpdated"] < told["a"]["c"]["$lastUpdated"]


@done("twin-etags")
def etags(lab: Lab) -> None:
    lab.register("conf-twin-etags")
    first = patched(lab, "conf-twin-etags", tags={"a": 1})
    patched(lab, "conf-twin-etags", tags={"a": 2}, etag=first.etag)
    with pytest.raises(HttpOperationError) as error:
        patched(lab, "conf-twin-etags", tags={"a": 3}, etag=first.etag)
    assert refusal(error) == (412, "PreconditionFailed")
    patched(lab, "conf-twin-etags", tags={"a": 4}, etag="*")


@done("twin-values")
def values(lab: Lab) -> None:
    lab.register("conf-twin-values")
    greatest = {"number": 4503599627370495, "text": "x" * 4096, "list": [1, {"a": True}], "x" * 1024: 1}
    assert patched(lab, "conf-twin-values", tags=greatest).tags == greatest
    for wrong in (
        {"a.b": 1},
        {"$a": 1},
        {"a b": 1},
        {"a\n": 1},
        {"x" * 1025: 1},
        {"a": 4503599627370496},
        {"a": "x" * 4097},
    ):
        status, headers, body = ask(lab, "PATCH", "/twins/conf-twin-values", {"tags": wrong})
        assert (status, headers["iothub-errorcode"]) == (400, "ArgumentInvalid"), wrong
    assert body["Message"].startswith(
        "ErrorCode:ArgumentInvalid;Property or Tag value should be maximum 4096 bytes. Error in Property/Tag "
    )


@done("twin-depth")
def depth(lab: Lab) -> None:
    lab.register("conf-twin-depth")
    ten: Any = {"property": "value"}
    for _ in range(10):
        ten = {"level": ten}
    assert patched(lab, "conf-twin-depth", tags=ten).tags == ten
    assert ask(lab, "PATCH", "/twins/conf-twin-depth", {"tags": {"level": ten}})[0] == 400
    for desired, status in ((ten, 200), ({"level": ten}, 400)):
        body = {"properties": {"desired": desired}}
        assert ask(lab, "PATCH", "/twins/conf-twin-depth", body)[0] == status


@done("twin-sizes")
def sizes(lab: Lab) -> None:
    lab.register("conf-twin-sizes")
    for part, largest in (("tags", 8), ("desired", 32)):

        def body(size: int, part: str = part) -> dict[str, Any]:
            values = {f"{number:04}": "x" * 1020 for number in range(size)}
            return {"tags": values} if part == "tags" else {"properties": {"desired": values}}

        assert ask(lab, "PUT", "/twins/conf-twin-sizes", body(largest))[0] == 200
        status, headers, _ = ask(lab, "PUT", "/twins/conf-twin-sizes", body(largest + 1))
        assert (status, headers["iothub-errorcode"]) == (400, "ArgumentInvalid")


@done("twin-ends-with-device")
def ends_with_device(lab: Lab) -> None:
    lab.register("conf-twin-ends")
    patched(lab, "conf-twin-ends", tags={"a": 1})
    lab.registry.delete_device("conf-twin-ends")
    assert ask(lab, "GET", "/twins/conf-twin-ends")[0] == 404
    lab.register("conf-twin-ends")
    assert lab.registry.get_twin("conf-twin-ends").tags is None


@done("twin-rights")
def rights(lab: Lab) -> None:
    lab.register("conf-twin-rights")
    for policy, status in (("iothubowner", 200), ("service", 200), ("registryReadWrite", 401), ("device", 401)):
        assert ask(lab, "GET", "/twins/conf-twin-rights", **by_policy(lab, policy))[0] == status, policy
