"""What a device takes for its hub, by how its handshakes end."""

from dataclasses import replace

import pytest

from tests.advice.courses import DEVICE, HOME, KNOWN, PATIENCE, broken, course, dialogue, sure, told
from thingmint.lab.advice import returning, trust
from thingmint.lab.advice.course import Course
from thingmint.lab.advice.evidence import Evidence
from thingmint.lab.advice.seen import Seen, Stage, What
from thingmint.lab.advice.verdict import Result


@pytest.mark.parametrize("alert", [42, 43, 44, 45, 46, 48])
def test_a_certificate_alert_is_a_refusal(alert: int) -> None:
    verdict = sure(trust.refuses_expired(told(*broken(1, 1.0, "alert bad certificate", alert))))
    assert verdict.result is Result.PASS
    assert "alert bad certificate" in verdict.did


@pytest.mark.parametrize("words", ["sslv3 alert handshake failure", "the connection ended during the TLS handshake"])
def test_a_handshake_that_ends_in_any_other_way_is_no_pass(words: str) -> None:
    """So it may for any reason; that it does so each time, though it comes in by the hub's own certificate, is a hint."""
    once = broken(1, 1.0, words)
    assert trust.refuses_stranger(told(*once)) is None
    assert sure(trust.refuses_stranger(told(*once, over=True))).result is Result.NOT_SEEN
    twice = sure(trust.refuses_stranger(told(*once, *broken(2, 2.0, words))))
    assert twice.result is Result.WARNING
    assert f"by no certificate alert ({words})" in twice.did


def test_a_device_that_accepts_a_bad_server_fails() -> None:
    accepted = sure(trust.refuses_expired(course(*dialogue(1, 1.0, What.GREETED, What.CONNECT, shown="other"))))
    assert accepted.result is Result.FAIL
    assert "accepted an expired server certificate" in accepted.did
    mute = sure(trust.refuses_stranger(course(*dialogue(1, 1.0, What.GREETED, shown="other"), over=True)))
    assert mute.result is Result.FAIL
    absent = sure(trust.refuses_wrong_host(course(over=True)))
    assert absent.result is Result.NOT_SEEN


def test_a_device_that_looks_after_the_handshake_is_told_so() -> None:
    """As Node.js does with the host's name: nothing was sent to the stranger."""
    late = course(*dialogue(1, 1.0, What.GREETED, shown="other"), Seen(1.1, What.CLOSED, 1, flag=True))
    verdict = sure(trust.refuses_wrong_host(late))
    assert (verdict.result, "before CONNECT" in verdict.did) == (Result.WARNING, True)


def test_somebody_elses_end_is_none_of_a_connection_that_the_device_is_opening() -> None:
    """Between its handshake and its CONNECT another connection without a name may end."""
    refusal = [replace(one, flag=True) if one.what is What.CLOSED else one for one in broken(1, 1.0, "alert", 48)]
    greeted = [replace(one, device=DEVICE) for one in dialogue(2, 1.3, What.GREETED, shown="other")]
    assert trust.refuses_expired(told(*refusal, *greeted, now=1.4)) is None


def test_a_handshake_of_the_devices_own_wins_over_a_refusal_without_a_name() -> None:
    refusal = broken(1, 1.0, "alert", 48)
    assert trust.refuses_expired(told(*refusal, now=3.5)) is None, "it may come in yet"
    own = [replace(one, device=DEVICE) for one in dialogue(2, 3.3, What.GREETED, What.CONNECT, shown="other")]
    assert sure(trust.refuses_expired(told(*refusal, *own, now=3.6))).result is Result.FAIL


