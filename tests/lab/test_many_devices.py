"""What is asked of a hub of many devices costs no more than of one of few; and what the store answers, a scan answers alike."""

# ruff: noqa: S608 - no SQL: no database sees these texts
import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from thingmint.lab.cloud.records import Authentication, Device
from thingmint.lab.cloud.registry.identities import twin_json
from thingmint.lab.cloud.registry.queries import answer
from thingmint.lab.cloud.registry.query.evaluate import holds
from thingmint.lab.cloud.registry.query.parser import parse
from thingmint.lab.cloud.store.store import Store

FEW, MANY = 50, 3_000


def filled(path: Path, number: int) -> Store:
    """Every tenth device is disabled, and every seventh connected."""
    store = Store(path)
    with store.transaction():
        for n in range(number):
            store.devices.put(
                Device(
                    device_id=f"dev-{n}",
                    generation_id="1",
                    etag="e",
                    status="disabled" if n % 10 == 0 else "enabled",
                    status_reason=None,
                    status_updated=None,
                    authentication=Authentication("selfSigned", primary_thumbprint=f"{n:040X}"),
                    connected=n % 7 == 0,
                )
            )
    return store


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Store]]:
    folder = tmp_path_factory.mktemp("many")
    with (
        contextlib.closing(filled(folder / "few", FEW)) as few,
        contextlib.closing(filled(folder / "many", MANY)) as many,
    ):
        yield few, many


def asked(store: Store, text: str) -> Any:
    return json.loads(bytes(asyncio.run(answer(store, parse(text), 1000, ("", 0))).body))


def steps(store: Store, action: Callable[[Store], object]) -> int:
    """How many hundreds of SQLite's own instructions it takes."""
    counted: list[None] = []
    connection = store._database._db
    connection.set_progress_handler(lambda: counted.append(None), 100)
    try:
        action(store)
    finally:
        connection.set_progress_handler(None, 0)
    return len(counted)


@pytest.mark.parametrize(
    "action",
    [
        lambda store: store.devices.have_thumbprint(frozenset({f"{FEW - 1:040X}", "A" * 64})),
        lambda store: store.devices.have_thumbprint(frozenset({"B" * 40, "A" * 64})),
        lambda store: asked(store, f"SELECT * FROM devices WHERE deviceId = 'dev-{FEW - 1}'"),
        lambda store: asked(store, "SELECT COUNT() AS n FROM devices"),
    ],
    ids=["a thumbprint", "an unknown thumbprint", "one id", "the number of all"],
)
def test_it_costs_the_same(stores: tuple[Store, Store], action: Callable[[Store], object]) -> None:
    few, many = stores
    assert steps(many, action) <= steps(few, action) + 20  # where a scan would take hundreds


def test_thumbprints_come_and_go_with_their_devices(tmp_path: Path) -> None:
    with contextlib.closing(filled(tmp_path / "db", 3)) as store:
        first, other = frozenset({f"{0:040X}"}), frozenset({"C" * 64})
        assert store.devices.have_thumbprint(first)
        device = store.devices.get("dev-0")
        assert device
        changed = Authentication("selfSigned", primary_thumbprint="D" * 40, secondary_thumbprint="C" * 64)
        store.devices.put(Device(**{**vars(device), "authentication": changed}))
        assert not store.devices.have_thumbprint(first)
        assert store.devices.have_thumbprint(other)
        store.devices.delete("dev-0")
        assert not store.devices.have_thumbprint(other)


@pytest.mark.parametrize(
    "condition",
    [
        "deviceId = 'dev-7'",
        "'dev-7' = DeviceID AND status = 'enabled'",
        "deviceId = 'dev-7' AND deviceId = 'dev-8'",
        "deviceId = 'DEV-7'",
        "deviceId = 7",
        "deviceId = 'dev-7' OR status = 'disabled'",
        "status = 'disabled' AND (connectionState = 'Connected' AND version = 2)",
        "NOT status = 'disabled' AND connectionState = 'Disconnected'",
        "status = 'Disabled'",
        "connectionState = 'connected'",
        "connectionState = 'Connected' AND STARTSWITH(deviceId, 'dev-1')",
        "tags.status = 'disabled'",
    ],
)
def test_what_the_store_answers_a_scan_answers_alike(stores: tuple[Store, Store], condition: str) -> None:
    store, where = stores[0], parse(f"SELECT * FROM devices WHERE {condition}").where
    twins = [twin_json(one, store.twins.get(one.device_id)) for one in store.devices.page(limit=FEW)]
    wanted = [twin["deviceId"] for twin in twins if holds(where, twin)]
    assert [twin["deviceId"] for twin in asked(store, f"SELECT * FROM devices WHERE {condition}")] == wanted
    assert asked(store, f"SELECT COUNT() AS n FROM devices WHERE {condition}") == [{"n": len(wanted)}]
