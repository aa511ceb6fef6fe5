"""What was seen of a device, and the verdict on it: pure, so that each sentence has the course that leads to it."""

import pytest

from thingmint.lab.advice import messages, returning, trust
from thingmint.lab.advice.course import Course, of_device
from thingmint.lab.advice.seen import Seen, Stage, What
from thingmint.lab.advice.verdict import Result, Verdict

PATIENCE = 10.0


def sure(verdict: Verdict | None) -> Verdict:
    assert verdict is not None, "it could not be judged yet"
    return verdict


def course(*seen: Seen, stage: Stage = Stage.REFUSING, over: bool = False) -> Course:
    return Course((Seen(0.0, What.STAGE, words=stage), *seen), stage, PATIENCE, over)


def attempts(what: What, *moments: float) -> list[Seen]:
    return [Seen(at, what, number) for number, at in enumerate(moments, start=1)]


def dialogue(connection: int, at: float, *what: What) -> list[Seen]:
    return [Seen(at + 0.01 * n, one, connection) for n, one in enumerate((What.OPENED, *what))]


# --- coming back ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moments", "result", "words"),
    [
        ((0.5, 1.6, 3.4, 7.6), Result.PASS, "backs off"),
        ((0.03, 0.06, 0.09, 0.12), Result.FAIL, "hammers: 4 attempts in 0.1 s"),
        ((2.0, 4.0, 6.0, 8.0), Result.WARNING, "evenly"),
        ((3.0, 4.1, 6.1, 7.2), Result.WARNING, "do not grow"),
        ((0.5, 1.5, 3.5, 7.5), Result.WARNING, "without a random part"),
    ],
)
def test_the_waits_between_attempts_tell_how_a_device_comes_back(
    moments: tuple[float, ...], result: Result, words: str
) -> None:
    verdict = sure(returning.backs_off(course(*attempts(What.OPENED, *moments))))
    assert verdict.result is result
    assert words in verdict.did


def test_too_few_attempts_are_waited_for_and_then_told_as_such() -> None:
    few = attempts(What.OPENED, 1.0, 3.0)
    assert returning.backs_off(course(*few)) is None
    verdict = sure(returning.backs_off(course(*few, over=True)))
    assert verdict.result is Result.WARNING
    assert "--patience" in verdict.did


def test_a_device_that_stays_away_fails_with_its_cure() -> None:
    verdict = sure(returning.backs_off(course(over=True)))
    assert verdict.result is Result.FAIL
    assert "azure_iot_hub_connect()" in verdict.cure


def test_a_connack_that_never_comes_is_waited_for_no_longer_than_patience() -> None:
    asked = dialogue(1, 1.0, What.GREETED, What.CONNECT)
    assert returning.retries_connect(course(*asked)) is None
    gave_up = sure(
        returning.retries_connect(course(*asked, Seen(3.0, What.CLOSED, 1, flag=True), Seen(4.0, What.OPENED, 2)))
    )
    assert gave_up.result is Result.PASS
    for_ever = sure(returning.retries_connect(course(*asked, over=True)))
    cut_off = sure(returning.retries_connect(course(*asked, Seen(3.0, What.CLOSED, 1), Seen(4.0, What.OPENED, 2))))
    once = sure(returning.retries_connect(course(*asked, Seen(3.0, What.CLOSED, 1, flag=True), over=True)))
    assert [one.result for one in (for_ever, cut_off, once)] == [Result.FAIL] * 3
    assert "until the hub ended the connection" in cut_off.did
    assert "did not try again" in once.did


# --- trust -----------------------------------------------------------------------------------------------------------


def test_a_bad_server_certificate_is_refused_or_it_is_a_failure() -> None:
    refused = course(*dialogue(1, 1.0), Seen(1.1, What.BROKEN_OFF, 1, words="alert bad certificate"))
    verdict = sure(trust.refuses_expired(refused))
    assert verdict.result is Result.PASS
    assert "alert bad certificate" in verdict.did
    accepted = sure(trust.refuses_expired(course(*dialogue(1, 1.0, What.GREETED, What.CONNECT))))
    assert accepted.result is Result.FAIL
    assert "accepted an expired server certificate" in accepted.did
    shook_only = sure(trust.refuses_stranger(course(*dialogue(1, 1.0, What.GREETED, What.CLOSED))))
    assert shook_only.result is Result.FAIL
    absent = sure(trust.refuses_wrong_host(course(over=True)))
    assert absent.result is Result.NOT_SEEN


def test_a_connection_of_before_the_stage_proves_nothing() -> None:
    """Its handshake had the good certificate."""
    before = dialogue(1, -1.0, What.GREETED)
    late = Course(
        (*before, Seen(0.0, What.STAGE, words=Stage.EXPIRED), Seen(0.1, What.CONNECT, 1)), Stage.EXPIRED, 9, False
    )
    assert trust.refuses_expired(late) is None


