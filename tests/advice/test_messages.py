"""What becomes of messages that get lost."""

from dataclasses import replace

import pytest

from tests.advice.courses import course, sure
from thingmint.lab.advice import messages
from thingmint.lab.advice.seen import Seen, What
from thingmint.lab.advice.verdict import Result, Verdict


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


def acknowledged(*messages: Seen) -> list[Seen]:
    return [
        two for one in messages for two in (one, Seen(one.at + 0.1, What.PUBACK, one.connection, packet=one.packet))
    ]


def after(*words: str, at: float = 3.0) -> list[Seen]:
    """On the connection after the loss, one a second."""
    return acknowledged(*(published(at + n, 2, one, 20 + n) for n, one in enumerate(words)))


def judged(*seen: Seen, over: bool = False) -> Verdict:
    return sure(messages.sends_again(course(*seen, over=over)))


OTHERS = ("a", "b", "c", "d", "e", "f")


def test_a_message_without_its_puback_has_to_come_again() -> None:
    assert messages.sends_again(course(*losing())) is None
    assert messages.sends_again(course(*losing(), *after(*OTHERS[:5]))) is None, "it may come yet"
    verdict = judged(*losing(), *after(*OTHERS))
    assert (verdict.result, "lost a message at QoS 1" in verdict.did) == (Result.FAIL, True)


def test_a_burst_has_time_to_come_again_whole() -> None:
    """MQTT 3.1.1, 4.4: each with DUP and its packet id."""
    burst = [published(1.0 + 0.01 * n, 1, f"burst {n}", n) for n in range(8)]
    lost = [*burst, Seen(2.0, What.CLOSED, 1)]
    again = acknowledged(*(replace(one, at=3.0 + 0.15 * n, connection=2, flag=True) for n, one in enumerate(burst)))
    for some in range(1, 8):
        assert messages.sends_again(course(*lost, *again[: 2 * some], *after(*OTHERS, at=5.0))) is None
    assert judged(*lost, *again).result is Result.PASS
    later = [f"later {n}" for n in range(13)]
    assert judged(*lost, *again[:14], *after(*later, at=5.0)).result is Result.FAIL, "the last one is missing"


def test_a_burst_of_messages_that_are_alike_has_as_much_time() -> None:
    burst = [published(1.0 + 0.01 * n, 1, "same", n) for n in range(8)]
    again = acknowledged(*(replace(one, at=3.0 + 0.15 * n, connection=2, flag=True) for n, one in enumerate(burst)))
    lost = [*acknowledged(published(0.5, 1, "same", 30)), *burst, Seen(2.0, What.CLOSED, 1)]
    assert messages.sends_again(course(*lost, *again[:14])) is None
    assert judged(*lost, *again).result is Result.PASS


def test_a_duplicate_with_the_same_packet_id_is_the_message_whatever_it_says() -> None:
    alike = losing("same", "same")
    verdict = judged(*alike, published(3.0, 2, "same", 8, again=True))
    assert verdict.result is Result.PASS
    assert "marked as a duplicate" in verdict.did
    assert messages.sends_again(course(*alike, published(3.0, 2, "same", 9, again=True))) is None


def test_a_message_in_a_new_session_is_known_by_what_it_alone_says() -> None:
    again = [*losing(), *after("lost", "a")]
    assert messages.sends_again(course(*again)) is None, "whether its messages are alike, so few do not tell"
    verdict = judged(*again, *after("b", "c", at=6.0))
    assert (verdict.result, "by what it says" in verdict.did) == (Result.PASS, True)
    one_id = [replace(one, packet=8) if one.connection == 1 else one for one in again]
    assert judged(*one_id, *after("b", "c", at=6.0)).result is Result.PASS, "each message has the same packet id"
    few = judged(*again, over=True)
    assert (few.result, "so few messages" in few.did) == (Result.NOT_SEEN, True)


@pytest.mark.parametrize("length", [1, 2, 4, 8])
def test_a_device_that_goes_through_its_states_has_sent_none_again_for_certain(length: int) -> None:
    """It forgot the message; the state came round."""
    states = [f"state {n % length}" for n in range(40)]
    lost = losing(states[0], states[1])
    for count in range(1, 20):
        verdict = messages.sends_again(course(*lost, *after(*states[2 : 2 + count])))
        assert verdict is None or verdict.result is not Result.PASS, (count, verdict)
    first = [published(2.0, 1, states[1], 8), Seen(2.1, What.CLOSED, 1)]
    for count in range(1, 20):
        verdict = messages.sends_again(course(*first, *after(*states[2 : 2 + count])))
        assert verdict is None or verdict.result is not Result.PASS, (count, verdict)


def test_a_device_that_says_the_same_each_time_has_not_sent_it_again_for_certain() -> None:
    fresh = after(*["same"] * 6)
    verdict = judged(*losing("same", "same"), *fresh)
    assert verdict.result is Result.NOT_SEEN
    assert "Its messages are alike" in verdict.did
    # Also where the lost one was its first:
    first = [published(2.0, 1, "same", 8), Seen(2.1, What.CLOSED, 1)]
    assert judged(*first, *fresh).result is Result.NOT_SEEN


def test_what_it_sent_again_before_does_not_make_its_messages_alike() -> None:
    """In another stage, without a word of it: the first time nobody acknowledged it."""
    before = [published(0.1, 50, "old", 1), Seen(0.2, What.CLOSED, 50), *acknowledged(published(0.3, 51, "old", 1))]
    assert judged(*before, Seen(0.5, What.CLOSED, 51), *losing(), *after("lost", *OTHERS)).result is Result.PASS


def test_a_device_that_stays_away_has_lost_it_and_one_that_says_little_is_not_judged() -> None:
    away = judged(*losing(), over=True)
    assert (away.result, "did not come back" in away.did) == (Result.FAIL, True)
    late = judged(*(replace(one, at=one.at + 7) for one in losing()), over=True)
    assert (late.result, "--patience" in late.did) == (Result.NOT_SEEN, True)
    little = judged(*losing(), Seen(2.5, What.CONNECT, 2), *after("a", "b"), over=True)
    assert (little.result, "2 more messages" in little.did) == (Result.NOT_SEEN, True)


def test_a_connection_that_ends_with_nothing_lost_is_not_the_one_that_is_looked_for() -> None:
    """A device that sleeps between its messages ends them itself."""
    asleep = [published(1.0, 1, "first", 7), Seen(1.1, What.PUBACK, 1, packet=7), Seen(1.2, What.CLOSED, 1, flag=True)]
    later = [replace(one, at=one.at + 5, connection=2) for one in losing("second")]
    assert messages.sends_again(course(*asleep, *later)) is None
    again = published(9.0, 3, "lost", 8, again=True)
    assert sure(messages.sends_again(course(*asleep, *later, again))).result is Result.PASS


def test_qos_0_is_a_warning_with_the_line_that_changes_it() -> None:
    sent = [Seen(1.0 + n, What.PUBLISH, 1, words=f"m{n}") for n in range(3)]
    verdict = sure(messages.sends_again(course(*sent)))
    assert verdict.result is Result.WARNING
    assert "MQTT_QOS_1_AT_LEAST_ONCE" in verdict.cure


def test_a_clean_session_is_a_warning() -> None:
    verdict = sure(messages.takes_up_session(course(Seen(1.0, What.CONNECT, 1, flag=True))))
    assert verdict.result is Result.WARNING
    assert "CONFIG_MQTT_CLEAN_SESSION=n" in verdict.cure
