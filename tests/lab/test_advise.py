"""A trial: who may begin one, what it leaves behind, and that the lab is itself again."""

import asyncio
import contextlib
import socket
import ssl
import threading
import urllib.error
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.lab.clients import connect_packet, wait_until
from tests.lab.trial import operating, tags
from tests.verified import Bench, verified_lab
from thingmint import config
from thingmint.device.telemetry import send_telemetry
from thingmint.errors import InputError
from thingmint.lab import trials
from thingmint.lab.advice.cases import CASES
from thingmint.lab.advice.seen import Seen, Stage, What
from thingmint.lab.advice.verdict import Result
from thingmint.lab.chaos import Chaos
from thingmint.lab.cloud import server
from thingmint.lab.cloud.advising import asking as asking_a_device
from thingmint.lab.cloud.advising.trial import MOST_IN_A_STAGE
from thingmint.lab.cloud.advising.watch import Watch
from thingmint.lab.cloud.faults.faults import Faults, Source
from thingmint.lab.cloud.faults.kinds import Point
from thingmint.lab.cloud.faults.seeded import Seeded
from thingmint.lab.cloud.journal import Journal
from thingmint.lab.state import LabFolder, Role
from thingmint.lab.thing import manners, operation
from thingmint.workflows.lab import driving

CHAOS = Seeded(Chaos(seed=7, rate=1.0))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with verified_lab(tmp_path_factory.mktemp("lab")) as made:
        yield made


def test_a_device_that_is_connected_already_and_does_not_come_back_has_connected_all_the_same(bench: Bench) -> None:
    cases = [one for one in CASES if one.name in {"connect", "back-off"}]
    with operating(bench, ["no-return"]), trials.begun(bench.lab, "dev-1") as trial:
        assert trial.look().connected
        first, second = driving.drive(trial, cases, 1.0)
    assert first.verdict.result is Result.PASS
    assert first.verdict.did.startswith("It was connected when this began, by TLSv1.2 ")
    assert second.verdict.result is Result.FAIL, second


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
    with trials.begun(bench.lab, "dev-1") as trial, asking(trial):
        with pytest.raises(InputError, match="advising already"), trials.begun(bench.lab, "dev-2"):
            pass
        assert trial.look().device == "dev-1"


def test_one_that_nobody_asks_about_is_taken_over(bench: Bench) -> None:
    """Whoever began it was killed."""
    bench.lab.ask("POST", "/lab/advise?device=dev-1")
    with trials.begun(bench.lab, "dev-2") as trial:
        assert trial.look().device == "dev-2"


@contextlib.contextmanager
def asking(trial: trials.Trial) -> Iterator[None]:
    """As advise does, ten times a second."""
    over = threading.Event()

    def ask() -> None:
        while not over.wait(0.1):
            trial.look()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_without_an_id_the_device_that_connects_is_the_one(bench: Bench) -> None:
    with (
        trials.begun(bench.lab, "") as trial,
        operation.operating(bench.target, "dev-1", tags(bench), (10, 11), manners.parse([])),
    ):
        wait_until(lambda: trial.look().connected)
        assert trial.look().device == "dev-1"


def test_a_device_that_takes_its_leave_is_told_from_one_that_breaks_off(bench: Bench) -> None:
    with trials.begun(bench.lab, "dev-1") as trial:
        with operating(bench, []):
            pass
        wait_until(lambda: any(one.what is What.CLOSED for one in trial.look().seen))
        assert What.DISCONNECT in [one.what for one in trial.look().seen]


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


def test_one_that_never_came_has_failed_nothing_and_is_waited_for_once(bench: Bench) -> None:
    with trials.begun(bench.lab, "dev-1") as trial:
        scores = driving.drive(trial, CASES, 0.3)
    assert {one.verdict.result for one in scores} == {Result.NOT_SEEN}
    assert [one.verdict.did for one in scores[1:]] == [driving.UNSEEN] * (len(CASES) - 1)


