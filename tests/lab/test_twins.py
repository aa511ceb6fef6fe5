"""Twins apart from any server, and what no SDK would send about them."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lab.clients import Lab
from thingmint.lab.cloud.records import Device, Section, Twin
from thingmint.lab.cloud.registry.identities import created, updated
from thingmint.lab.cloud.store.store import Store
from thingmint.lab.cloud.twin import changed, section_json, written
from thingmint.twinform import TwinProblem

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
KEYS = st.sampled_from(["a", "b", "c"])
VALUES = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3)
PATCHES = st.recursive(VALUES, lambda inner: st.dictionaries(KEYS, inner), max_leaves=12).filter(
    lambda value: isinstance(value, dict)
)


def naive(old: Any, patch: Any) -> Any:
    """RFC 7396, as its pseudo-code has it."""
    if not isinstance(patch, dict):
        return patch
    result = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = naive(result.get(key), value)
    return result


def shape(values: Any) -> Any:
    """The names alone, as the metadata has them too."""
    return {key: shape(value) for key, value in values.items()} if isinstance(values, dict) else {}


def names(metadata: dict[str, Any]) -> Any:
    assert "$lastUpdated" in metadata
    return {key: names(value) for key, value in metadata.items() if not key.startswith("$")}


@given(st.lists(PATCHES, max_size=4))
def test_patches_are_merged_and_metadata_has_the_shape_of_the_values(patches: list[dict[str, Any]]) -> None:
    twin = Twin("x")
    expected: dict[str, Any] = {}
    for patch in patches:
        twin = changed(twin, NOON, tags=patch, desired=patch, whole=False)
        expected = naive(expected, patch)
    assert twin.tags == twin.desired.values == expected
    assert names(twin.desired.metadata) == shape(expected)
    assert (twin.version, twin.desired.version) == (2 + len(patches), 1 + len(patches))
    replaced = changed(twin, NOON, tags=None, desired={"z": {"y": None}}, whole=True)
    assert section_json(replaced.desired)["z"] == {}
    assert replaced.tags == twin.tags


def test_what_the_hub_alone_writes_is_passed_over() -> None:
    assert written({"a": 1, "$version": 9, "$metadata": {"$lastUpdated": "x"}}, "tags") == {"a": 1}
    wrongs: list[Any] = [{"a": {"$version": 1}}, {"": 1}, [], "text", {"a": [[[[[[[[[[[]]]]]]]]]]]}]
    for wrong in wrongs:
        with pytest.raises(TwinProblem):
            written(wrong, "tags")


@pytest.fixture
def store(tmp_path: Any) -> Iterator[Store]:
    opened = Store(tmp_path / "lab.sqlite3")
    yield opened
    opened.close()


def test_a_twin_outlives_its_devices_changes_and_ends_with_it(store: Store) -> None:
    device: Device = created("x", {})
    kept = Twin("x", 7, 3, {"a": 1}, Section({"b": 2}), Section({"c": 3}))
    store.devices.put(device)
    store.twins.put(kept)
    store.devices.put(updated(device, {"status": "disabled"}))
    assert store.twins.of(["y", "x"]) == [Twin("y"), kept]
    store.devices.delete("x")
    assert store.twins.get("x") == Twin("x")


@pytest.mark.parametrize(
    "body",
    [
        '{"tags": {"a": NaN}}',
        '{"tags": {"a": 1e999}}',
        '{"tags": {"a": "\\ud800"}}',
        '{"tags": 5}',
        '{"properties": 5}',
        "[]",
    ],
)
def test_bodies_that_no_sdk_sends(lab: Lab, body: str) -> None:
    if not any(one.device_id == "odd-bodies" for one in lab.registry.get_devices(1000)):
        lab.register("odd-bodies")
    headers = lab.bearer("https://iothubs.azure.net")
    status, _, answer = lab.request("PATCH", "/twins/odd-bodies?api-version=2021-04-12", text=body, headers=headers)
    assert status == 400, answer
