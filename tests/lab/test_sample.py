"""The simulated device against the real lab: it connects with what its modem holds, or its log says why not."""

import contextlib
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.lab.clients import wait_until
from tests.paper import make
from tests.verified import Bench, enrolled, verified_lab
from thingmint.errors import CheckError, HubError
from thingmint.firmware.log.conclusions import Conclusions
from thingmint.firmware.log.story import Story
from thingmint.lab import trials
from thingmint.lab.advice.seen import Stage
from thingmint.lab.thing import application, sample

ROOT, CERTIFICATE, KEY = 0, 1, 2
LINE = re.compile(r"\[\d\d:\d\d:\d\d\.\d{3},\d{3}\] <(?:err|wrn|inf|dbg)> \w+: .+")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with verified_lab(tmp_path_factory.mktemp("lab")) as made:
        yield made


@dataclass(frozen=True)
class Tags:
    """A modem's storage, as a firmware sees it."""

    held: Mapping[tuple[int, int], bytes]

    def read(self, tag: int, kind: int) -> bytes | None:
        return self.held.get((tag, kind))


def loaded(bench: Bench, device_id: str = "dev-1") -> dict[tuple[int, int], bytes]:
    paper = bench.subca.issue(device_id)
    assert bench.target.ca_file
    return {(10, ROOT): bench.target.ca_file.read_bytes(), (10, CERTIFICATE): paper.chain, (10, KEY): paper.key_pem}


def run(bench: Bench, held: Mapping[tuple[int, int], bytes], device_id: str = "dev-1") -> tuple[str, list[str]]:
    lines: list[str] = []
    body = sample.run(sample.Build(device_id, bench.target), Tags(held), lines.append)
    return body, lines


def failing(
    bench: Bench, held: Mapping[tuple[int, int], bytes], kind: type[Exception], device_id: str = "dev-1"
) -> tuple[str, list[str]]:
    lines: list[str] = []
    with pytest.raises(kind) as caught:
        sample.run(sample.Build(device_id, bench.target), Tags(held), lines.append)
    assert "Event was successfully sent" not in "\n".join(lines)
    assert "PRIVATE KEY" not in "\n".join([str(caught.value), *lines])
    assert lines[-1].endswith("AZURE_IOT_HUB_EVT_CONNECTION_FAILED")
    return str(caught.value), lines


def test_it_connects_with_the_bytes_of_its_sec_tag_and_the_hub_hears_it(bench: Bench) -> None:
    body, lines = run(bench, loaded(bench))
    assert body in [one.body for one in bench.lab.telemetry("dev-1")]
    assert all(LINE.fullmatch(line) for line in lines[1:])
    told = [line.split(": ", 1)[1] for line in lines[1:]]
    order = [
        "Connected to LTE network",
        "AZURE_IOT_HUB_EVT_CONNECTING",
        "AZURE_IOT_HUB_EVT_CONNECTED",
        f"Sending event:{body}",
        "Event was successfully sent",
    ]
    assert [line for line in told if line in order] == order


def test_a_root_in_the_secondary_tag_counts_too(bench: Bench) -> None:
    held = loaded(bench)
    held[11, ROOT], held[10, ROOT] = held[10, ROOT], make("Another Root").pem
    assert "temperature" in run(bench, held)[0]


def test_the_server_is_trusted_by_the_root_of_the_sec_tag_and_no_other(bench: Bench) -> None:
    said, lines = failing(bench, {**loaded(bench), (10, ROOT): make("Another Root").pem}, HubError)
    assert "the server's certificate is not trusted" in said
    assert any("mqtt_connect, error: -111" in line for line in lines)


@pytest.mark.parametrize("kind", [ROOT, CERTIFICATE, KEY])
def test_an_empty_place_is_named(bench: Bench, kind: int) -> None:
    held = loaded(bench)
    del held[10, kind]
    said, _ = failing(bench, held, CheckError)
    assert ["server root", "client certificate", "private key"][kind] in said


def test_a_key_of_another_certificate_is_named(bench: Bench) -> None:
    said, _ = failing(bench, {**loaded(bench), (10, KEY): make("other").key_pem}, CheckError)
    assert "no pair" in said


def test_a_device_that_the_hub_does_not_know_reads_the_return_code(bench: Bench) -> None:
    _, lines = failing(bench, loaded(bench, "stranger"), HubError, "stranger")
    assert any("Connection was rejected with return code 5" in line for line in lines)
    assert any("Is the device certificate valid?" in line for line in lines)