def test_nobody_who_switches_a_device_on_is_waited_for_twice_and_no_more(bench: Bench) -> None:
    with operating(bench, ["no-return"]), trials.begun(bench.lab, "dev-1") as trial:
        scores = driving.drive(trial, CASES, 0.5)
    results = [one.verdict.result for one in scores]
    assert results[:2] == [Result.PASS, Result.FAIL]
    assert [one.verdict.did for one in scores].count(driving.UNSEEN) == len(CASES) - 4


@contextlib.contextmanager
def slow_once(bench: Bench, tmp_path: Path, seconds: float) -> Iterator[None]:
    """A device that connects, comes back after so long when it was ended first, and from then on at once."""
    context = ssl.create_default_context(cafile=str(bench.target.ca_file))
    context.load_cert_chain(*bench.subca.issue("dev-1").save(tmp_path, "dev-1", bench.subca))
    hello = connect_packet("dev-1", f"{bench.target.hub_host}/dev-1/?api-version=2019-10-01")
    off = threading.Event()

    def live() -> None:
        waits = chain([seconds], repeat(0.05))
        while not off.is_set():
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", bench.lab.mqtt_port)) as plain,
                context.wrap_socket(plain, server_hostname=bench.target.hub_host) as secured,
            ):
                secured.settimeout(0.05)
                secured.sendall(hello)
                while not off.is_set():
                    with contextlib.suppress(TimeoutError):
                        if not secured.recv(4096):
                            break
            off.wait(next(waits))

    thread = threading.Thread(target=live)
    thread.start()
    try:
        wait_until(lambda: (found := bench.devices.get("dev-1")) and found.connection_state == "Connected")
        yield
    finally:
        off.set()
        thread.join()


def test_a_device_that_was_slow_once_and_comes_back_by_itself_is_switched_no_more(bench: Bench, tmp_path: Path) -> None:
    switched: list[float] = []
    cases = [one for one in CASES if one.name in {"connect", "back-off", "busy-hub", "unknown-ca", "method"}]
    with slow_once(bench, tmp_path, 2.4), trials.begun(bench.lab, "dev-1") as trial:
        scores = driving.drive(trial, cases, 2.0, off_and_on=lambda _between: switched.append(trial.look().now))
    assert len(switched) == 1, scores


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    """Of a lab with chaos."""
    with contextlib.closing(Journal(LabFolder(tmp_path))) as journal:
        yield Watch(Faults(journal, CHAOS))


def test_chaos_rests_during_a_trial_and_a_trial_that_is_left_alone_ends(watch: Watch) -> None:
    trial = watch.begin("dev-1", frozenset())
    during: Source | None = watch.faults.source
    assert during is trial
    assert watch.faults.draw(Point.PINGRESP, "dev-1") is None
    assert not watch.expire()
    trial.asked -= 60
    assert watch.expire()
    assert watch.faults.source is CHAOS
    assert watch.trial is None


def test_a_machine_that_slept_has_left_no_trial_alone(watch: Watch) -> None:
    """On some systems the clock goes on meanwhile: whoever asks slept just as long."""
    watch.begin("dev-1", frozenset()).asked -= 3600
    watch.looked -= 3600
    assert not watch.expire()
    assert watch.trial
    watch.trial.asked -= 60
    assert watch.expire()


def test_an_undoing_that_fails_is_told_and_keeps_nothing_from_being_put_back(watch: Watch, tmp_path: Path) -> None:
    done: list[str] = []

    def fail() -> None:
        raise OSError("disk full")

    for end in (watch.end, lambda: watch.play(Stage.NORMAL)):
        trial = watch.begin("dev-1", frozenset())
        watch.play(Stage.DESIRED)
        trial.undo += [lambda: done.append("first"), fail, lambda: done.append("last")]
        end()
        assert done == ["last", "first"]
        done.clear()
        watch.end()
        assert watch.faults.source is CHAOS
    log = LabFolder(tmp_path).log.read_text()
    assert log.count("the stage desired was not undone: OSError: disk full") == 2


