"""Whose a connection is, in a trial: what the hub says of it, and nothing that a client merely shows or asks for."""

import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.clients import Lab, connack, connect_clients, connect_packet, is_closed, mqtt_connect, tls, wait_until
from tests.lab.websockets import CONNACK, login, opened
from tests.paper import make
from tests.verified import Bench, enrolled, verified_lab
from thingmint import config
from thingmint.console import Console
from thingmint.errors import InputError
from thingmint.ids import DeviceId
from thingmint.lab import trials
from thingmint.lab.advice.cases import CASES
from thingmint.lab.advice.evidence import Evidence
from thingmint.lab.advice.seen import Seen, Stage, What
from thingmint.lab.advice.verdict import Result
from thingmint.lab.cloud.store.store import Store
from thingmint.lab.state import LabFolder
from thingmint.lab.trials import Trial
from thingmint.session import Session, make_session
from thingmint.target import PROVISIONING_DEVICES
from thingmint.workflows.lab import advising, driving

Files = tuple[Path, Path]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with verified_lab(tmp_path_factory.mktemp("lab")) as made:
        yield made


@pytest.fixture(scope="module")
def session(bench: Bench) -> Session:
    return make_session(bench.lab.folder.parent, config.load({}), Console())


@pytest.fixture(scope="module")
def lab(bench: Bench, session: Session) -> Lab:
    return connect_clients(session, bench.lab)


