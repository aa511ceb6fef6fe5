"""A real HTTPS server that answers as planned: refusals, cut bodies, dropped connections, silence; or hands on."""

import datetime as dt
import email.utils
import http.client
import http.server
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tests.paper import Paper
from thingmint.target import Target


@dataclass
class Plan:
    """How to answer, for every request until changed. `then` follows after `times` answers.

    With `hub`, that hub carries the request out first, and status and body are its answer's.
    """

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    manner: Literal["whole", "late", "cut", "drop", "hang"] = "whole"
    clock: dt.timedelta = dt.timedelta()
    hub: Target | None = None
    times: int = 10_000
    then: "Plan | None" = None


class FaultServer(http.server.ThreadingHTTPServer):
    """Answers by `plan` and remembers requests as (method, path)."""

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.plan = Plan()
        self.requests: list[tuple[str, str]] = []
        self.over = threading.Event()
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    @property
    def host(self) -> str:
        return f"localhost:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Handshakes that the client broke off belong to the tests."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: FaultServer
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        self.request.settimeout(10)
        self.request.do_handshake()
        super().setup()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass

    def date_time_string(self, timestamp: float | None = None) -> str:  # noqa: ARG002 - the base class's
        return email.utils.format_datetime(dt.datetime.now(dt.UTC) + self.server.plan.clock, usegmt=True)

    def answer(self) -> None:
        plan = self.server.plan
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.requests.append((self.command, self.path))
        self.close_connection = True
        status, body = self.hand_on(plan.hub, sent) if plan.hub else (plan.status, plan.body)
        plan.times -= 1
        if plan.times == 0 and plan.then:
            self.server.plan = plan.then
        if plan.manner == "hang":
            self.server.over.wait(10)
            return
        if plan.manner == "late":
            self.server.over.wait(2.5)
        if plan.manner == "drop":
            self.request.shutdown(socket.SHUT_RDWR)
            return
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        for name, value in plan.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if plan.manner == "cut" else body)

    def hand_on(self, hub: Target, sent: bytes) -> tuple[int, bytes]:
        context = ssl.create_default_context(cafile=hub.ca_file)
        connection = http.client.HTTPSConnection(hub.registry_host, context=context, timeout=10)
        headers = {name: self.headers[name] for name in ("Authorization", "Content-Type") if name in self.headers}
        connection.request(self.command, self.path, sent, headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body

    do_GET = do_PUT = do_POST = do_DELETE = answer  # noqa: N815 - http.server finds them by name


@contextmanager
def serving(certificate: Paper, folder: Path) -> Iterator[FaultServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate.save(folder, "server"))
    server = FaultServer(context)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
