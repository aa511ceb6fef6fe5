"""Faults on purpose: what a seed decides, and what each fault looks like to a client."""

import itertools
from pathlib import Path

import pytest

from thingmint.errors import InputError
from thingmint.lab.chaos import Chaos, parse
from thingmint.lab.cloud.faults.kinds import AT, Fault, Kind, Point
from thingmint.lab.cloud.faults.seeded import MOST_ROWS, Seeded


def drawn(chaos: Chaos, asked: list[tuple[Point, str]]) -> dict[tuple[Point, str], list[Fault | None]]:
    source = Seeded(chaos)
    found: dict[tuple[Point, str], list[Fault | None]] = {}
    for point, who in asked:
        found.setdefault((point, who), []).append(source.draw(point, who))
    return found


def met(order: str, names: dict[str, str], point: Point) -> dict[str, list[Fault | None]]:
    """What each client meets: a letter of `order` each time it comes, who goes by a name of `names`."""
    source = Seeded(Chaos(7, 0.3))
    found: dict[str, list[Fault | None]] = {client: [] for client in names}
    for client in order:
        found[client].append(source.draw(point, names[client]))
    return found


@pytest.mark.parametrize("point", Point)
def test_who_has_a_name_of_its_own_meets_the_same_whoever_else_comes(point: Point) -> None:
    names = {"a": "device-a", "b": "device-b"}
    apart = met("a" * 20 + "b" * 20, names, point)
    assert any(apart["a"])
    for order in ("b" * 20 + "a" * 20, "ab" * 20, "aab" * 10 + "b" * 10, "a" * 20):
        assert met(order, names, point)["a"] == apart["a"]
    assert apart["a"] != apart["b"]


def test_who_shares_a_name_shares_a_row_and_the_order_decides() -> None:
    """Devices in a handshake, above all: all that is known of them there is which host they ask for."""
    names = {"a": "hub.example", "b": "hub.example"}
    first, second = met("ab" * 20, names, Point.DEVICE_HANDSHAKE), met("ba" * 20, names, Point.DEVICE_HANDSHAKE)
    assert first["a"] != second["a"]
    assert first == {"a": second["b"], "b": second["a"]}


def test_another_seed_gives_other_faults() -> None:
    asked = [(point, who) for point in Point for who in ("a", "b") for _ in range(20)]
    assert drawn(Chaos(7, 0.3), asked) != drawn(Chaos(8, 0.3), asked)


def test_names_beyond_many_share_a_row_and_cost_no_memory() -> None:
    source, crowd = Seeded(Chaos(7, 0.3)), [f"GET /devices/{number}" for number in range(MOST_ROWS + 500)]
    struck = [source.draw(Point.READ, who) for who in crowd]
    assert len(source._drawn) == MOST_ROWS + 1
    # Those who had a row go on in it; the others draw one after another from one row, whoever comes.
    again = drawn(Chaos(7, 0.3), [(Point.READ, crowd[0])] * 2)[Point.READ, crowd[0]]
    assert [struck[0], source.draw(Point.READ, crowd[0])] == again
    shared = drawn(Chaos(7, 0.3), [(Point.READ, "")] * 500)[Point.READ, ""]
    assert struck[MOST_ROWS:] == shared


def test_a_seed_means_the_same_for_ever() -> None:
    """Written down once: neither the process, nor the hash of a text, nor the version of Python decides."""
    faults = drawn(Chaos(7, 0.2), [(Point.CREATE, "PUT /devices/x")] * 12)[Point.CREATE, "PUT /devices/x"]
    assert [fault and fault.kind.name for fault in faults] == [
        "HIDDEN",
        "LOST",
        None,
        "CUT_SHORT",
        None,
        None,
        None,
        None,
        None,
        None,
        None,
        None,
    ]


def test_faults_are_as_frequent_as_the_rate_says_and_everything_happens() -> None:
    every = drawn(Chaos(1, 0.25), [(point, "x") for point, _ in itertools.product(Point, range(2000))])
    for (point, _), faults in every.items():
        struck = [fault for fault in faults if fault]
        assert 0.2 < len(struck) / len(faults) < 0.3
        assert {fault.kind for fault in struck} == set(AT[point])


def test_without_a_seed_one_is_chosen_and_told() -> None:
    chosen = parse("rate=0.5")
    assert chosen
    assert parse(str(chosen)) == chosen
    assert parse("seed=7") == Chaos(7, 0.2)
    assert parse(None) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        *((text, "it is empty, and wants a seed, a rate, or both") for text in ("", ",")),
        *((text, "there is no '.*', but seed and rate") for text in ("7", "sead=1", "=1")),
        *((text, "seed has no value") for text in ("seed=", "seed", "rate=0.1,seed=")),
        ("rate", "rate has no value"),
        *((f"seed={seed}", f"{seed} is no seed, which is a whole number from 0 on") for seed in ("-5", "x", "1.5")),
        *((f"rate={rate}", f"{rate} is no rate, which is above 0") for rate in ("0", "2", "nan", "-0.1", "0.0000001")),
        ("seed=1,seed=2", "seed is given twice"),
        ("rate=0.1,seed=7,rate=0.1", "rate is given twice"),
    ],
)
def test_what_says_no_chaos_is_refused(text: str, why: str) -> None:
    with pytest.raises(InputError, match=f"^--chaos '{text}': {why}") as caught:
        parse(text)
    assert caught.value.things_to_try == ("--chaos seed=7,rate=0.2",)


def test_the_reference_names_every_fault() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs/reference/faults.md").read_text(encoding="utf-8")
    for kind in Kind:
        assert f"`{kind.name.lower().replace('_', '-')}`" in text