def test_a_stage_in_which_too_much_happens_keeps_none_from_being_seen(watch: Watch) -> None:
    trial = watch.begin("dev-1", frozenset())
    for stage in (Stage.MUTE, Stage.CALLED):
        watch.play(stage)
        for _ in range(MOST_IN_A_STAGE + 10):
            trial.note(Seen(trial.now, What.PING, 1, "dev-1"))
        trial.note(Seen(trial.now, What.ANSWERED, number=200, flag=True))
    found = Counter(one.what for one in trial.seen)
    assert found == {What.STAGE: 2, What.PING: 2 * MOST_IN_A_STAGE, What.OVERFLOW: 2, What.ANSWERED: 2}


def test_it_is_a_message_whose_acknowledgement_is_forgotten(watch: Watch) -> None:
    """And none that the device asked for its twin by, as Microsoft's SDK does at QoS 1 whenever it has connected."""
    trial = watch.begin("dev-1", frozenset())
    watch.play(Stage.FORGETFUL)
    for device, packet in (("dev-2", 7), ("dev-1", 8)):
        assert watch.faults.draw(Point.PUBACK, "dev-1") is None
        trial.note(Seen(trial.now, What.PUBLISH, 1, device, "digest", 1, packet=packet))
    trial.note(Seen(trial.now, What.PUBACK, 1, "dev-1", packet=8))
    assert watch.faults.draw(Point.PUBACK, "dev-1") is None
    trial.note(Seen(trial.now, What.PUBLISH, 1, "dev-1", "digest", 1, packet=9))
    assert watch.faults.draw(Point.PUBACK, "dev-1")
    assert watch.faults.draw(Point.PUBACK, "dev-1") is None, "one message is forgotten"


def test_a_method_is_called_as_soon_as_the_device_takes_calls(watch: Watch) -> None:
    """On a slow network it subscribes a while after it has connected."""
    trial = watch.begin("dev-1", frozenset())
    calls: list[str] = []

    async def answer(method: str, _body: bytes, _seconds: float) -> tuple[int, bytes]:
        calls.append(method)
        return 200, b"{}"

    def answered() -> list[bool]:
        return [one.flag for one in trial.seen if one.what is What.ANSWERED]

    async def course() -> None:
        line = SimpleNamespace(takes_calls=False, call=answer)
        hub: Any = SimpleNamespace(lines={"dev-1": line})
        asking_a_device.call(hub, trial)
        await asyncio.sleep(0)
        assert (answered(), calls) == ([False], [])
        line.takes_calls = True
        while len(answered()) < 2:  # noqa: ASYNC110 - what is noted tells nobody
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(course(), 5))
    assert (answered(), calls) == ([False, True], ["led"])


def test_the_labs_housekeeping_goes_on_where_one_job_fails(
    watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends when it is idle, though the trial cannot be ended."""
    monkeypatch.setattr(server, "_HOUSEKEEPING_SECONDS", 0.01)

    def fail() -> bool:
        raise OSError("disk full")

    monkeypatch.setattr(watch, "expire", fail)
    role = replace(Role.of(config.load({}).settings), idle_seconds=0.05)
    hub: Any = SimpleNamespace(watch=watch, journal=watch.faults.journal)
    lab = server._Lab(LabFolder(tmp_path), role, lambda _record: None, None)
    monkeypatch.setattr(lab, "_renew_certificate", lambda *_: None)
    asyncio.run(asyncio.wait_for(lab._housekeeping(hub, ssl.create_default_context()), 5))
    log = LabFolder(tmp_path).log.read_text()
    assert log.count("housekeeping: end lone trial: OSError: disk full") == 1
    assert "stopping: nothing happened" in log
