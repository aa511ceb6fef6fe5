"""A device that registers at the lab's provisioning service: assigned and heard, or told why not."""

import dataclasses
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.paper import DAY, Paper, make
from tests.verified import Gate, enrolled, verified_lab
from thingmint.device.registration import Assignment, register
from thingmint.device.telemetry import send_telemetry
from thingmint.errors import HubError, InputError


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    with verified_lab(tmp_path_factory.mktemp("lab")) as bench, enrolled(bench) as made:
        yield made


def come_in(
    gate: Gate, name: str, paper: Paper, folder: Path, *, timeout: float = 20, id_scope: str = ""
) -> Assignment:
    pem, key = paper.save(folder, "device", *([paper.issuer] if paper.issuer and paper.issuer.issuer else []))
    return register(gate.target, id_scope or gate.id_scope, name, certificate_chain=pem, key=key, timeout=timeout)


def refused(gate: Gate, name: str, paper: Paper, folder: Path, *, id_scope: str = "") -> HubError:
    before = threading.active_count()
    with pytest.raises(HubError, match=f"registering {name} at global.azure-devices-provisioning.net failed") as caught:
        come_in(gate, name, paper, folder, id_scope=id_scope)
    assert "PRIVATE KEY" not in caught.value.render()
    assert caught.value.things_to_try
    # Two are the SDK's own, shared by all its clients; none may be left of this one.
    assert threading.active_count() <= max(before, 4)
    return caught.value


def test_a_device_comes_in_and_is_heard(gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:1")
    paper = gate.bench.subca.issue("new-1")
    assert gate.bench.devices.get("new-1") is None
    assert come_in(gate, "new-1", paper, tmp_path) == Assignment(gate.target.hub_host, "new-1")
    found = gate.bench.devices.get("new-1")
    assert found
    assert found.status == "enabled"
    send_telemetry(
        gate.target, "new-1", certificate_chain=tmp_path / "device.pem", key=tmp_path / "device.key", body="1"
    )
    assert [heard.body for heard in gate.bench.lab.telemetry("new-1")] == ["1"]
    (state,) = gate.enrollments.registrations("subca")
    assert (state.registration_id, state.status, state.hub) == ("new-1", "assigned", gate.target.hub_host)
    assert gate.enrollments.registration("NEW-1") == dataclasses.replace(state, group_id="")
    assert come_in(gate, "new-1", paper, tmp_path).device_id == "new-1"  # as often as it starts


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("no enrollment", "did not let it in"),
        ("expired", "refused the device's certificate: CN=dev-1"),
        ("another's certificate", "did not let it in"),
        ("a wrong id scope", "is not there under that name"),
    ],
)
def test_who_is_not_let_in(case: str, says: str, gate: Gate, tmp_path: Path) -> None:
    subca = gate.bench.subca
    paper = {
        "no enrollment": lambda: make("Intermediate").issue("dev-1"),
        "expired": lambda: subca.issue("dev-1", start=-3 * DAY, end=-DAY),
        "another's certificate": lambda: subca.issue("dev-2"),
    }.get(case, lambda: subca.issue("dev-1"))()
    scope = "0ne00000000" if case == "a wrong id scope" else ""
    error = refused(gate, "dev-1", paper, tmp_path, id_scope=scope)
    assert says in error.message
    assert any("invoke enroll" in thing for thing in error.things_to_try)


def test_a_blocked_device_stays_out_until_it_is_freed(gate: Gate, tmp_path: Path) -> None:
    paper = gate.bench.subca.issue("out-1")
    blocked = gate.enrollments.block("out-1", paper.pem)
    error = refused(gate, "out-1", paper, tmp_path)
    assert "heard the device, and did not let it in" in error.message
    assert any("not blocked: invoke enrollments" in thing for thing in error.things_to_try)
    assert gate.bench.devices.get("out-1") is None
    now = gate.enrollments.individual("out-1")
    assert now
    assert now.status == blocked.status
    gate.enrollments.delete_individual("out-1", etag=now.etag)
    assert come_in(gate, "out-1", paper, tmp_path).device_id == "out-1"


def test_silence_ends_in_time(gate: Gate, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = dataclasses.replace(gate.target, mqtt_proxy=silent.getsockname()[:2])
        started = time.monotonic()
        with pytest.raises(HubError, match="no answer in time; the device may be registered") as caught:
            come_in(dataclasses.replace(gate, bench=dataclasses.replace(gate.bench, target=target)), "dev-1",
                    gate.bench.subca.issue("dev-1"), tmp_path, timeout=1)  # fmt: skip
    assert time.monotonic() - started < 10
    assert "where a network blocks 8883: invoke connect --imei dev-1 --dps --websockets" in caught.value.things_to_try


def test_a_key_of_another_certificate_is_the_users_matter(gate: Gate, tmp_path: Path) -> None:
    pem, key = gate.bench.subca.issue("dev-1").save(tmp_path, "device")
    key.write_bytes(make("x").key_pem)
    with pytest.raises(InputError, match="does not belong to the key"):
        register(gate.target, gate.id_scope, "dev-1", certificate_chain=pem, key=key)


def test_nothing_is_printed_and_the_process_ends(gate: Gate, tmp_path: Path) -> None:
    gate.bench.subca.issue("new-2").save(tmp_path, "good", gate.bench.subca)
    assert gate.target.mqtt_proxy
    code = f"""
import logging, pathlib
from thingmint.device.registration import register
from thingmint.errors import HubError
from thingmint.target import Target
logging.getLogger().setLevel(logging.DEBUG)
target = Target("lab", "s", "g", "h", {gate.target.hub_host!r}, "https://localhost", "localhost", "p", "localhost",
                ca_file=pathlib.Path({str(gate.target.ca_file)!r}), mqtt_proxy=("127.0.0.1", {gate.target.mqtt_proxy[1]}))
files = {{name: pathlib.Path({str(tmp_path)!r}) / end for name, end in (("certificate_chain", "good.pem"), ("key", "good.key"))}}
print(register(target, {gate.id_scope!r}, "new-2", **files).device_id)
try:
    register(target, {gate.id_scope!r}, "other", **files)
except HubError as error:
    print(error.message)
"""
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("new-2\nregistering other at")
    assert time.monotonic() - started < 15
