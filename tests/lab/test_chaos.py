"""Faults on purpose: what a seed decides, and what each fault looks like to a client."""

import itertools
from pathlib import Path

import pytest

from thingmint.errors import InputError
from thingmint.lab.chaos import Chaos, parse
from thingmint.lab.cloud.faults.kinds import AT, Fault, Kind, Point
from thingmint.lab.cloud.faults.seeded import Seeded


def drawn(chaos: Chaos, asked: list[tuple[Point, str]]) -> dict[tuple[Point, str], list[Fault | None]]:
    source = Seeded(chaos)
    found: dict[tuple[Point, str], list[Fault | None]] = {}
    for point, who in asked:
        found.setdefault((point, who), []).append(source.draw(point, who))
    return found


def test_a_seed_gives_the_same_faults_in_whatever_order_the_requests_come() -> None:
    asked = [(point, who) for point in Point for who in ("a", "b") for _ in range(20)]
    backwards = list(reversed(asked))
    assert drawn(Chaos(7, 0.3), asked) == drawn(Chaos(7, 0.3), backwards)
    assert drawn(Chaos(7, 0.3), asked) != drawn(Chaos(8, 0.3), asked)


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
    "text", ["", ",", "7", "seed=", "seed=-1", "seed=x", "rate=0", "rate=2", "rate=nan", "seed=1,seed=2", "sead=1"]
)
def test_what_says_no_chaos_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="--chaos") as caught:
        parse(text)
    assert caught.value.things_to_try == ("--chaos seed=7,rate=0.2",)


def test_the_reference_names_every_fault() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs/reference/faults.md").read_text(encoding="utf-8")
    for kind in Kind:
        assert f"`{kind.name.lower().replace('_', '-')}`" in text