def test_a_connection_at_which_the_hubs_own_certificate_was_shown_proves_nothing() -> None:
    before = dialogue(1, 1.0, What.GREETED, What.CONNECT)
    assert trust.refuses_expired(course(*before)) is None


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (broken(1, 1.0, "alert unknown ca", 48, peer="10.9.9.9"), "a client at 10.9.9.9 did (alert unknown ca)"),
        (
            [*dialogue(7, 0.5), Seen(0.6, What.GREETED, 7, "else"), *broken(1, 1.0, "alert", 48)],
            f"another client (else) connects from the same address ({HOME})",
        ),
        (
            [*dialogue(7, 0.5), Seen(0.6, What.BROKEN_OFF, 7, words="alert", number=48), *broken(1, 1.0, "alert", 48)],
            f"a client that refuses every server connects from the same address ({HOME})",
        ),
    ],
)
def test_a_connection_without_a_name_counts_only_from_an_address_of_the_devices_alone(
    seen: list[Seen], why: str
) -> None:
    assert trust.refuses_expired(told(*seen)) is None
    verdict = sure(trust.refuses_expired(told(*seen, over=True)))
    assert (verdict.result, why in verdict.did) == (Result.NOT_SEEN, True), verdict
    for judge in (trust.follows_chain, returning.bears_a_busy_hub, returning.backs_off):
        assert sure(judge(told(*seen, over=True))).result is Result.NOT_SEEN


def test_who_was_connected_before_the_trial_counts_as_well() -> None:
    there = Seen(-9.9, What.THERE, 90, "else", peer=HOME)
    seen = (there, *KNOWN, Seen(0.0, What.STAGE, words=Stage.EXPIRED), *broken(1, 1.0, "alert", 48))
    verdict = sure(trust.refuses_expired(Course(Evidence(seen, DEVICE), Stage.EXPIRED, PATIENCE, 100.0, over=True)))
    assert "another client (else)" in verdict.did


def test_a_device_that_was_connected_when_the_trial_began_has_connected() -> None:
    there = Seen(0.0, What.THERE, 90, DEVICE, "TLSv1.2 (X)", 2, peer=HOME)
    verdict = sure(trust.connects(told(there, stage=Stage.FRESH)))
    assert verdict.did == "It was connected when this began, by TLSv1.2 (X), and showed 2 certificates."
    assert verdict.result is Result.PASS


def test_a_device_that_never_came_in_is_not_known_by_its_refusal() -> None:
    seen = (Seen(0.0, What.STAGE, words=Stage.FRESH), *dialogue(1, 1.0), Seen(1.1, What.BROKEN_OFF, 1, words="alert"))
    verdict = sure(trust.connects(Course(Evidence(seen, DEVICE), Stage.FRESH, PATIENCE, 100.0, over=True)))
    assert verdict.result is Result.NOT_SEEN
    assert f"a client at {HOME} did (alert), and nothing tells whether that was this device" in verdict.did


def test_a_chain_change_has_two_handshakes_to_be_followed() -> None:
    first = broken(1, 1.0, "alert unknown ca", 48)
    assert trust.follows_chain(told(*first)) is None
    verdict = sure(trust.follows_chain(told(*first, *broken(2, 2.0, "the same", 48))))
    assert "did not reconnect after a chain change" in verdict.did
    assert "CONFIG_MQTT_HELPER_SECONDARY_SEC_TAG" in verdict.cure
    assert sure(trust.follows_chain(told(*first, over=True))).result is Result.FAIL
    connected = course(*first, *dialogue(2, 2.0, What.GREETED, What.CONNECT, shown="second"))
    assert sure(trust.follows_chain(connected)).result is Result.PASS


def test_a_handshake_that_a_network_loses_is_no_failed_chain_change() -> None:
    """The same rule as for a refusal: without an alert, once tells nothing, and each time is a hint."""
    once = broken(1, 1.0, "the connection ended during the TLS handshake")
    assert sure(trust.follows_chain(told(*once, over=True))).result is Result.NOT_SEEN
    twice = [*once, *broken(2, 2.0, "the connection ended during the TLS handshake")]
    assert trust.follows_chain(told(*twice)) is None, "it may connect yet"
    assert sure(trust.follows_chain(told(*twice, over=True))).result is Result.WARNING


def test_what_another_device_does_in_between_does_not_count() -> None:
    seen = [*dialogue(1, 1.0), Seen(1.1, What.GREETED, 1, "other"), Seen(1.2, What.CONNECT, 1, "other")]
    assert Evidence(seen, "mine").seen == ()
    assert len(Evidence(seen, "other").seen) == 4