def test_nothing_of_the_keys_stays_on_the_disk(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    run(bench, loaded(bench))
    with pytest.raises(HubError):
        sample.run(
            sample.Build("dev-1", replace(bench.target, mqtt_proxy=("127.0.0.1", 1))), Tags(loaded(bench)), print
        )
    assert not list(tmp_path.iterdir())


def test_built_for_the_provisioning_service_it_is_told_its_hub(bench: Bench) -> None:
    held = loaded(bench, "new-1")
    with enrolled(bench) as gate:
        build = sample.Build("new-1", replace(bench.target, hub_host="unknown.invalid"), id_scope=gate.id_scope)
        lines: list[str] = []
        body = sample.run(build, Tags(held), lines.append)
        assert body in [one.body for one in bench.lab.telemetry("new-1")]
        assert all(LINE.fullmatch(line) for line in lines[1:])
        told = "\n".join(lines)
        hub = bench.target.hub_host
        order = [
            f"Setting DPS ID scope: {gate.id_scope}",
            "Resolving IP address for global.azure-devices-provisioning.net",
            f"Device ID new-1 is now registered to {hub}",
            f"Resolving IP address for {hub}",
            "AZURE_IOT_HUB_EVT_CONNECTED",
        ]
        assert sorted(order, key=told.index) == order
        found = conclusions(lines)
        assert (found.reached, found.host) == (True, hub)

        gate.enrollments.block("new-1", held[10, CERTIFICATE])
        lines = []
        with pytest.raises(HubError, match="did not let it in"):
            sample.run(build, Tags(held), lines.append)
        assert [one.cause.name for one in conclusions(lines).failures] == ["dps-not-assigned"]


def conclusions(lines: list[str]) -> Conclusions:
    story = Story()
    story.hear("".join(f"{line}\n" for line in lines).encode())
    return story.conclude()


def test_the_id_scope_is_found_in_what_was_built_with_one() -> None:
    host = b"global.azure-devices-provisioning.net"
    assert sample.id_scope_in(b"\0" + host + b"\x000ne00AB12cd\0") == "0ne00AB12cd"
    assert sample.id_scope_in(b"\x000ne00AB12cd\0") is None
    assert sample.id_scope_in(host) is None


class SwitchedOffError(Exception):
    pass


@dataclass
class Running:
    """The application as it goes on, in a thread."""

    lines: list[str]
    error: BaseException | None = None

    def times(self, text: str) -> int:
        return sum(text in line for line in self.lines)


@contextlib.contextmanager
def running(bench: Bench, *, there: bool = True) -> Iterator[Running]:
    off = threading.Event()
    device = Running([])

    def pause(seconds: float) -> None:
        if off.wait(seconds):
            raise SwitchedOffError

    def run() -> None:
        try:
            build = sample.Build("dev-1", bench.target)
            sample.run(build, Tags(loaded(bench)), device.lines.append, pause=pause, there=lambda: there)
        except (SwitchedOffError, HubError) as error:
            device.error = error

    thread = threading.Thread(target=run)
    thread.start()
    try:
        wait_until(lambda: device.times("Next event will be sent"))
        yield device
    finally:
        off.set()
        thread.join()


def test_it_comes_back_and_sends_again_what_was_not_acknowledged(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "_INTERVAL_SECONDS", 1)
    with running(bench) as device, trials.begun(bench.lab, "dev-1") as trial:
        trial.play(Stage.FRESH)
        wait_until(lambda: device.times("Event was successfully sent") > 1)
        told = [line.partition(": ")[2] for line in device.lines]
        again = told.index("AZURE_IOT_HUB_EVT_DISCONNECTED")
        assert told[again + 1].startswith("Next attempt to connect in ")
        assert told[again + 2] == "AZURE_IOT_HUB_EVT_CONNECTING"
        trial.play(Stage.FORGETFUL)
        wait_until(lambda: device.times("EVT_DISCONNECTED") == 2)
        lost = next(line for line in reversed(device.lines) if "Sending event" in line).partition("event:")[2]
        wait_until(lambda: device.times(f"Sending event:{lost}") == 2)
    assert isinstance(device.error, SwitchedOffError)


def test_where_there_is_no_hub_any_more_it_ends_with_what_its_connection_ended_with(bench: Bench) -> None:
    with running(bench, there=False) as device, trials.begun(bench.lab, "dev-1") as trial:
        trial.play(Stage.FRESH)
        wait_until(lambda: device.error)
    assert "the connection broke" in str(device.error)
    assert "EVT_DISCONNECTED" in device.lines[-1]
