"""What becomes of messages that get lost."""

from dataclasses import replace

from tests.advice.courses import course, sure
from thingmint.lab.advice import messages
from thingmint.lab.advice.seen import Seen, What
from thingmint.lab.advice.verdict import Result


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


def test_a_clean_session_is_a_warning() -> None:
    verdict = sure(messages.takes_up_session(course(Seen(1.0, What.CONNECT, 1, flag=True))))
    assert verdict.result is Result.WARNING
    assert "CONFIG_MQTT_CLEAN_SESSION=n" in verdict.cure
