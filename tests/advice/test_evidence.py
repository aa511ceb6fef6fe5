"""Which connections are put down to the device on trial, by what the hub says of each."""

from dataclasses import replace

import pytest

from tests.advice.courses import DEVICE, KNOWN, PATIENCE, broken, dialogue, sure, told
from thingmint.lab.advice import trust
from thingmint.lab.advice.course import Course
from thingmint.lab.advice.evidence import Evidence
from thingmint.lab.advice.seen import Seen, Stage, What
from thingmint.lab.advice.verdict import Result


def knocks(*moments: float, number: int = 0) -> list[Seen]:
    """Handshakes with the hub's own certificate, broken off by a client without a name."""
    return [
        one
        for n, at in enumerate(moments, start=200)
        for one in (*dialogue(n, at), Seen(at + 0.1, What.BROKEN_OFF, n, words="it ended", number=number))
    ]


@pytest.mark.parametrize(
    ("moments", "alert", "stranger"),
    [((-0.5,), 48, True), ((-0.5,), 0, False), ((-9.5, -8.0, -7.0, -5.0), 0, False), ((-9.5, -8.0, -3.0), 0, True)],
)
def test_a_handshake_that_a_network_broke_is_no_strangers(
    moments: tuple[float, ...], alert: int, *, stranger: bool
) -> None:
    """A client that refuses every server says so by an alert, or does so again and again, whenever the device has come in."""
    again = [replace(one, device=DEVICE) for one in dialogue(150, -4.0, What.GREETED, What.CONNECT)]
    seen = (*KNOWN, *again, *knocks(*moments, number=alert), Seen(0.0, What.STAGE, words=Stage.EXPIRED))
    refusal = broken(1, 1.0, "alert", 48)
    everything = Evidence((*seen, *refusal), DEVICE)
    verdict = sure(trust.refuses_expired(Course(everything, Stage.EXPIRED, PATIENCE, 100.0, over=True)))
    assert verdict.result is (Result.NOT_SEEN if stranger else Result.PASS), verdict


def test_a_connection_counts_once_it_is_known_whom_it_wants() -> None:
    """A device may register before it connects; a reset one is the hub's."""
    registration = [*dialogue(2, 1.0), Seen(1.1, What.ELSEWHERE, 2)]
    begun = dialogue(3, 1.5)
    evidence = told(*registration, *begun)
    assert evidence.all(What.OPENED) == []
    assert [one.connection for one in told(*registration, *begun, Seen(2.0, What.CLOSED, 3)).all(What.OPENED)] == [3]
    assert told(*registration, over=True).doubt == ""
    assert told(*begun, Seen(1.6, What.GREETED, 3), Seen(2.0, What.CLOSED, 3)).since == (), "some other certificate"


def test_as_whom_the_hub_lets_it_in_is_whose_it_is_from_its_first_byte() -> None:
    seen = [*dialogue(5, 1.0), Seen(1.1, What.GREETED, 5, "whatever"), Seen(1.2, What.LET_IN, 5, DEVICE)]
    assert [one.what for one in told(*seen).since] == [What.OPENED, What.SHOWN, What.GREETED, What.LET_IN]
