"""The device's side against the real lab: what is heard, and why others are not let in."""

import dataclasses
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.paper import DAY, SERVER, Paper, make
from tests.verified import Bench, verified_lab
from thingmint.device.telemetry import send_telemetry
from thingmint.errors import HubError, InputError
from thingmint.target import Target

BODY = json.dumps({"temperature": 21.5, "timestamp": 1})


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with verified_lab(tmp_path_factory.mktemp("lab")) as made:
        yield made


def send(
    target: Target, device_id: str, certificate: Paper, folder: Path, *, timeout: float = 20, chain: bytes = b""
) -> None:
    pem, key = folder / "device.chain.pem", folder / "device.key"
    pem.write_bytes(chain or certificate.chain)
    key.write_bytes(certificate.key_pem)
    send_telemetry(target, device_id, certificate_chain=pem, key=key, body=BODY, timeout=timeout)


def refused(target: Target, device_id: str, certificate: Paper, folder: Path, *, timeout: float = 20) -> HubError:
    before = threading.active_count()
    with pytest.raises(HubError) as caught:
        send(target, device_id, certificate, folder, timeout=timeout)
    assert f"connecting {device_id} to {target.hub_host} failed" in caught.value.message
    assert "PRIVATE KEY" not in caught.value.render()
    assert caught.value.things_to_try
    # Two are the SDK's own, shared by all its clients; none may be left of this one.
    assert threading.active_count() <= max(before, 4)
    return caught.value


@pytest.mark.parametrize("whole_chain", [True, False])
def test_telemetry_is_heard(whole_chain: bool, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:1")
    leaf = bench.subca.issue("dev-1")
    last = max((heard.sequence for heard in bench.lab.telemetry("dev-1")), default=0)
    started = bench.devices.server_time()
    send(bench.target, "dev-1", leaf, tmp_path, chain=b"" if whole_chain else leaf.pem)
    (heard,) = bench.lab.telemetry("dev-1", after=last)
    assert heard.body == BODY
    assert heard.properties["$.ct"] == "application/json"
    assert heard.properties["$.ce"] == "utf-8"
    found = bench.devices.get("dev-1")
    assert found
    assert found.last_activity
    assert found.last_activity >= started


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("rogue", "refused the device's certificate"),
        ("expired", "refused the device's certificate: CN=dev-1"),
        ("server only", "refused the device's certificate"),
    ],
)
def test_certificates_that_the_handshake_refuses(case: str, says: str, bench: Bench, tmp_path: Path) -> None:
    certificate = {
        "rogue": lambda: make("Intermediate").issue("dev-1"),
        "expired": lambda: bench.subca.issue("dev-1", start=-3 * DAY, end=-DAY),
        "server only": lambda: bench.subca.issue("dev-1", purpose=SERVER),
    }[case]()
    error = refused(bench.target, "dev-1", certificate, tmp_path)
    assert says in error.message
    assert any("invoke cas" in thing for thing in error.things_to_try)


def test_an_unverified_ca_is_refused(bench: Bench, tmp_path: Path) -> None:
    other = make("Unverified")
    bench.certificates.upload("cert-unverified", other.pem, etag=None)
    assert "refused the device's certificate" in refused(bench.target, "dev-1", other.issue("dev-1"), tmp_path).message


@pytest.mark.parametrize(("device_id", "name"), [("dev-1", "dev-2"), ("dev-none", "dev-none")])
def test_a_wrong_cn_and_a_missing_identity_are_not_let_in(
    device_id: str, name: str, bench: Bench, tmp_path: Path
) -> None:
    error = refused(bench.target, device_id, bench.subca.issue(name), tmp_path)
    assert "this device is not let in" in error.message
    assert error.status == 401
    assert any(f"CN must be exactly '{device_id}'" in thing for thing in error.things_to_try)
    assert any("lab/lab.log" in thing for thing in error.things_to_try)