@pytest.fixture(scope="module")
def files(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Files:
    return bench.subca.issue("dev-1").save(tmp_path_factory.mktemp("files"), "dev-1", bench.subca)


def found(trial: Trial, what: What) -> list[Seen]:
    return [one for one in trial.look().seen if one.what is what]


def own(trial: Trial) -> list[Seen]:
    """What is put down to the device, of connections."""
    look = trial.look()
    return [one for one in Evidence(look.seen, look.device).seen if one.connection]


def scores(trial: Trial, *names: str) -> dict[str, tuple[Result, str]]:
    cases = [one for one in CASES if one.name in names]
    return {one.case.name: (one.verdict.result, one.verdict.did) for one in driving.drive(trial, cases, 0.3)}


def test_a_certificate_that_was_refused_makes_nobody_known(bench: Bench, lab: Lab, tmp_path: Path) -> None:
    """Whatever name stands in it."""
    with trials.begun(bench.lab, "dev-1") as trial:
        with pytest.raises((ssl.SSLError, ConnectionError)), tls(lab, make("dev-1").save(tmp_path, "s")) as connection:
            mqtt_connect(lab, connection, "dev-1")
        wait_until(lambda: found(trial, What.CLOSED))
        (broken,) = found(trial, What.BROKEN_OFF)
        assert (broken.device, own(trial)) == ("", [])
        assert "a certificate CN 'dev-1' that was refused: " in broken.words
        assert not found(trial, What.CLOSED)[0].flag, "the hub ended it"
        doubt = Evidence(trial.look().seen, "dev-1").doubt({broken.connection})
    assert f"a client at 127.0.0.1 did ({broken.words}), and nothing tells whether" in doubt


@pytest.mark.parametrize("chosen", ["thumb-1", ""])
def test_a_device_is_known_by_its_id_whatever_its_certificate_says(
    bench: Bench, lab: Lab, tmp_path: Path, chosen: str
) -> None:
    paper = make("whatever")
    lab.registry.create_device_with_x509("thumb-1", paper.thumbprint, "F" * 40, "enabled")
    try:
        pinned = paper.save(tmp_path, "thumb-1")
        with trials.begun(bench.lab, chosen) as trial:
            with tls(lab, pinned) as connection:
                assert mqtt_connect(lab, connection, "thumb-1") == 0
                wait_until(lambda: trial.look().connected)
                assert trial.look().device == "thumb-1"
                trial.play(Stage.BUSY)
            with tls(lab, pinned) as connection:
                assert mqtt_connect(lab, connection, "thumb-1") == 3
            with tls(lab, pinned):  # its certificate is known by now, also where it says no more
                wait_until(lambda: len(found(trial, What.GREETED)) == 3)
            assert {one.device for one in found(trial, What.LET_IN)} == {"thumb-1"}
            assert found(trial, What.GREETED)[-1].device == "thumb-1"
            trial.play(Stage.DESIRED)
            assert bench.devices.twin("thumb-1").desired.values["telemetryInterval"] == 21
    finally:
        bench.devices.delete("thumb-1")


def test_who_is_not_there_is_not_asked(bench: Bench) -> None:
    for device, twin, method in (
        ("nobody", "no device 'nobody' is registered", "the device 'nobody' is not connected"),
        ("", "no device was let in", "no device was let in"),
    ):
        with trials.begun(bench.lab, device) as trial:
            for name, why in (("twin", twin), ("method", method)):
                assert scores(trial, name)[name] == (Result.NOT_SEEN, f"It was not asked: {why}.")


def test_a_registration_is_no_connection_to_the_hub(bench: Bench, lab: Lab, files: Files) -> None:
    """It is let through as always, and counts for nothing."""
    with enrolled(bench) as gate:
        for chosen in ("dev-1", ""):
            with trials.begun(bench.lab, chosen) as trial:
                trial.play(Stage.BUSY)
                with tls(lab, files, host=PROVISIONING_DEVICES) as connection:
                    user = f"{gate.id_scope}/registrations/dev-1/api-version=2019-03-31"
                    connection.sendall(connect_packet("dev-1", user))
                    assert connack(connection) == 0
                    look = trial.look()
                    assert [one.what for one in look.seen][-1] is What.ELSEWHERE
                    assert (look.device, look.connected, own(trial)) == (chosen, False, [])
                verdicts = scores(trial, "connect", "busy-hub")
            assert {result for result, _ in verdicts.values()} == {Result.NOT_SEEN}, verdicts


def test_a_device_that_came_by_websocket_cannot_be_watched(
    bench: Bench, lab: Lab, session: Session, files: Files
) -> None:
    with opened(lab, files) as websocket:
        websocket.send(login(lab, "dev-1"))
        assert websocket.recv(timeout=5) == CONNACK
        with trials.begun(bench.lab, "dev-1") as trial:
            for fault in ([], ["hammer"]):
                with pytest.raises(InputError, match="dev-1 is connected by websocket") as refused:
                    advising._present(session, bench.lab, trial, DeviceId.parse("dev-1"), fault)
                assert any("8883" in one for one in refused.value.things_to_try)
    with tls(lab, files) as connection, trials.begun(bench.lab, "dev-1") as trial:
        assert mqtt_connect(lab, connection, "dev-1") == 0
        wait_until(lambda: trial.look().connected)
        assert advising._present(session, bench.lab, trial, DeviceId.parse("dev-1"), [])


@pytest.mark.parametrize("when", ["before", "in"])
def test_a_handshake_alone_is_no_connection(bench: Bench, lab: Lab, files: Files, when: str) -> None:
    with contextlib.ExitStack() as held:
        if when == "before":
            held.enter_context(tls(lab, files))
        trial = held.enter_context(trials.begun(bench.lab, "dev-1"))
        if when == "in":
            held.enter_context(tls(lab, files))
        wait_until(lambda: found(trial, What.GREETED))
        assert scores(trial, "connect")["connect"][0] is not Result.PASS


@pytest.mark.parametrize("chosen", ["dev-1", ""])
def test_a_handshake_that_was_open_when_the_trial_began_takes_part(
    bench: Bench, lab: Lab, files: Files, chosen: str
) -> None:
    context = ssl.create_default_context(cafile=str(bench.target.ca_file))
    context.load_cert_chain(*files)
    count = lab.log.count("device 'dev-1' connected")
    with socket.create_connection(("127.0.0.1", bench.lab.mqtt_port), timeout=5) as plain:
        with tls(lab, files):  # the first one is accepted then
            pass
        with trials.begun(bench.lab, chosen) as trial:
            trial.play(Stage.FRESH)
            with context.wrap_socket(plain, server_hostname=bench.target.hub_host) as secured:
                assert mqtt_connect(lab, secured, "dev-1") == 0
                wait_until(lambda: trial.look().connected)
                assert trial.look().device == "dev-1"
                assert [one.what for one in own(trial)][-4:] == [
                    What.GREETED,
                    What.CONNECT,
                    What.LET_IN,
                    What.CONNACK,
                ]
                result, did = scores(trial, "connect")["connect"]
    assert (result, did[:13]) == (Result.PASS, "It connected "), did
    assert lab.log.count("device 'dev-1' connected") == count + 1


def test_the_device_ends_a_connection_or_the_hub_does(bench: Bench, lab: Lab, files: Files) -> None:
    """A connection that gives way to a newer one was not ended by the device."""
    with trials.begun(bench.lab, "dev-1") as trial:
        with tls(lab, files) as first, tls(lab, files) as second:
            assert mqtt_connect(lab, first, "dev-1") == 0
            assert mqtt_connect(lab, second, "dev-1") == 0
            assert is_closed(first)
            wait_until(lambda: found(trial, What.CLOSED))
            assert [one.flag for one in found(trial, What.CLOSED)] == [False]
        wait_until(lambda: len(found(trial, What.CLOSED)) == 2)
        assert [one.flag for one in found(trial, What.CLOSED)] == [False, True]


@pytest.mark.parametrize(
    ("before", "meanwhile", "after"), [(None, 99, 99), (True, None, True), (30, None, 30), (None, True, True)]
)
def test_a_desired_value_is_put_back_where_it_is_still_the_trials(
    bench: Bench, before: object, meanwhile: object, after: object
) -> None:
    bench.devices.desire("dev-1", {"telemetryInterval": before})
    with trials.begun(bench.lab, "dev-1") as trial:
        trial.play(Stage.DESIRED)
        assert interval(bench) == (31 if before == 30 else 21)
        if meanwhile is not None:
            bench.devices.desire("dev-1", {"telemetryInterval": meanwhile})
    assert interval(bench) is after
    bench.devices.desire("dev-1", {"telemetryInterval": None})


def interval(bench: Bench) -> object:
    return bench.devices.twin("dev-1").desired.values.get("telemetryInterval")


def test_a_lab_that_is_ended_during_a_trial_puts_the_twin_back(tmp_path: Path) -> None:
    with verified_lab(tmp_path) as made:
        token = made.lab.ask("POST", "/lab/advise?device=dev-1")["trial"]
        made.lab.ask("POST", f"/lab/advise/stage?trial={token}&stage=desired")
        assert interval(made) == 21
    with contextlib.closing(Store(LabFolder(made.lab.folder).database)) as store:
        assert "telemetryInterval" not in store.twins.get("dev-1").desired.values
