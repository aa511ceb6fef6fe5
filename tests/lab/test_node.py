"""A client in another language, unmodified: Microsoft's device SDK for Node.js."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.lab.clients import Lab, wait_until
from tests.lab.provisioning import Service
from tests.paper import Paper, make
from thingmint.target import PROVISIONING_DEVICES

FOLDER = Path(__file__).parent.parent / "node"
NODE = shutil.which("node")

pytestmark = [
    pytest.mark.node,
    pytest.mark.skipif(NODE is None, reason="there is no node here"),
    pytest.mark.skipif(
        not (FOLDER / "node_modules/azure-iot-provisioning-device").is_dir(), reason="run `make node-client`"
    ),
]

Device = tuple[str, tuple[Path, Path]]


def run(lab: Lab, program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    assert NODE
    environment = {
        **os.environ,
        "NODE_EXTRA_CA_CERTS": str(lab.target.ca_file),
        "HTTPS_PROXY": f"http://127.0.0.1:{lab.running.proxy_port}",
    }
    return subprocess.run(
        [NODE, FOLDER / program, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def send(lab: Lab, device_id: str, files: tuple[Path, Path], body: str) -> subprocess.CompletedProcess[str]:
    return run(lab, "send.js", lab.target.hub_host, device_id, *files, body)


def test_its_telemetry_is_heard(lab: Lab, device_files: Device) -> None:
    device_id, files = device_files
    done = send(lab, device_id, files, '{"temperature":21.5}')
    assert (done.returncode, done.stdout, done.stderr) == (0, "sent\n", "")
    assert [heard.body for heard in lab.running.telemetry(device_id)] == ['{"temperature":21.5}']
    wait_until(lambda: lab.registry.get_device(device_id).connection_state == "Disconnected")


def test_it_is_refused_with_anothers_certificate(
    lab: Lab, trusted: Paper, device_files: Device, tmp_path: Path
) -> None:
    device_id, _ = device_files
    other = trusted.issue("somebody-else").save(tmp_path, "other")
    rogue = make("Rogue CA").issue(device_id).save(tmp_path, "rogue")
    for files, reason in ((other, "is not the device id"), (rogue, "unknown issuer")):
        heard = lab.mark()
        done = send(lab, device_id, files, "never heard")
        assert done.returncode == 1
        assert "Error" in done.stderr
        assert reason in heard()
    assert lab.running.telemetry(device_id) == []


def test_it_registers_and_is_heard_by_the_hub_it_was_assigned_to(
    lab: Lab, provisioning: Service, subca: Paper, tmp_path: Path
) -> None:
    provisioning.upload("subca", subca)
    provisioning.enroll_group("node")
    files = subca.issue("node-1").save(tmp_path, "leaf")
    done = run(lab, "register.js", PROVISIONING_DEVICES, provisioning.id_scope, "node-1", *files)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{lab.target.hub_host} node-1\n", "")
    assert send(lab, "node-1", files, "assigned").stdout == "sent\n"
    assert [heard.body for heard in lab.running.telemetry("node-1")] == ["assigned"]
