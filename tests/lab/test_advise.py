"""A device on trial: the scorecard names each fault that was planted in it, and nothing of a good one."""

import contextlib
import urllib.error
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab.clients import wait_until
from tests.verified import Bench, verified_lab
from thingmint.device.telemetry import send_telemetry
from thingmint.errors import InputError
from thingmint.lab import trials
from thingmint.lab.advice.cases import CASES
from thingmint.lab.advice.scorecard import Score
from thingmint.lab.advice.seen import Stage, What
from thingmint.lab.advice.verdict import Result
from thingmint.lab.chaos import Chaos
from thingmint.lab.cloud.advising.watch import Watch
from thingmint.lab.cloud.faults.faults import Faults
from thingmint.lab.cloud.faults.kinds import Point
from thingmint.lab.cloud.faults.seeded import Seeded
from thingmint.lab.cloud.journal import Journal
from thingmint.lab.state import LabFolder
from thingmint.lab.thing import manners, operation
from thingmint.workflows import advising

PATIENCE = 6.0
WHOLE = 12.0  # of a good device, which no case keeps waiting: for a machine that is busy


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with verified_lab(tmp_path_factory.mktemp("lab")) as made:
        yield made


@dataclass(frozen=True)
class Tags:
    """What `provision` loads: the lab's two roots, the device's certificate and key."""

    bench: Bench
    chain: bytes
    key: bytes

    def read(self, tag: int, kind: int) -> bytes | None:
        folder = self.bench.lab.folder
        roots = {10: folder / "ca.pem", 11: folder / "ca-second.pem"}
        return roots[tag].read_bytes() if kind == 0 else {1: self.chain, 2: self.key}[kind]


def tags(bench: Bench) -> Tags:
    paper = bench.subca.issue("dev-1")
    return Tags(bench, paper.chain, paper.key_pem)


def scorecard(bench: Bench, faults: list[str], *names: str, patience: float = PATIENCE) -> dict[str, Score]:
    """Of these cases; without names, of all."""
    cases = [one for one in CASES if not names or one.name in {"connect", *names}]
    with (
        trials.begun(bench.lab, "dev-1") as trial,
        operation.operating(bench.target, "dev-1", tags(bench), (10, 11), manners.parse(faults)) as switch,
    ):
        return {one.case.name: one for one in advising.drive(trial, cases, patience, off_and_on=switch.off_and_on)}


def test_a_good_device_passes_all(bench: Bench) -> None:
    scores = scorecard(bench, [], patience=WHOLE)
    assert {name: one.verdict.result for name, one in scores.items()} == {one.name: Result.PASS for one in CASES}, (
        scores
    )
    assert "TLSv1.2" in scores["connect"].verdict.did


PLANTED = {
    "any-server": ("unknown-ca", Result.FAIL, "accepted a server certificate of a CA that it does not know"),
    "any-name": ("wrong-host", Result.FAIL, "accepted a server certificate for another host"),
    "any-date": ("expired-server", Result.FAIL, "accepted an expired server certificate"),
    "first-root": ("chain-change", Result.FAIL, "did not reconnect after a chain change"),
    "no-return": ("back-off", Result.FAIL, "did not come back"),
    "hammer": ("back-off", Result.FAIL, "hammers"),
    "even-waits": ("back-off", Result.WARNING, "comes back evenly"),
    "forget": ("lost-puback", Result.FAIL, "lost a message at QoS 1"),
    "qos-0": ("lost-puback", Result.WARNING, "sends its messages at QoS 0"),
    "deaf": ("keep-alive", Result.FAIL, "did not notice"),
    "patient": ("no-connack", Result.FAIL, "went on waiting for a CONNACK"),
    "disobey": ("twin", Result.WARNING, "did not report the desired telemetryInterval back"),
    "no-answer": ("method", Result.FAIL, "did not answer the call"),
    "clean-session": ("session", Result.WARNING, "asks for a clean session"),
}


def test_every_fault_that_can_be_planted_is_planted_here() -> None:
    assert set(PLANTED) == set(manners.FAULTS)


@pytest.mark.parametrize("fault", PLANTED)
def test_each_planted_fault_has_its_sentence_and_its_cure(bench: Bench, fault: str) -> None:
    case, result, words = PLANTED[fault]
    verdict = scorecard(bench, [fault], case)[case].verdict
    assert (verdict.result, words in verdict.did) == (result, True), verdict
    assert verdict.cure


def test_a_device_full_of_faults_gets_a_sentence_for_each(bench: Bench) -> None:
    """It comes back only where it is switched off and on, and so it is."""
    planted = ["any-server", "no-return", "deaf", "patient", "forget", "clean-session"]
    scores = scorecard(bench, planted, patience=6.0)
    found = {name: one.verdict.did for name, one in scores.items()}
    assert scores["connect"].verdict.result is Result.PASS
    for fault in planted:
        case, result, words = PLANTED[fault]
        assert words in found[case], found
        assert scores[case].verdict.result is result


