"""A device on trial: the scorecard names each fault that was planted in it, and nothing of a good one."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.lab.trial import tags
from tests.verified import Bench, verified_lab
from thingmint.lab import trials
from thingmint.lab.advice.cases import CASES
from thingmint.lab.advice.scorecard import Score
from thingmint.lab.advice.verdict import Result
from thingmint.lab.thing import manners, operation
from thingmint.workflows.lab import driving

Scores = dict[str, Score]
Trials = dict[str, Future[Scores]]

PATIENCE = 6.0
WHOLE = 12.0  # of a good device, which no case keeps waiting: for a machine that is busy


PLANTED = {
    "any-server": ("unknown-ca", Result.FAIL, "accepted a server certificate of a CA that it does not know"),
    "any-name": ("wrong-host", Result.FAIL, "accepted a server certificate for another host"),
    "any-date": ("expired-server", Result.FAIL, "accepted an expired server certificate"),
    "first-root": ("chain-change", Result.FAIL, "did not reconnect after a chain change"),
    "no-return": ("back-off", Result.FAIL, "did not come back"),
    "hammer": ("back-off", Result.FAIL, "hammers"),
    "no-jitter": ("busy-hub", Result.WARNING, "the same waits as in back-off"),
    "even-waits": ("back-off", Result.WARNING, "comes back evenly"),
    "forget": ("lost-puback", Result.FAIL, "lost a message at QoS 1"),
    "qos-0": ("lost-puback", Result.WARNING, "sends its messages at QoS 0"),
    "deaf": ("keep-alive", Result.FAIL, "did not notice"),
    "patient": ("no-connack", Result.FAIL, "went on waiting for a CONNACK"),
    "disobey": ("twin", Result.WARNING, "did not report the desired telemetryInterval back"),
    "no-answer": ("method", Result.FAIL, "did not answer the call"),
    "clean-session": ("session", Result.WARNING, "asks for a clean session"),
}


# What a device can have at once: each takes its time, and so they take it together.
TOGETHER = ["any-server", "no-return", "deaf", "patient", "forget", "disobey", "no-answer", "clean-session"]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with verified_lab(tmp_path_factory.mktemp("lab")) as made:
        yield made


def scorecard(bench: Bench, faults: list[str], *names: str, patience: float = PATIENCE) -> Scores:
    """Of these cases; without names, of all."""
    cases = [one for one in CASES if not names or one.name in {"connect", *names}]
    with (
        trials.begun(bench.lab, "dev-1") as trial,
        operation.operating(bench.target, "dev-1", tags(bench), (10, 11), manners.parse(faults)) as switch,
    ):
        return {one.case.name: one for one in driving.drive(trial, cases, patience, off_and_on=switch.off_and_on)}


# Each a lab of its own, side by side: for most of their time they wait.
LONG: dict[str, Callable[[Bench], Scores]] = {
    "good": lambda bench: scorecard(bench, [], patience=WHOLE),
    "no-jitter": lambda bench: scorecard(bench, ["no-jitter"], "back-off", "busy-hub", patience=WHOLE),
    "full of faults": lambda bench: scorecard(bench, TOGETHER),
}


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trials]:
    with contextlib.ExitStack() as held:
        benches = {name: held.enter_context(verified_lab(tmp_path_factory.mktemp("lab"))) for name in LONG}
        pool = held.enter_context(ThreadPoolExecutor(len(LONG)))
        yield {name: pool.submit(LONG[name], benches[name]) for name in LONG}


def test_a_good_device_passes_all(long: Trials) -> None:
    scores = long["good"].result()
    assert {name: one.verdict.result for name, one in scores.items()} == {one.name: Result.PASS for one in CASES}, (
        scores
    )
    assert "TLSv1.2" in scores["connect"].verdict.did


def test_every_fault_that_can_be_planted_is_planted_here() -> None:
    assert set(PLANTED) == set(manners.FAULTS)


@pytest.mark.parametrize("fault", [one for one in PLANTED if one not in TOGETHER])
def test_each_planted_fault_has_its_sentence_and_its_cure(bench: Bench, long: Trials, fault: str) -> None:
    case, result, words = PLANTED[fault]
    verdict = (long[fault].result() if fault in LONG else scorecard(bench, [fault], case))[case].verdict
    assert (verdict.result, words in verdict.did) == (result, True), verdict
    assert verdict.cure


@contextlib.contextmanager
def stranger(bench: Bench) -> Iterator[None]:
    """A client on this machine that trusts no server, and never gets as far as to show a certificate."""
    over = threading.Event()

    def knock() -> None:
        context = ssl.create_default_context()
        while not over.wait(0.05):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", bench.lab.mqtt_port)) as plain:
                context.wrap_socket(plain, server_hostname=bench.target.hub_host).close()

    thread = threading.Thread(target=knock)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_what_another_client_refuses_is_no_merit_of_the_device(bench: Bench) -> None:
    """The stranger refuses each server; the device none."""
    names = ("expired-server", "wrong-host", "unknown-ca")
    with stranger(bench):
        scores = scorecard(bench, ["any-server"], *names)
    assert {scores[name].verdict.result for name in names} == {Result.FAIL}, scores


def test_what_breaks_off_beside_another_client_is_not_put_down_to_the_device(bench: Bench) -> None:
    """The device is a good one: nothing tells its refusals from those of whoever refuses the hub's own certificate, too."""
    with stranger(bench):
        verdict = scorecard(bench, [], "no-connack", "unknown-ca", patience=3.0)["unknown-ca"].verdict
    assert verdict.result is Result.NOT_SEEN
    assert "from the same address (127.0.0.1)" in verdict.did


def test_a_device_full_of_faults_gets_a_sentence_for_each(long: Trials) -> None:
    """It comes back only where it is switched off and on, and so it is."""
    scores = long["full of faults"].result()
    found = {name: one.verdict.did for name, one in scores.items()}
    assert scores["connect"].verdict.result is Result.PASS
    for fault in TOGETHER:
        case, result, words = PLANTED[fault]
        assert words in found[case], found
        assert scores[case].verdict.result is result
        assert scores[case].verdict.cure
