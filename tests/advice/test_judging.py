"""What was seen of a device, and the verdict on it: pure, so that each sentence has the course that leads to it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from thingmint.lab.advice import judging, messages, returning, trust
from thingmint.lab.advice.cases import CASES, Case
from thingmint.lab.advice.course import Course
from thingmint.lab.advice.evidence import Evidence
from thingmint.lab.advice.seen import Seen, Stage, What
from thingmint.lab.advice.verdict import Result, Verdict

PATIENCE = 10.0
DEVICE, HOME = "dev", "10.0.0.1"
KNOWN = (
    Seen(-9.0, What.OPENED, 100, peer=HOME),
    Seen(-8.9, What.SHOWN, 100),
    Seen(-8.8, What.GREETED, 100, DEVICE),
)
"""The device came in before, from there."""


def sure(verdict: Verdict | None) -> Verdict:
    assert verdict is not None, "it could not be judged yet"
    return verdict


def told(*seen: Seen, stage: Stage = Stage.REFUSING, now: float = 100.0, over: bool = False) -> Course:
    """As the lab saw it."""
    return Course(Evidence((*KNOWN, Seen(0.0, What.STAGE, words=stage), *seen), DEVICE), stage, PATIENCE, now, over)


def course(*seen: Seen, stage: Stage = Stage.REFUSING, now: float = 100.0, over: bool = False) -> Course:
    """The same where all of it is surely the device's."""
    own = (replace(one, device=DEVICE) if one.connection else one for one in seen)
    return told(*own, stage=stage, now=now, over=over)


def attempts(*waits: float, connect: bool = False, first: int = 1) -> list[Seen]:
    """Connections that the hub ends 0.1 s after they were opened; the one of before ended when the stage began."""
    seen, at = [Seen(0.0, What.CLOSED, first - 1)], 0.0
    for number, wait in enumerate(waits, start=first):
        at += wait
        seen.append(Seen(at, What.OPENED, number, peer=HOME))
        if connect:
            seen.append(Seen(at + 0.05, What.CONNECT, number))
        at += 0.1
        seen.append(Seen(at, What.CLOSED, number))
    return seen


def dialogue(connection: int, at: float, *what: What, shown: str = "", peer: str = HOME) -> list[Seen]:
    begin = [Seen(at, What.OPENED, connection, peer=peer), Seen(at, What.SHOWN, connection, words=shown)]
    return [*begin, *(Seen(at + 0.01 * n, one, connection) for n, one in enumerate(what, start=1))]


def broken(connection: int, at: float, words: str = "alert", number: int = 0, *, peer: str = HOME) -> list[Seen]:
    """By a client that has shown no certificate, at a server certificate other than the hub's own."""
    end = Seen(at + 0.1, What.BROKEN_OFF, connection, words=words, number=number)
    return [*dialogue(connection, at, shown="other", peer=peer), end, Seen(at + 0.1, What.CLOSED, connection)]


# --- coming back ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("waits", "result", "words"),
    [
        ((0.5, 1.1, 1.8, 4.2, 8.0), Result.PASS, "backs off"),
        ((0.03, 0.03, 0.03, 0.03, 0.03), Result.FAIL, "hammers: 5 attempts in 0.2 s"),
        ((0.4, 2.0, 2.0, 2.0, 2.0), Result.WARNING, "evenly"),
        ((3.0, 1.1, 2.0, 1.1, 2.0), Result.WARNING, "do not grow"),
    ],
)
def test_the_waits_between_attempts_tell_how_a_device_comes_back(
    waits: tuple[float, ...], result: Result, words: str
) -> None:
    verdict = sure(returning.backs_off(course(*attempts(*waits))))
    assert verdict.result is result
    assert words in verdict.did


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
    scattered = sure(busy(law, [*again[:3], again[3] * 0.8]))
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


