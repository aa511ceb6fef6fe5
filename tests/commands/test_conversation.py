"""A device's whole conversation as a user rehearses it: the simulated device in one terminal, the tasks in another."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.commands.conftest import IMEI, INVOKE, ROOT, CommandLine
from tests.commands.test_modem import modem
from tests.lab.clients import connect_clients, mqtt_connect, publish_packet, tls, wait_until
from thingmint import config
from thingmint.console import Console
from thingmint.lab import control
from thingmint.session import make_session


@contextmanager
def events(line: CommandLine, *words: str) -> Iterator["subprocess.Popen[str]"]:
    """`invoke events …`, following; ended by Ctrl-C, which is its ordinary end."""
    process = subprocess.Popen(
        [INVOKE, "events", *words],
        cwd=ROOT,
        env=line.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr
        while "following what" not in (told := process.stderr.readline()):
            assert told, "it ended"
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 0, err
        assert err.endswith("no longer following\n")


def until(process: "subprocess.Popen[str]", text: str) -> str:
    """The log up to this text."""
    assert process.stderr
    log = ""
    while text not in log:
        told = process.stderr.readline()
        assert told, f"it ended: {log}"
        log += told
    return log


@pytest.fixture(scope="module")
def loaded(made: CommandLine) -> CommandLine:
    with modem(made) as (port, _):
        made.ok("provision", "--imei", IMEI, "--port", port)
    return made


def test_the_whole_conversation(loaded: CommandLine) -> None:
    with modem(loaded, "--app", "azure_iot_hub") as (_, device), events(loaded, "--imei", IMEI, "--json") as following:
        log = until(device, "Next event will be sent in 20 seconds")
        assert "No 'telemetryInterval' object in the device twin" in log
        done = loaded.ok("twin", "--imei", IMEI, "--set", "telemetryInterval=1", "--json")
        assert json.loads(done.stdout)["pending"] == ["telemetryInterval"]
        assert "it is told at once" in done.stderr
        log = until(device, "Next event will be sent in 1 seconds")
        assert "New telemetry interval has been applied: 1" in log
        until(device, "Next event will be sent in 1 seconds")
        shown = loaded.ok("twin", "--imei", IMEI)
        assert shown.stdout.splitlines() == ["property\tdesired\treported", "telemetryInterval\t1\t1"]
        assert "it has reported all that is desired" in shown.stderr
        called = loaded.ok("method", "--imei", IMEI, "--name", "led", "--payload", "1")
        assert "alone" not in called.stderr
        assert json.loads(called.stdout) == {"status": 200, "payload": {"it": "worked"}}
        log = until(device, "Payload: 1")
        assert "Method name: led" in log
        late = loaded("method", "--imei", IMEI, "--name", "beep", "--timeout", "5")
        assert (late.returncode, late.stdout) == (5, "")
        assert "did not answer in time" in late.stderr
        waits = "(waits up to 5 s; Nordic's azure_iot_hub answers led alone)"
        assert late.stderr.index(waits) < late.stderr.index("error:")
        assert "Things to try:\n  - it may know no method beep: Nordic's azure_iot_hub answers led alone" in late.stderr
        assert "of that name" not in late.stderr
        waiting = subprocess.Popen(
            [INVOKE, "method", "--imei", IMEI, "--name", "beep"],
            cwd=ROOT,
            env=loaded.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        until(device, "Unknown direct method")
        until(device, "Unknown direct method")
        waiting.send_signal(signal.SIGINT)
        out, err = waiting.communicate(timeout=30)
        assert (waiting.returncode, out) == (130, "")
        assert f"the call of beep was sent already: whether {IMEI} carried it out is unknown" in err
        assert "nothing is half done" not in err
        assert following.stdout
        heard = [json.loads(following.stdout.readline()) for _ in range(3)]
        assert {one["deviceId"] for one in heard} == {IMEI}
        assert all("temperature" in json.loads(one["body"]) for one in heard)
    gone = loaded("method", "--imei", IMEI, "--name", "led")
    assert gone.returncode == 5
    assert "the device is not connected, or takes no calls" in gone.stderr
    assert "invoke modem --imei ID --app azure_iot_hub" in gone.stderr


def test_what_is_desired_of_a_device_that_is_away_reaches_it_later(loaded: CommandLine) -> None:
    done = loaded.ok("twin", "--imei", IMEI, "--set", "telemetryInterval=2", "--set", "mode=quiet")
    assert "it is not connected: it asks when it connects next" in done.stderr
    with modem(loaded, "--app", "azure_iot_hub") as (_, device):
        until(device, "Next event will be sent in 2 seconds")
    removed = loaded.ok("twin", "--imei", IMEI, "--set", "mode=null", "--set", "telemetryInterval=null")
    assert "nothing is desired of it" in removed.stderr


@pytest.mark.parametrize(
    ("value", "shown"),
    [("0", "0"), ("-3", "-3"), ("abc", '"abc"'), ("true", "true"), ("2.5", "2.5"), ('"7"', '"7"')],
)
def test_an_interval_that_the_sample_does_not_take_is_told(loaded: CommandLine, value: str, shown: str) -> None:
    done = loaded.ok("twin", "--imei", IMEI, "--set", f"telemetryInterval={value}")
    assert "not reported as desired: telemetryInterval; " in done.stderr
    hint = f"telemetryInterval is desired to be {shown}: Nordic's azure_iot_hub takes a number of whole seconds, at least 1"
    assert hint in done.stderr
    assert "next:" not in done.stderr
    removed = loaded.ok("twin", "--imei", IMEI, "--set", "telemetryInterval=null")
    assert "Nordic's" not in removed.stderr


def test_where_nothing_is_desired_or_reported_there_is_no_table(loaded: CommandLine) -> None:
    loaded.ok("device", "--imei", "fresh")
    shown = loaded.ok("twin", "--imei", "fresh")
    assert shown.stdout == ""
    assert "nothing is desired of it" in shown.stderr


def test_a_lab_that_goes_away_ends_the_device_with_a_reason(loaded: CommandLine) -> None:
    process = subprocess.Popen(
        [INVOKE, "modem", "--imei", IMEI, "--app", "azure_iot_hub"],
        cwd=ROOT,
        env=loaded.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(process, "Next event")
    loaded.ok("lab-down")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 5, err
    assert "AZURE_IOT_HUB_EVT_DISCONNECTED" in err
    stopped = (
        f"error: the lab in {loaded.workspace / 'lab'} was stopped.\nThings to try:\n  - start it again: invoke lab-up"
    )
    assert stopped in err
    assert "another client" not in err


def test_events_end_with_their_lab_and_say_so(loaded: CommandLine) -> None:
    following = subprocess.Popen(
        [INVOKE, "events"],
        cwd=ROOT,
        env=loaded.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(following, "following what")
    loaded.ok("lab-down")
    _, err = following.communicate(timeout=30)
    assert following.returncode == 5, err
    assert err.startswith(f"error: the lab in {loaded.workspace / 'lab'} was stopped.\n")
    assert "start it again: invoke lab-up" in err


def test_events_of_all_devices_are_lines_for_people(loaded: CommandLine) -> None:
    with events(loaded) as following:
        time.sleep(0.5)
        sent = loaded.ok("connect", "--imei", IMEI).stdout.strip()
        assert following.stdout
        line = following.stdout.readline().rstrip("\n")
    assert re.fullmatch(rf"\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d  {IMEI}  {re.escape(sent)}", line)
    wait_until(lambda: following.poll() is not None)


@contextmanager
def speaking(line: CommandLine) -> Iterator[Callable[[bytes], None]]:
    """The device by bare MQTT: what is handed over is sent, and acknowledged by the hub."""
    session = make_session(line.workspace, config.load({}), Console())
    running = control.running(session)
    assert running
    lab = connect_clients(session, running)
    folder = line.workspace / "devices"
    with tls(lab, (folder / f"{IMEI}.chain.pem", folder / f"{IMEI}.key")) as wire:
        assert mqtt_connect(lab, wire, IMEI) == 0

        def send(body: bytes) -> None:
            wire.sendall(publish_packet(f"devices/{IMEI}/messages/events/", body))
            assert wire.recv(4)

        yield send


def test_a_body_that_is_no_text_is_given_to_the_byte(loaded: CommandLine) -> None:
    loaded.ok("lab-up")
    with events(loaded, "--json") as as_json, events(loaded) as for_people, speaking(loaded) as send:
        for body in (b"\xff\x00caf\xc3\xa9\n", "café\u202e\n".encode()):
            send(body)
        assert as_json.stdout
        assert for_people.stdout
        binary, text = (json.loads(as_json.stdout.readline()) for _ in range(2))
        shown = [for_people.stdout.readline().rstrip("\n").split("  ", 2)[2] for _ in range(2)]
    assert (binary["bodyBase64"], "body" in binary) == ("/wBjYWbDqQo=", False)
    assert (text["body"], "bodyBase64" in text) == ("café\u202e\n", False)
    assert shown == [r"\xff\x00café\n", r"café\u202e\n"]


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell closes a stream")
@pytest.mark.parametrize("words", ["twin --set a=1", "method --name led", "events"])
def test_a_closed_stdout_is_told_before_anything_is_done(bare: CommandLine, words: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f"exec '{INVOKE}' {words} --imei {IMEI} >&-"], cwd=ROOT, env=bare.environment, check=False,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "stdout is closed, so that nothing can be shown" in done.stderr
    assert not bare.workspace.exists()


@pytest.mark.skipif(os.name == "nt", reason="there it is noticed at the next event")
def test_a_reader_that_goes_away_is_noticed_without_an_event(loaded: CommandLine) -> None:
    with subprocess.Popen(
        [INVOKE, "events"], cwd=ROOT, env=loaded.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        until(process, "following what")
        assert process.stdout
        process.stdout.close()
        assert process.wait(10) == 141
        assert process.stderr
        assert process.stderr.read() == ""


@pytest.mark.skipif(os.name == "nt", reason="there is no such signal to send")
@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_kill_and_a_closed_terminal_are_no_ordinary_end(loaded: CommandLine, name: str, code: int) -> None:
    with subprocess.Popen(
        [INVOKE, "events"], cwd=ROOT, env=loaded.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        until(process, "following what")
        process.send_signal(getattr(signal, name))
        assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == code


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux alone has a full device to write to")
def test_a_stdout_that_is_full_is_no_fault_of_the_workspace(loaded: CommandLine) -> None:
    with Path("/dev/full").open("w") as full:
        process = subprocess.Popen(
            [INVOKE, "events"], cwd=ROOT, env=loaded.environment, stdout=full, stderr=subprocess.PIPE, text=True
        )
        until(process, "following what")
        loaded.ok("connect", "--imei", IMEI)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 3
    assert "error: stdout cannot be written: No space left on device. What was to be shown last is lost." in err
    assert "make room where it goes, or send it elsewhere" in err
    assert "Exception" not in err


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (["twin"], "no device id was given"),
        (["twin", "--imei", IMEI, "--set", "telemetryInterval"], "is no NAME=VALUE"),
        (["twin", "--imei", IMEI, "--set", "=5"], "is no NAME=VALUE"),
        (["twin", "--imei", IMEI, "--set", "a.b=5"], "properties: the name 'a.b' has '.'"),
        (["twin", "--imei", IMEI, "--set", 'a={"$b": 1}'], "the name '$b' in a has '$'"),
        (["twin", "--imei", IMEI, "--set", f"a={'[' * 12}{']' * 12}"], "lies deeper than 10 levels"),
        (["twin", "--imei", IMEI, "--set", f"a={'[' * 100_000}"], "begins as JSON, and is none"),
        (["twin", "--imei", IMEI, "--set", f"a={'x' * 4097}"], "maximum 4096 bytes"),
        (["twin", "--imei", IMEI, "--set", "a=4503599627370496"], "properties: a is not between"),
        (["twin", "--imei", IMEI, "--set", "a=4503599627370496"], "a larger number goes as a text: --set 'NAME=\"4503"),
        (["twin", "--imei", IMEI, "--set", "a=1e400"], "'1e400' is no JSON number"),
        (["twin", "--imei", IMEI, "--set", f"a={'9' * 5000}"], "is no JSON number"),
        (["twin", "--imei", IMEI, "--set"], "--set wants a value; nothing was done"),
        (["rootca", "twin", "--imei", IMEI, "--set"], "--set wants a value; nothing was done"),
        (["twin", "--imei", IMEI, "--set", f"a={json.dumps(['x' * 4000] * 9)}"], "32768 are the limit"),
        (["twin", "--imei", IMEI, "--set", "a=\udcff"], "is no text"),
        (["twin", "--imei", IMEI, "--set", 'a="\\ud800"'], "is no text"),
        (["method", "--imei", IMEI], "no method was named"),
        (["method", "--imei", IMEI, "--name", "led", "--timeout", "4"], "from 5 to 300"),
        (["method", "--imei", IMEI, "--name", "led", "--timeout", "soon"], "from 5 to 300"),
        (["method", "--imei", IMEI, "--name", "led", "--payload", "{not json"], "begins as JSON, and is none"),
        (["events", "--imei", "../x"], "device id"),
    ],
)
def test_wrong_input_is_told_before_anything_is_asked(bare: CommandLine, words: list[str], part: str) -> None:
    done = bare(*words)
    assert done.returncode == 2
    assert part in done.stderr
    assert not bare.workspace.exists()


def test_a_device_that_nobody_knows_is_not_waited_for(bare: CommandLine) -> None:
    done = bare("events", "--imei", "nobody")
    assert done.returncode == 2
    assert "there is no device nobody on iot-hub001-0xacc5-dev." in done.stderr


def test_dry_asks_nobody(bare: CommandLine) -> None:
    for words in (["twin", "--set", "a=1"], ["method", "--name", "led"], ["events"]):
        done = bare.ok("--dry", *words, "--imei", IMEI)
        assert "would " in done.stderr
        assert IMEI in done.stderr
    assert not bare.workspace.exists()


@pytest.mark.skipif(find_spec("azure.eventhub") is not None, reason="the extra is installed here")
def test_events_on_azure_name_the_extra_that_they_need(bare: CommandLine) -> None:
    done = bare("events", THINGMINT_TARGET="azure")
    assert done.returncode == 2
    assert '-m pip install -e ".[events]"' in done.stderr
