"""Between this machine and the hub: broken, silent, untrusted, nobody there, a proxy; by a real server."""

import dataclasses
import time
from pathlib import Path
from typing import Any

import pytest

from tests.hub.clients import CLIENTS, at, refused
from tests.hub.faults import FaultServer, Plan, serving
from tests.paper import DAY, SERVER, Paper, make
from thingmint.hub import transport
from thingmint.target import Target


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("manner", ["cut", "drop"])
def test_a_broken_connection_may_have_done_it(manner: Any, client: str, server: FaultServer, azure: Target) -> None:
    server.plan = Plan(200, {"deviceId": "dev-1", "filler": "x" * 400}, manner=manner)
    error = refused(client, azure)
    assert "broke before the answer was complete; the step may have been carried out" in error.message
    assert "run the same command again" in error.things_to_try[0]
    assert len(server.requests) == 4  # such a fault is over in a moment, as a rule


@pytest.mark.parametrize("client", CLIENTS)
def test_silence_ends_in_time(client: str, server: FaultServer, azure: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "READ_SECONDS", 0.3)
    server.plan = Plan(manner="hang")
    started = time.monotonic()
    assert "did not answer in time; the step may have been carried out" in refused(client, azure).message
    assert time.monotonic() - started < 3
    assert len(server.requests) == 1


@pytest.mark.parametrize("client", CLIENTS)
def test_a_server_of_an_unknown_root(client: str, azure: Target, folder: Path) -> None:
    other = folder / "other.pem"
    other.write_bytes(make("Another root").pem)
    started = time.monotonic()
    error = refused(client, dataclasses.replace(azure, ca_file=other))
    assert "is not trusted" in error.message
    assert "unable to get local issuer certificate" in error.detail
    assert "REQUESTS_CA_BUNDLE" in error.render()
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("client", CLIENTS)
def test_an_expired_server(client: str, root: Paper, tmp_path: Path, azure: Target) -> None:
    expired = root.issue("localhost", host="localhost", purpose=SERVER, start=-3 * DAY, end=-DAY)
    with serving(expired, tmp_path) as server:
        assert azure.ca_file
        error = refused(client, at(server.host, azure.ca_file))
    assert "is not trusted" in error.message
    assert "expired" in error.detail


@pytest.mark.parametrize("client", CLIENTS)
def test_nobody_listens(client: str, azure: Target) -> None:
    gone = dataclasses.replace(azure, arm_url="https://localhost:1", registry_host="localhost:1")
    assert "cannot be reached" in refused(client, gone).message
    error = refused(client, dataclasses.replace(gone, kind="lab"))
    assert "the lab at localhost:1 is not running" in error.message
    assert error.things_to_try == ("start it: invoke lab-up",)


@pytest.mark.parametrize("client", CLIENTS)
def test_no_such_name(client: str, azure: Target) -> None:
    host = "no-such-hub.invalid"
    error = refused(client, dataclasses.replace(azure, arm_url=f"https://{host}", registry_host=host))
    assert "cannot be resolved" in error.message
    assert host in error.message


@pytest.mark.parametrize("client", CLIENTS)
def test_a_proxy_that_does_not_answer(client: str, azure: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    assert "check HTTPS_PROXY and NO_PROXY" in refused(client, azure).things_to_try


@pytest.mark.parametrize("client", CLIENTS)
def test_loopback_never_goes_through_a_proxy(
    client: str, server: FaultServer, azure: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:1")
    server.plan = Plan(501)
    error = refused(client, dataclasses.replace(azure, kind="lab"))
    assert "the lab does not do this" in error.message


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("client", CLIENTS)
def test_a_proxys_html_page_is_shown_as_text(client: str, server: FaultServer, azure: Target) -> None:
    server.plan = Plan(502, b"<html><body><h1>Bad gateway</h1></body></html>")
    error = refused(client, azure)
    assert error.status == 502
    assert "Bad gateway" in error.detail
    assert "<h1>" not in error.detail


@pytest.mark.parametrize("client", CLIENTS)
def test_an_answer_of_somebody_else(client: str, server: FaultServer, azure: Target) -> None:
    server.plan = Plan(200, b"<html>Welcome to the guest network</html>")
    assert "something on the way speaks in its place" in refused(client, azure).message
