"""Whether and how a device comes back, by the waits between its attempts."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from tests.advice.courses import DEVICE, HOME, PATIENCE, attempts, course, dialogue, sure
from thingmint.lab.advice import returning
from thingmint.lab.advice.course import Course
from thingmint.lab.advice.evidence import Evidence
from thingmint.lab.advice.seen import Seen, Stage, What
from thingmint.lab.advice.verdict import Result, Verdict


@pytest.mark.parametrize(
    ("waits", "result", "words"),
    [
        ((0.5, 1.1, 1.8, 4.2, 8.0), Result.PASS, "backs off"),
        ((0.03, 0.03, 0.03, 0.03, 0.03), Result.FAIL, "hammers: 5 attempts in 0.2 s"),
        ((0.4, 2.0, 2.0, 2.0, 2.0), Result.WARNING, "evenly"),
        ((3.0, 1.1, 2.0, 1.1, 2.0), Result.WARNING, "do not clearly grow"),
        ((1.0, 2.0, 4.0, 8.0, 1.0), Result.PASS, "backs off"),
        ((1.0, 2.0, 4.0, 4.0, 4.0), Result.PASS, "backs off"),
        ((10.0, 6.0, 14.0, 9.0, 15.0), Result.WARNING, "do not clearly grow"),
    ],
)
def test_the_waits_between_attempts_tell_how_a_device_comes_back(
    waits: tuple[float, ...], result: Result, words: str
) -> None:
    verdict = sure(returning.backs_off(course(*attempts(*waits), over=True)))
    assert verdict.result is result
    assert words in verdict.did


CHANCE = random.Random(7)
UNIFORM: dict[str, Callable[[int], float]] = {
    "5 to 15 s": lambda _number: CHANCE.uniform(5, 15),
    "up to 10 s": lambda _number: CHANCE.uniform(0, 10),
}
# https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/, and the simulated device
GROWING: dict[str, Callable[[int], float]] = {
    "full jitter": lambda number: CHANCE.uniform(0, min(60, 2 * 2**number)),
    "full jitter up to 8 s": lambda number: CHANCE.uniform(0, min(8, 2**number)),
    "equal jitter": lambda number: 2 * 2**number * CHANCE.uniform(0.5, 1),
    "20 % jitter": lambda number: 1.6**number * CHANCE.uniform(0.8, 1.2),
}


def share_that_passes(wait: Callable[[int], float]) -> float:
    """Of a thousand devices."""

    def verdict() -> Verdict:
        waits = [wait(number) for number in range(7)]
        found = (returning.backs_off(course(*attempts(*waits[:count]))) for count in range(5, 8))
        return sure(next(filter(None, found), None))

    return sum(verdict().result is Result.PASS for _ in range(1000)) / 1000


@pytest.mark.parametrize("law", UNIFORM)
def test_waits_that_are_chance_alone_seldom_seem_to_grow(law: str) -> None:
    assert share_that_passes(UNIFORM[law]) < 0.06


@pytest.mark.parametrize("law", GROWING)
def test_waits_that_grow_are_seen_to_whatever_their_jitter(law: str) -> None:
    assert share_that_passes(GROWING[law]) > 0.9


def test_even_waits_are_known_at_once_and_others_are_waited_for() -> None:
    assert "evenly" in sure(returning.backs_off(course(*attempts(0.4, 2.0, 2.0, 2.0, 2.1)))).did
    some = (3.0, 1.1, 2.0, 1.1, 2.0, 3.0)
    assert returning.backs_off(course(*attempts(*some))) is None
    assert "do not clearly grow" in sure(returning.backs_off(course(*attempts(*some, 2.0)))).did


def test_a_connection_that_is_ended_in_the_moment_in_which_it_began_has_a_wait_before_it() -> None:
    """As the lab's clock has it, of milliseconds."""
    ends = [Seen(0.5 * n, What.CLOSED, n) for n in range(6)]
    seen = [one for end in ends for one in (Seen(end.at, What.OPENED, end.connection, peer=HOME), end)]
    assert "after 0.5, 0.5, 0.5, 0.5, 0.5 s" in sure(returning.backs_off(course(*seen[1:]))).did