def test_a_server_of_another_root_hears_nothing(bench: Bench, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(make("Another root").pem)
    heard = bench.lab.telemetry("dev-1")
    target = dataclasses.replace(bench.target, ca_file=other)
    error = refused(target, "dev-1", bench.subca.issue("dev-1"), tmp_path)
    assert "the server's certificate is not trusted" in error.message
    assert bench.lab.telemetry("dev-1") == heard


def test_a_proxy_that_is_gone(bench: Bench, tmp_path: Path) -> None:
    target = dataclasses.replace(bench.target, mqtt_proxy=("127.0.0.1", 1))
    error = refused(target, "dev-1", bench.subca.issue("dev-1"), tmp_path)
    assert "the proxy for MQTT does not answer" in error.message


def test_a_name_that_does_not_exist(bench: Bench, tmp_path: Path) -> None:
    target = dataclasses.replace(bench.target, hub_host="no-such-hub.invalid", mqtt_proxy=None)
    assert "cannot be resolved" in refused(target, "dev-1", bench.subca.issue("dev-1"), tmp_path).message


def test_silence_ends_in_time(bench: Bench, tmp_path: Path) -> None:
    """A server that takes the connection and says nothing: the worst that a firewall can do."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = dataclasses.replace(bench.target, mqtt_proxy=silent.getsockname()[:2])
        started = time.monotonic()
        error = refused(target, "dev-1", bench.subca.issue("dev-1"), tmp_path, timeout=1)
    assert time.monotonic() - started < 8
    assert "no answer in time" in error.message
    assert any("8883" in thing for thing in error.things_to_try)


def test_unusable_files_are_the_users_matter(bench: Bench, tmp_path: Path) -> None:
    leaf = bench.subca.issue("dev-1")
    pem, key = tmp_path / "chain.pem", tmp_path / "device.key"

    def attempt(certificate: bytes | None, private: bytes | None) -> str:
        for path, data in ((pem, certificate), (key, private)):
            path.unlink(missing_ok=True)
            if data is not None:
                path.write_bytes(data)
        with pytest.raises(InputError) as caught:
            send_telemetry(bench.target, "dev-1", certificate_chain=pem, key=key, body=BODY)
        return caught.value.message

    assert "cannot be read: No such file" in attempt(None, leaf.key_pem)
    assert "cannot be read: No such file" in attempt(leaf.chain, None)
    assert "does not belong to the key" in attempt(leaf.chain, make("x").key_pem)
    assert "cannot be read as PEM" in attempt(b"nonsense", leaf.key_pem)


def test_nothing_is_printed_even_under_invoke_d(bench: Bench, tmp_path: Path) -> None:
    """In a process of its own: the SDK's threads, Python's log handler of last resort, warnings, the end."""
    bench.subca.issue("dev-1").save(tmp_path, "good", bench.subca)
    bench.subca.issue("dev-2").save(tmp_path, "bad", bench.subca)
    values = {name: str(getattr(bench.target, name)) for name in ("hub_host", "ca_file")}
    assert bench.target.mqtt_proxy
    code = f"""
import logging, pathlib, sys
from thingmint.device.telemetry import send_telemetry
from thingmint.errors import HubError
from thingmint.target import Target
logging.getLogger().setLevel(logging.DEBUG)
target = Target("lab", "s", "g", "h", {values["hub_host"]!r}, "https://localhost", "localhost", "p", "localhost",
                ca_file=pathlib.Path({values["ca_file"]!r}), mqtt_proxy=("127.0.0.1", {bench.target.mqtt_proxy[1]}))
folder = pathlib.Path({str(tmp_path)!r})
def send(name):
    send_telemetry(target, "dev-1", certificate_chain=folder / (name + ".pem"), key=folder / (name + ".key"), body="1")
send("good")
try:
    send("bad")
except HubError as error:
    print(error.message)
"""
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "not let in" in done.stdout
    assert time.monotonic() - started < 10