def test_a_connack_that_never_comes_is_waited_for_no_longer_than_patience() -> None:
    asked = dialogue(1, 1.0, What.GREETED, What.CONNECT)
    assert returning.retries_connect(course(*asked)) is None
    gave_up = sure(returning.retries_connect(course(*asked, Seen(3.0, What.CLOSED, 1, flag=True), *dialogue(2, 4.0))))
    assert gave_up.result is Result.PASS
    for_ever = sure(returning.retries_connect(course(*asked, over=True)))
    cut_off = sure(returning.retries_connect(course(*asked, Seen(3.0, What.CLOSED, 1), *dialogue(2, 4.0))))
    once = sure(returning.retries_connect(course(*asked, Seen(3.0, What.CLOSED, 1, flag=True), over=True)))
    assert [one.result for one in (for_ever, cut_off, once)] == [Result.FAIL] * 3
    assert "until the hub ended the connection" in cut_off.did
    assert "did not try again" in once.did


# --- trust -----------------------------------------------------------------------------------------------------------


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


def test_a_handshake_of_the_devices_own_wins_over_a_refusal_without_a_name() -> None:
    refusal = broken(1, 1.0, "alert", 48)
    assert trust.refuses_expired(told(*refusal, now=1.2)) is None, "it may come in yet"
    own = [replace(one, device=DEVICE) for one in dialogue(2, 1.3, What.GREETED, What.CONNECT, shown="other")]
    assert sure(trust.refuses_expired(told(*refusal, *own, now=1.4))).result is Result.FAIL


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
    connected = course(*first, *dialogue(2, 2.0, What.GREETED, What.CONNECT, shown="second"))
    assert sure(trust.follows_chain(connected)).result is Result.PASS


def test_what_another_device_does_in_between_does_not_count() -> None:
    seen = [*dialogue(1, 1.0), Seen(1.1, What.GREETED, 1, "other"), Seen(1.2, What.CONNECT, 1, "other")]
    assert Evidence(seen, "mine").seen == ()
    assert len(Evidence(seen, "other").seen) == 4


# --- a stage in which too much happens -------------------------------------------------------------------------------


def case(name: str) -> Case:
    return next(one for one in CASES if one.name == name)


def overflowing(*seen: Seen, name: str) -> Verdict:
    stage = Seen(0.0, What.STAGE, words=case(name).stage)
    everything = (*KNOWN, stage, *seen, Seen(30.0, What.OVERFLOW, number=5000))
    return sure(judging.judged(case(name), everything, DEVICE, patience=PATIENCE, now=100.0, over=False))


def test_a_stage_that_overflowed_is_judged_by_what_is_certain_alone() -> None:
    accepted = [replace(one, device=DEVICE) for one in dialogue(1, 1.0, What.GREETED, What.CONNECT, shown="other")]
    assert overflowing(*accepted, name="unknown-ca").result is Result.FAIL
    verdict = overflowing(name="unknown-ca")
    assert verdict == Verdict(Result.NOT_SEEN, "Too much happened in it: more than 5000 events.")


def test_a_device_that_made_it_overflow_by_hammering_is_told_so() -> None:
    knocks = [one for n in range(1, 200) for one in dialogue(n, 0.1 * n, What.CLOSED)]
    verdict = overflowing(*knocks, name="no-connack")
    assert (verdict.result, "hammers: 199 attempts" in verdict.did) == (Result.FAIL, True), verdict


# --- messages --------------------------------------------------------------------------------------------------------


def published(at: float, connection: int, words: str, packet: int, *, again: bool = False) -> Seen:
    return Seen(at, What.PUBLISH, connection, words=words, number=1, packet=packet, flag=again)


def losing(first: str = "first", lost: str = "lost") -> list[Seen]:
    """The second of its messages."""
    return [
        published(1.0, 1, first, 7),
        Seen(1.1, What.PUBACK, 1, packet=7),
        published(2.0, 1, lost, 8),
        Seen(2.1, What.CLOSED, 1),
    ]