def busy(
    before: Sequence[float], waits: Sequence[float], *, over: bool = False, handshake: float = 0.01
) -> Verdict | None:
    """Its waits in back-off, and then at a busy hub."""
    seen = (
        Seen(-9.0, What.OPENED, 50, peer=HOME),
        Seen(-9.0 + handshake, What.GREETED, 50),
        Seen(0.0, What.STAGE, words=Stage.REFUSING),
        *attempts(*before, first=51),
        Seen(0.0, What.STAGE, words=Stage.BUSY),
        *attempts(*waits, first=101, connect=True),
    )
    own = [replace(one, device=DEVICE) if one.connection else one for one in seen]
    return returning.bears_a_busy_hub(Course(Evidence(own, DEVICE), Stage.BUSY, PATIENCE, 100.0, over))


@pytest.mark.parametrize("law", [(0.5, 1.0, 2.0, 4.0, 8.0), (1.0, 2.0, 4.0, 4.0, 4.0), (1.0, 2.0, 3.0, 4.0, 5.0)])
def test_waits_without_a_random_part_are_the_same_the_next_time(law: tuple[float, ...]) -> None:
    """Whatever law they follow; a scheduler and a network move each a little."""
    again = [wait + late for wait, late in zip(law, (0.04, 0.0, 0.03, 0.01, 0.04), strict=True)]
    assert busy(law, again[:4]) is None, "one more could still differ"
    verdict = sure(busy(law, again))
    assert (verdict.result, "the same waits as in back-off" in verdict.did) == (Result.WARNING, True), verdict
    scattered = sure(busy(law, [*again[:3], again[3] * 0.8, again[4]]))
    assert scattered.result is Result.PASS


def test_a_slow_network_hides_what_is_random_in_short_waits() -> None:
    verdict = sure(busy((1.0, 2.0, 4.0, 8.0, 8.0), (1.2, 1.7, 4.3, 7.5, 8.2), handshake=1.5))
    assert verdict.result is Result.WARNING
    assert "its network hides" in verdict.did


def test_so_few_waits_at_a_busy_hub_tell_nothing_of_chance() -> None:
    verdict = sure(busy((0.5, 1.0, 2.0), (0.5, 1.0, 2.0), over=True))
    assert "--patience" in verdict.did


def test_too_few_attempts_are_waited_for_and_then_told_as_such() -> None:
    few = attempts(1.0, 2.0)
    assert returning.backs_off(course(*few)) is None
    verdict = sure(returning.backs_off(course(*few, over=True)))
    assert verdict.result is Result.WARNING
    assert "--patience" in verdict.did


def test_a_device_that_stays_away_fails_with_its_cure() -> None:
    verdict = sure(returning.backs_off(course(over=True)))
    assert verdict.result is Result.FAIL
    assert "azure_iot_hub_connect()" in verdict.cure


def test_a_connack_is_waited_for_as_long_as_a_keep_alive_allows() -> None:
    """A trial that is over sooner tells nothing of a device that may still give up."""
    asked = [*dialogue(1, 1.0, What.GREETED), Seen(1.2, What.CONNECT, 1, number=8)]
    over = course(*asked, over=True)
    short = sure(returning.retries_connect(replace(over, patience=6.0)))
    assert (short.result, "--patience 24" in short.did) == (Result.NOT_SEEN, True), short
    assert sure(returning.retries_connect(replace(over, patience=20.0))).result is Result.FAIL


def test_a_connack_that_never_comes_is_waited_for_no_longer_than_patience() -> None:
    asked = dialogue(1, 1.0, What.GREETED, What.CONNECT)
    assert returning.retries_connect(course(*asked)) is None
    gave_up = sure(returning.retries_connect(course(*asked, Seen(3.0, What.CLOSED, 1, flag=True), *dialogue(2, 4.0))))
    assert gave_up.result is Result.PASS
    for_ever = sure(returning.retries_connect(replace(course(*asked, over=True), patience=60.0)))
    cut_off = sure(returning.retries_connect(course(*asked, Seen(3.0, What.CLOSED, 1), *dialogue(2, 4.0))))
    once = sure(returning.retries_connect(course(*asked, Seen(3.0, What.CLOSED, 1, flag=True), over=True)))
    assert [one.result for one in (for_ever, cut_off, once)] == [Result.FAIL] * 3
    assert "until the hub ended the connection" in cut_off.did
    assert "did not try again" in once.did
