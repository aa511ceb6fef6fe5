"""The device's side over websockets: heard through port 443, refused for the same reasons, and in words that name that port."""

import dataclasses
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.paper import DAY, Paper, make
from tests.verified import Bench, verified_lab
from thingmint.device.telemetry import send_telemetry
from thingmint.errors import HubError
from thingmint.target import Target

BODY = json.dumps({"temperature": 21.5, "timestamp": 1})


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with verified_lab(tmp_path_factory.mktemp("lab")) as made:
        yield made


def send(
    target: Target, device_id: str, certificate: Paper, folder: Path, *,
    timeout: float = 20, websockets: bool = True, dps: bool = False,
) -> None:  # fmt: skip
    pem, key = folder / "device.chain.pem", folder / "device.key"
    pem.write_bytes(certificate.chain)
    key.write_bytes(certificate.key_pem)
    send_telemetry(
        target, device_id, certificate_chain=pem, key=key, body=BODY, timeout=timeout, websockets=websockets, dps=dps
    )


def test_telemetry_is_heard(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:1")
    send(bench.target, "dev-1", bench.subca.issue("dev-1"), tmp_path)
    assert [heard.body for heard in bench.lab.telemetry("dev-1")] == [BODY]


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("rogue", "refused the device's certificate in the TLS handshake"),
        ("expired", "refused the device's certificate: CN=dev-1"),
        ("unknown", "the certificate is trusted, but this device is not let in"),
        ("stranger", "the server's certificate is not trusted"),
    ],
)
def test_what_is_refused_says_the_same_as_on_8883(case: str, says: str, bench: Bench, tmp_path: Path) -> None:
    target, device_id, certificate = bench.target, "dev-1", bench.subca.issue("dev-1")
    if case == "rogue":
        certificate = make("Intermediate").issue("dev-1")
    elif case == "expired":
        certificate = bench.subca.issue("dev-1", start=-3 * DAY, end=-DAY)
    elif case == "unknown":
        device_id, certificate = "dev-2", bench.subca.issue("dev-2")
    else:
        (tmp_path / "other.pem").write_bytes(make("Other").pem)
        target = dataclasses.replace(target, ca_file=tmp_path / "other.pem")
    with pytest.raises(HubError) as caught:
        send(target, device_id, certificate, tmp_path)
    assert says in caught.value.message


@pytest.mark.parametrize(("websockets", "dps"), [(True, False), (False, False), (False, True)])
def test_a_blocked_port_is_named_and_the_other_suggested(
    websockets: bool, dps: bool, bench: Bench, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = dataclasses.replace(bench.target, mqtt_proxy=silent.getsockname()[:2])
        with pytest.raises(HubError) as caught:
            send(target, "dev-1", bench.subca.issue("dev-1"), tmp_path, timeout=1, websockets=websockets, dps=dps)
    things = "\n".join(caught.value.things_to_try)
    assert f"{bench.target.hub_host}:{443 if websockets else 8883}" in things
    line = f"invoke connect --imei dev-1{' --dps' if dps else ''} --websockets"
    assert (line in things) != websockets
