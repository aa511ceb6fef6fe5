"""Clients that say little or nothing: each request has its time, and they keep neither others out nor the lab's owner."""

import contextlib
import os
import signal
import socket
import ssl
import time
from collections.abc import Iterator

import pytest

from tests.lab.clients import wait_until
from tests.lab.within import asked, in_process
from thingmint.errors import ToolError
from thingmint.lab import control
from thingmint.lab.cloud import door, server, web
from thingmint.lab.state import LabFolder, LabRecord
from thingmint.session import Session

MOST = 8
Clients = list[socket.socket]


@pytest.fixture
def clients() -> Iterator[Clients]:
    opened: Clients = []
    yield opened
    for one in opened:
        one.close()


def connected(folder: LabFolder, port: int, clients: Clients) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(folder.ca))
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    clients.append(context.wrap_socket(plain, server_hostname="localhost"))
    return clients[-1]  # type: ignore[return-value]


def dripped(connection: ssl.SSLSocket, piece: bytes) -> bool:
    """Whether it is ended, although a piece comes now and then."""
    end = time.monotonic() + 15
    connection.settimeout(0.2)
    while time.monotonic() < end:
        try:
            connection.sendall(piece)
            if not connection.recv(1000):
                return True
        except TimeoutError:
            pass
        except OSError:
            return True
    return False


def answered(connection: ssl.SSLSocket, record: LabRecord) -> bool:
    connection.sendall(f"GET /x HTTP/1.1\r\nHost: localhost:{record.https_port}\r\n\r\n".encode())
    got = b""
    while not got.endswith(b"}") and (data := connection.recv(1000)):
        got += data
    return got.startswith(b"HTTP/1.1 501 ")


def test_a_request_has_its_time(folder: LabFolder, clients: Clients, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "_REQUEST_SECONDS", 1.0)

    def watch(record: LabRecord) -> None:
        host = f"Host: localhost:{record.https_port}\r\n".encode()
        for begun, piece in (
            (b"G", b""),
            (b"GET / HTTP/1.1\r\n", b"A: b\r\n"),
            (b"POST /tenant/oauth2/token HTTP/1.1\r\n" + host + b"Content-Length: 900\r\n\r\n", b"x"),
        ):
            connection = connected(folder, record.https_port, clients)
            connection.sendall(begun)
            assert dripped(connection, piece), begun
        wait_until(lambda: folder.log.read_text().count("https: refused a client: it sent no whole request") == 3)
        # Between two whole requests there is more time.
        kept = connected(folder, record.https_port, clients)
        for _ in range(2):
            assert answered(kept, record)
            time.sleep(1.5)

    in_process(folder, watch)


def test_the_owner_is_heard_when_all_doors_are_full(
    folder: LabFolder, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "most_connections", lambda: MOST)
    monkeypatch.setattr(door, "most_connections", lambda: MOST)

    def watch(record: LabRecord) -> None:
        for _ in range(2 * MOST):
            connected(folder, record.https_port, clients).sendall(b"G")
        assert asked(folder, record, "GET", "/lab/health")
        for port in (record.https_port, record.mqtt_port, record.proxy_port):
            clients.extend(socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(2 * MOST))
        assert asked(folder, record, "GET", "/lab/health")
        heard = folder.log.read_text()
        for name in ("https", "proxy", "mqtt"):
            assert f"{name}: refused a connection: it had no claim to its place yet, and gave way" in heard

    in_process(folder, watch)


def test_those_who_were_answered_give_way_to_those_who_ask(
    folder: LabFolder, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "most_connections", lambda: MOST)
    monkeypatch.setattr(door, "most_connections", lambda: MOST)

    def watch(record: LabRecord) -> None:
        for _ in range(4 * MOST):  # all of them stay open
            assert answered(connected(folder, record.https_port, clients), record)

    in_process(folder, watch)


@pytest.mark.parametrize("descriptors", [256, 1024, 4096, 10_240, 1_048_576])
def test_all_doors_together_fit_the_descriptors(descriptors: int) -> None:
    each, page, files = door.share(descriptors), server._MOST_LOOK, 64
    tunnels, inner, outside = 2 * each, 2 * each, each // door.OUTSIDE
    assert 1 <= each <= 1_500
    assert tunnels + inner + outside + page + files <= descriptors


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot stop a process and let it go on")
def test_a_lab_that_takes_no_requests_is_told_with_its_cure(session: Session) -> None:
    running = control.start(session)
    os.kill(running.pid, signal.SIGSTOP)
    try:
        with pytest.raises(ToolError, match="runs and takes no requests") as error:
            control.stop(session)
        assert f"kill {running.pid}" in error.value.things_to_try[1]
    finally:
        os.kill(running.pid, signal.SIGCONT)
    with contextlib.suppress(ToolError):
        wait_until(lambda: control.stop(session))
    assert control.running(session) is None