def test_the_lab_is_itself_again_afterwards(bench: Bench, tmp_path: Path) -> None:
    with trials.begun(bench.lab, "dev-1") as trial:
        trial.play(Stage.STRANGER)
    paper = bench.subca.issue("dev-1")
    certificate, key = paper.save(tmp_path, "dev-1", bench.subca)
    send_telemetry(bench.target, "dev-1", certificate_chain=certificate, key=key, body='{"after": 1}')
    assert '{"after": 1}' in [one.body for one in bench.lab.telemetry("dev-1")]


def test_a_twin_is_as_before_also_where_the_trial_was_cut_off(bench: Bench) -> None:
    with (
        trials.begun(bench.lab, "dev-1") as trial,
        operation.operating(bench.target, "dev-1", tags(bench), (10, 11), manners.parse([])),
    ):
        wait_until(lambda: trial.look().connected)
        trial.play(Stage.DESIRED)
        wait_until(lambda: any(one.what is What.REPORTED for one in trial.look().seen))
        assert desired(bench) == 21
    assert desired(bench) is None


def desired(bench: Bench) -> object:
    return bench.devices.twin("dev-1").desired.values.get("telemetryInterval")


def test_a_second_trial_is_refused_and_the_first_goes_on(bench: Bench) -> None:
    with trials.begun(bench.lab, "dev-1") as trial:
        with pytest.raises(InputError, match="advising already"), trials.begun(bench.lab, "dev-2"):
            pass
        assert trial.look().device == "dev-1"


def test_without_an_id_the_device_that_connects_is_the_one(bench: Bench) -> None:
    with (
        trials.begun(bench.lab, "") as trial,
        operation.operating(bench.target, "dev-1", tags(bench), (10, 11), manners.parse([])),
    ):
        wait_until(lambda: trial.look().connected)
        assert trial.look().device == "dev-1"


def test_other_devices_are_answered_as_always_on_their_open_connections(bench: Bench, tmp_path: Path) -> None:
    """But for the server's certificate, which is shown before anybody can know who asks."""
    certificate, key = bench.subca.issue("dev-1").save(tmp_path, "dev-1", bench.subca)
    with trials.begun(bench.lab, "somebody-else") as trial:
        trial.play(Stage.MUTE)
        send_telemetry(bench.target, "dev-1", certificate_chain=certificate, key=key, body='{"other": 1}')
    assert '{"other": 1}' in [one.body for one in bench.lab.telemetry("dev-1")]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/lab/advise?trial=unknown", 410),
        ("DELETE", "/lab/advise?trial=unknown", 410),
        ("POST", "/lab/advise/stage?trial=unknown&stage=mute", 410),
    ],
)
def test_a_trial_that_is_over_takes_no_orders(bench: Bench, method: str, path: str, status: int) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        bench.lab.ask(method, path)
    assert refused.value.code == status


def test_no_such_stage_is_an_answer_and_no_crash(bench: Bench) -> None:
    token = bench.lab.ask("POST", "/lab/advise?device=dev-1")["trial"]
    try:
        for path in (f"/lab/advise/stage?trial={token}&stage=worse", f"/lab/advise?trial={token}&after=-1"):
            with pytest.raises(urllib.error.HTTPError) as refused:
                bench.lab.ask("POST" if "stage" in path else "GET", path)
            assert refused.value.code == 400
    finally:
        bench.lab.ask("DELETE", f"/lab/advise?trial={token}")


def test_nobody_who_switches_a_device_on_is_waited_for_twice_and_no_more(bench: Bench) -> None:
    """It is off from the beginning."""
    with trials.begun(bench.lab, "dev-1") as trial:
        scores = advising.drive(trial, CASES, 0.3)
    assert {one.verdict.result for one in scores} <= {Result.NOT_SEEN, Result.FAIL}
    assert [one.verdict.did for one in scores].count("It stayed away.") >= len(CASES) - 5


def test_chaos_rests_during_a_trial_and_a_trial_that_is_left_alone_ends(tmp_path: Path) -> None:
    chaos = Seeded(Chaos(seed=7, rate=1.0))
    with contextlib.closing(Journal(LabFolder(tmp_path))) as journal:
        faults = Faults(journal, chaos)
        watch = Watch(faults)
        trial = watch.begin("dev-1", frozenset())
        during = faults.source
        assert during is trial
        assert faults.draw(Point.PINGRESP, "dev-1") is None
        assert not watch.expire()
        trial.asked -= 60
        assert watch.expire()
        assert faults.source is chaos
        assert watch.trial is None
