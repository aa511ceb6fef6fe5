"""Whether a device notices that its hub is gone."""

from dataclasses import replace

import pytest

from tests.advice.courses import DEVICE, PATIENCE, dialogue, sure
from thingmint.lab.advice import silence
from thingmint.lab.advice.course import Course
from thingmint.lab.advice.evidence import Evidence
from thingmint.lab.advice.seen import Seen, Stage, What
from thingmint.lab.advice.verdict import Result

LEFT = [Seen(2.9, What.PING, 1), Seen(3.0, What.DISCONNECT, 1), Seen(3.1, What.CLOSED, 1, flag=True)]
"""As a device does that goes to sleep each three seconds, or one that noticed and is polite."""


@pytest.mark.parametrize(
    ("keep_alive", "seen", "result", "words"),
    [
        (2, [Seen(4.0, What.CLOSED, 1, flag=True), *dialogue(2, 4.2, What.CONNECT)], Result.PASS, "after 4.0 s"),
        (2, [Seen(4.9, What.CLOSED, 1, flag=True), *dialogue(2, 5.2, What.CONNECT)], Result.PASS, "in time up to 5 s"),
        (2, [Seen(5.1, What.CLOSED, 1, flag=True), *dialogue(2, 5.2, What.CONNECT)], Result.WARNING, "0.1 s too late"),
        (2, [*dialogue(2, 9.0, What.CONNECT)], Result.WARNING, "4.0 s too late"),
        (2, LEFT, Result.NOT_SEEN, "by DISCONNECT"),
        (2, [*LEFT, *dialogue(2, 3.5, What.CONNECT)], Result.NOT_SEEN, "by DISCONNECT"),
        (5, [], Result.NOT_SEEN, "--patience 15"),
        (5, [Seen(9.0, What.CLOSED, 1, flag=True), *dialogue(2, 9.2, What.CONNECT)], Result.PASS, "after 9.0 s"),
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
    verdict = sure(silence.notices_silence(Course(Evidence(own, DEVICE), Stage.SILENT, PATIENCE, 100.0, over=True)))
    assert verdict.result is result
    assert words in verdict.did
