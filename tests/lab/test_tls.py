"""One whole handshake for each connection, and nothing kept of it."""

import gc
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from tests.lab.clients import Lab, mqtt_connect, wait_until
from tests.lab.within import in_process
from tests.paper import make
from thingmint.lab.state import LabFolder, LabRecord
from thingmint.target import PROVISIONING_DEVICES

Device = tuple[str, tuple[Path, Path]]


def context_of(ca: Path | None, files: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(ca))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(*files)
    return context


def test_a_session_that_is_offered_is_not_taken_up(lab: Lab, device_files: Device) -> None:
    """A client that remembers its sessions is asked for its certificate like any other, and let in each time."""
    device_id, files = device_files
    context, session = context_of(lab.target.ca_file, files), None
    for _ in range(4):
        plain = socket.create_connection(("127.0.0.1", lab.running.mqtt_port), timeout=5)
        with plain, context.wrap_socket(plain, server_hostname=lab.target.hub_host, session=session) as secured:
            assert not secured.session_reused
            assert mqtt_connect(lab, secured, device_id) == 0
            session = secured.session
            secured.unwrap()  # of a connection that is cut, OpenSSL forgets the session anyway


def test_no_session_is_kept(folder: LabFolder, tmp_path: Path) -> None:
    files = make("anybody", ca=False).save(tmp_path, "anybody")

    def watch(record: LabRecord) -> None:
        context = context_of(folder.ca, files)
        for _ in range(20):
            plain = socket.create_connection(("127.0.0.1", record.mqtt_port), timeout=5)
            with plain, context.wrap_socket(plain, server_hostname=PROVISIONING_DEVICES) as secured:
                secured.unwrap()

        def kept() -> int:
            gc.collect()
            contexts = [one for one in gc.get_objects() if isinstance(one, ssl.SSLContext)]
            return sum(one.session_stats()["number"] for one in contexts)

        wait_until(lambda: not kept())

    in_process(folder, watch)


@pytest.mark.parametrize("door", ["mqtt", "https"])
def test_a_second_handshake_is_refused(lab: Lab, device_files: Device, door: str) -> None:
    _, (certificate, key) = device_files
    port = lab.running.mqtt_port if door == "mqtt" else lab.running.https_port
    argv = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", lab.target.hub_host, "-tls1_2"]
    argv += ["-CAfile", str(lab.target.ca_file), "-cert", str(certificate), "-key", str(key)]
    ended = subprocess.run(argv, input="R\n", capture_output=True, text=True, timeout=20, check=False)
    assert "RENEGOTIATING" in ended.stdout + ended.stderr
    assert "no renegotiation" in ended.stderr