def test_a_message_without_its_puback_has_to_come_again() -> None:
    assert messages.sends_again(course(*losing())) is None
    again = sure(messages.sends_again(course(*losing(), published(3.0, 2, "lost", 1))))
    assert again.result is Result.PASS
    others = [published(3.0 + n, 2, f"later {n}", 1 + n) for n in range(5)]
    verdict = sure(messages.sends_again(course(*losing(), *others)))
    assert verdict.result is Result.FAIL
    assert "lost a message at QoS 1" in verdict.did


def test_a_duplicate_with_the_same_packet_id_is_the_message_whatever_it_says() -> None:
    alike = losing("same", "same")
    verdict = sure(messages.sends_again(course(*alike, published(3.0, 2, "same", 8, again=True))))
    assert verdict.result is Result.PASS
    assert "marked as a duplicate" in verdict.did
    assert messages.sends_again(course(*alike, published(3.0, 2, "same", 9, again=True))) is None


def test_a_device_that_says_the_same_each_time_has_not_sent_it_again_for_certain() -> None:
    fresh = [published(3.0 + n, 2, "same", 1 + n) for n in range(5)]
    verdict = sure(messages.sends_again(course(*losing("same", "same"), *fresh)))
    assert verdict.result is Result.NOT_SEEN
    assert "Its messages are alike" in verdict.did
    # Also where the lost one was its first:
    first = [published(2.0, 1, "same", 8), Seen(2.1, What.CLOSED, 1)]
    assert sure(messages.sends_again(course(*first, *fresh))).result is Result.NOT_SEEN


def test_a_connection_that_ends_with_nothing_lost_is_not_the_one_that_is_looked_for() -> None:
    """A device that sleeps between its messages ends them itself."""
    asleep = [published(1.0, 1, "first", 7), Seen(1.1, What.PUBACK, 1, packet=7), Seen(1.2, What.CLOSED, 1, flag=True)]
    later = [replace(one, at=one.at + 5, connection=2) for one in losing("second")]
    assert messages.sends_again(course(*asleep, *later)) is None
    again = published(9.0, 3, "lost", 1)
    assert sure(messages.sends_again(course(*asleep, *later, again))).result is Result.PASS


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
    own = [replace(one, device=DEVICE) for one in (*before, *seen)]
    verdict = sure(messages.notices_silence(Course(Evidence(own, DEVICE), Stage.SILENT, PATIENCE, 100.0, over=True)))
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


def test_what_could_not_be_asked_is_not_judged() -> None:
    absent = Seen(0.1, What.UNASKED, words="the device 'dev' is not connected")

    def judge(*seen: Seen, over: bool) -> Verdict | None:
        everything = (*KNOWN, Seen(0.0, What.STAGE, words=Stage.CALLED), *seen)
        return judging.judged(case("method"), everything, DEVICE, patience=PATIENCE, now=100.0, over=over)

    assert judge(absent, over=False) is None, "it may connect yet"
    not_asked = Verdict(Result.NOT_SEEN, "It was not asked: the device 'dev' is not connected.")
    assert judge(absent, over=True) == not_asked
    assert sure(judge(absent, Seen(0.2, What.ANSWERED, number=200, flag=True), over=True)).result is Result.PASS


@pytest.mark.parametrize(
    ("seen", "result"),
    [
        ([Seen(0.2, What.ANSWERED, number=200, flag=True)], Result.PASS),
        ([Seen(0.2, What.ANSWERED, number=299, flag=True)], Result.PASS),
        ([Seen(0.2, What.ANSWERED, number=404, flag=True)], Result.WARNING),
        ([Seen(0.2, What.ANSWERED, number=501, flag=True)], Result.WARNING),
        ([Seen(0.2, What.ANSWERED, number=500, flag=True)], Result.FAIL),
        ([Seen(0.2, What.ANSWERED, number=0, flag=True)], Result.FAIL),
        ([Seen(0.2, What.ANSWERED)], Result.WARNING),
        ([], Result.FAIL),
    ],
)
def test_a_call_has_to_be_answered(seen: list[Seen], result: Result) -> None:
    assert sure(messages.answers(course(*seen, over=True))).result is result
