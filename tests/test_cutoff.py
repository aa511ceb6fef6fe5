"""A connection that drops after the server committed: at every request of the way, and running again finishes it."""

import dataclasses
import http.client
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.conftest import MakeSession
from tests.pki.test_authority import make_both
from tests.pki.test_faults import require_whole
from thingmint.config import Settings
from thingmint.errors import HubError
from thingmint.lab import control
from thingmint.lab.control import RunningLab
from thingmint.lab.state import LabFolder
from thingmint.session import Session
from thingmint.target import Target
from thingmint.workflows import targets
from thingmint.workflows.authority import authorities
from thingmint.workflows.device import devices


class Cutter(ThreadingHTTPServer):
    """Passes requests on to the lab, and hangs up instead of answering the n-th, which the lab has carried out."""

    daemon_threads = True

    def __init__(self, lab: RunningLab) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.lab, self.cut_at, self.seen = lab, 0, 0
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(LabFolder(lab.folder).server_key)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.upstream = ssl.create_default_context(cafile=str(LabFolder(lab.folder).ca))

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that the cut surprised hangs up as well."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Cutter

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        lab = http.client.HTTPSConnection("localhost", self.server.lab.https_port, context=self.server.upstream)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        lab.request(self.command, self.path, body, headers)
        response = lab.getresponse()
        content = response.read()
        lab.close()
        self.server.seen += 1
        if self.server.seen == self.server.cut_at:
            self.close_connection = True
            return
        self.send_response_only(response.status)
        for name, value in response.getheaders():
            if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_DELETE = answer  # noqa: N815 - http.server's names

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def lab_session(tmp_path: Path, make_session_in: MakeSession) -> Iterator[Session]:
    session = make_session_in(tmp_path / "ws", pki_key="ec:P-256")
    make_both(session)
    control.start(session)
    yield session
    control.stop(session)


@pytest.fixture
def cutter(lab_session: Session, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cutter]:
    """Stands between the SDKs and the lab: ARM and registry only; the token endpoint stays the lab's own."""
    lab = control.running(lab_session)
    assert lab
    server = Cutter(lab)
    port = server.server_address[1]
    straight = RunningLab.target

    def through_the_cutter(self: RunningLab, settings: Settings) -> Target:
        return dataclasses.replace(
            straight(self, settings), arm_url=f"https://localhost:{port}", registry_host=f"localhost:{port}"
        )

    monkeypatch.setattr(RunningLab, "target", through_the_cutter)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def step(session: Session, run: str) -> None:
    if run == "verify":
        authorities.verify(session)
    else:
        devices.device(session, imei="cut-off")


def cut_each_request(session: Session, cutter: Cutter, run: str) -> int:
    """Cut at 1, 2, 3 … until a run gets through untouched; returns how many requests were cut."""
    for cut_at in range(1, 20):
        hub = targets.open_hub(session)
        if run == "verify":
            for one in hub.certificates.list():
                hub.certificates.delete(one.name, etag=one.etag)
        else:
            for device in hub.registry.list():
                hub.registry.delete(device.device_id)
        cutter.seen, cutter.cut_at = 0, cut_at
        try:
            step(session, run)
        except HubError as error:
            assert "run the same command again" in error.render()
            cutter.cut_at = 0
            step(session, run)
        if cutter.seen < cut_at:
            return cut_at - 1
        hub = targets.open_hub(session)
        if run == "verify":
            assert [one.verified for one in hub.certificates.list()] == [True]
            assert not (session.workspace.ca / "subca/proof.key").exists()
        else:
            assert [one.device_id for one in hub.registry.list()] == ["cut-off"]
    pytest.fail("no run got through")


@pytest.mark.parametrize(("run", "at_least"), [("verify", 4), ("device", 2)])
def test_running_again_finishes_what_a_cut_left(lab_session: Session, cutter: Cutter, run: str, at_least: int) -> None:
    assert cut_each_request(lab_session, cutter, run) >= at_least
    require_whole(lab_session, devices=[])
