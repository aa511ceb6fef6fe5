"""The simulated device, as Nordic's Azure IoT Hub sample behaves: https://github.com/nrfconnect/sdk-nrf/tree/main/samples/net/azure_iot_hub."""

import contextlib
import json
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.lab.clients import Lab
from tests.lab.conformance.conversation import desire
from tests.lab.conformance.registry import ask
from tests.lab.conformance.rows import done
from tests.lab.dialogue import send
from tests.lab.test_sample import CERTIFICATE, KEY, ROOT, Tags
from tests.paper import make
from thingmint.errors import HubError
from thingmint.lab.thing import sample

Device = tuple[str, tuple[Path, Path]]
Steps = Generator[None]
Held = Mapping[tuple[int, int], bytes]


class Unplugged(Exception):  # noqa: N818
    """The device has no power any more."""


def loaded(lab: Lab, device: Device) -> dict[tuple[int, int], bytes]:
    certificate, key = device[1]
    assert lab.target.ca_file
    return {
        (10, ROOT): lab.target.ca_file.read_bytes(),
        (10, CERTIFICATE): certificate.read_bytes(),
        (10, KEY): key.read_bytes(),
    }


def operate(lab: Lab, device: Device, steps: Callable[[list[str]], Steps]) -> list[str]:
    """The device's log, until the steps are over; it goes on at each of their yields."""
    log: list[str] = []
    going = steps(log)

    def pause(_seconds: float) -> None:
        time.sleep(0.01)
        try:
            next(going)
        except StopIteration:
            raise Unplugged from None

    with contextlib.suppress(Unplugged):
        sample.run(sample.Build(device[0], lab.target), Tags(loaded(lab, device)), log.append, pause=pause)
    return log


def until(condition: Callable[[], object]) -> Steps:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        yield


def told(log: list[str], text: str) -> int:
    """How often."""
    return sum(line.endswith(text) for line in log)


def events(log: list[str]) -> int:
    return told(log, "Event was successfully sent")


@done("sample-events")
def sends(lab: Lab, device_files: Device) -> None:
    def steps(log: list[str]) -> Steps:
        yield from until(lambda: told(log, "Next event will be sent in 20 seconds"))

    operate(lab, device_files, steps)
    (heard,) = lab.running.telemetry(device_files[0])
    body = json.loads(heard.body)
    assert (set(body), type(body["temperature"]), type(body["timestamp"])) == ({"temperature", "timestamp"}, float, int)


@done("sample-interval")
def interval(lab: Lab, device_files: Device) -> None:
    desire(lab, device_files[0], {"telemetryInterval": 1})
    times: list[float] = []

    def steps(log: list[str]) -> Steps:
        times.append(time.monotonic())
        yield from until(lambda: events(log) == 2)
        times.append(time.monotonic())

    log = operate(lab, device_files, steps)
    assert told(log, "Next event will be sent in 1 seconds") == 2
    assert 0.9 < times[1] - times[0] < 10
    assert "telemetryInterval" not in lab.registry.get_twin(device_files[0]).properties.reported


@done("sample-report")
def reports(lab: Lab, device_files: Device) -> None:
    device_id = device_files[0]

    def steps(log: list[str]) -> Steps:
        yield  # the first event is sent
        for number, (wanted, reported, applied) in enumerate(
            (
                (7, 7, True),
                ("30 seconds", 30, True),
                (0, 0, False),
                ("soon", 0, False),
                (-5, 0, False),
                (True, 0, False),
                (None, 0, False),
            ),
            1,
        ):
            before = events(log)
            desire(lab, device_id, {"telemetryInterval": wanted})
            yield from until(lambda: told(log, "AZURE_IOT_HUB_EVT_TWIN_DESIRED_RECEIVED") == number)  # noqa: B023
            yield  # an event would be sent here
            assert lab.registry.get_twin(device_id).properties.reported.get("telemetryInterval") == reported
            assert events(log) - before == applied
        assert told(log, "Next event will be sent in 30 seconds") == 1
        assert told(log, "New telemetry interval has been applied: 0") == 2

    operate(lab, device_files, steps)


@done("sample-led")
def led(lab: Lab, device_files: Device) -> None:
    path = f"/twins/{device_files[0]}/methods"
    with ThreadPoolExecutor() as pool:

        def steps(log: list[str]) -> Steps:
            called = pool.submit(ask, lab, "POST", path, {"methodName": "led", "payload": 1})
            yield from until(called.done)
            assert called.result()[::2] == (200, {"status": 200, "payload": {"it": "worked"}})
            others.append(pool.submit(ask, lab, "POST", path, {"methodName": "beep"}))
            yield from until(lambda: told(log, "Unknown direct method"))
            yield

        others: list[Future[Any]] = []
        log = operate(lab, device_files, steps)
        assert others[0].result()[0] == 404  # the device went away, and had not answered
    assert told(log, "Method name: led") == told(log, "Method name: beep") == told(log, "Payload: 1") == 1


@done("sample-message")
def message(lab: Lab, device_files: Device) -> None:
    def steps(log: list[str]) -> Steps:
        assert send(lab, device_files[0], "hello")[0] == 200
        yield from until(lambda: told(log, "Received payload: hello"))

    assert told(operate(lab, device_files, steps), "AZURE_IOT_HUB_EVT_DATA_RECEIVED") == 1


def boot(lab: Lab, device_id: str, held: Held) -> list[str]:
    """The log of a device that is switched off after its first event, or fails to connect."""
    log: list[str] = []
    with contextlib.suppress(HubError):
        sample.run(sample.Build(device_id, lab.target), Tags(held), log.append)
    return log


@done("sample-roots")
def roots(lab: Lab, device_files: Device) -> None:
    held, other = loaded(lab, device_files), make("Another Root").pem
    good = held[10, ROOT]
    for first, second, trusted in ((good, other, 1), (other, good, 1), (other, other, 0)):
        log = boot(lab, device_files[0], held | {(10, ROOT): first, (11, ROOT): second})
        assert told(log, "AZURE_IOT_HUB_EVT_CONNECTED") == trusted


@done("sample-refused")
def refused(lab: Lab, device_files: Device) -> None:
    lab.registry.delete_device(device_files[0])
    log = boot(lab, device_files[0], loaded(lab, device_files))
    assert told(log, "<err> azure_iot_hub: Connection was rejected with return code 5") == 1
    assert told(log, "<wrn> azure_iot_hub: Is the device certificate valid?") == 1
    assert told(log, "AZURE_IOT_HUB_EVT_CONNECTION_FAILED") == 1