def test_a_chain_change_has_two_handshakes_to_be_followed() -> None:
    first = [*dialogue(1, 1.0), Seen(1.1, What.BROKEN_OFF, 1, words="alert unknown ca")]
    assert trust.follows_chain(course(*first)) is None
    verdict = sure(
        trust.follows_chain(course(*first, *dialogue(2, 2.0), Seen(2.1, What.BROKEN_OFF, 2, words="the same")))
    )
    assert "did not reconnect after a chain change" in verdict.did
    assert "CONFIG_MQTT_HELPER_SECONDARY_SEC_TAG" in verdict.cure


def test_what_another_device_does_in_between_does_not_count() -> None:
    seen = [*dialogue(1, 1.0), Seen(1.1, What.GREETED, 1, "other"), Seen(1.2, What.CONNECT, 1, "other")]
    assert of_device(seen, "mine") == ()
    assert len(of_device(seen, "other")) == 3


# --- messages --------------------------------------------------------------------------------------------------------


def test_a_message_without_its_puback_has_to_come_again() -> None:
    lost = [
        Seen(1.0, What.PUBLISH, 1, words="first", number=1),
        Seen(1.1, What.PUBACK, 1, words="first"),
        Seen(2.0, What.PUBLISH, 1, words="lost", number=1),
        Seen(2.1, What.CLOSED, 1),
    ]
    assert messages.sends_again(course(*lost)) is None
    again = sure(messages.sends_again(course(*lost, Seen(3.0, What.PUBLISH, 2, words="lost", number=1))))
    assert again.result is Result.PASS
    others = [Seen(3.0 + n, What.PUBLISH, 2, words=f"later {n}", number=1) for n in range(5)]
    verdict = sure(messages.sends_again(course(*lost, *others)))
    assert verdict.result is Result.FAIL
    assert "lost a message at QoS 1" in verdict.did


def test_qos_0_is_a_warning_with_the_line_that_changes_it() -> None:
    sent = [Seen(1.0 + n, What.PUBLISH, 1, words=f"m{n}") for n in range(3)]
    verdict = sure(messages.sends_again(course(*sent)))
    assert verdict.result is Result.WARNING
    assert "MQTT_QOS_1_AT_LEAST_ONCE" in verdict.cure


@pytest.mark.parametrize(
    ("keep_alive", "seen", "result", "words"),
    [
        (2, [Seen(4.0, What.CLOSED, 1, flag=True), *dialogue(2, 4.2, What.CONNECT)], Result.PASS, "after 4.0 s"),
        (2, [Seen(2.0, What.PING, 1), Seen(4.0, What.PING, 1)], Result.FAIL, "2 pings stayed without an answer"),
        (2, [Seen(4.0, What.CLOSED, 1, flag=True)], Result.FAIL, "did not connect again"),
        (2, [Seen(3.0, What.CLOSED, 1)], Result.FAIL, "fell silent itself"),
        (0, [], Result.FAIL, "no keep-alive"),
        (60, [], Result.NOT_SEEN, "--patience 180"),
    ],
)
def test_a_hub_that_falls_silent_has_to_be_noticed(
    keep_alive: int, seen: list[Seen], result: Result, words: str
) -> None:
    before = (Seen(-1.0, What.CONNECT, 1, number=keep_alive), Seen(0.0, What.STAGE, words=Stage.SILENT))
    verdict = sure(messages.notices_silence(Course((*before, *seen), Stage.SILENT, PATIENCE, over=True)))
    assert verdict.result is result
    assert words in verdict.did


def test_a_clean_session_is_a_warning() -> None:
    verdict = sure(messages.takes_up_session(course(Seen(1.0, What.CONNECT, 1, flag=True))))
    assert verdict.result is Result.WARNING
    assert "CONFIG_MQTT_CLEAN_SESSION=n" in verdict.cure


@pytest.mark.parametrize("stage", Stage)
def test_a_sight_survives_its_way_as_json(stage: Stage) -> None:
    seen = Seen(1.5, What.STAGE, 3, "dev", stage, 2, flag=True)
    assert Seen.of(seen.as_json()) == seen


def test_a_desired_property_has_to_be_reported_back() -> None:
    wanted = Seen(0.1, What.DESIRED, device="dev", number=21)
    assert messages.obeys(course(wanted, Seen(0.2, What.REPORTED, 1, words='{"telemetryInterval": 20}'))) is None
    assert messages.obeys(course(wanted, Seen(0.2, What.REPORTED, 1, words="no JSON"))) is None
    verdict = sure(messages.obeys(course(wanted, Seen(0.2, What.REPORTED, 1, words='{"telemetryInterval": 21}'))))
    assert verdict.result is Result.PASS
    assert sure(messages.obeys(course(wanted, over=True))).result is Result.WARNING


@pytest.mark.parametrize(
    ("seen", "result"),
    [
        ([Seen(0.2, What.ANSWERED, number=200)], Result.PASS),
        ([Seen(0.2, What.ANSWERED, number=404)], Result.PASS),
        ([Seen(0.2, What.ANSWERED)], Result.WARNING),
        ([], Result.FAIL),
    ],
)
def test_a_call_has_to_be_answered(seen: list[Seen], result: Result) -> None:
    assert sure(messages.answers(course(*seen, over=True))).result is result
