"""For the hub's tests: a lab, or a server that answers as planned, shared by a module; no proxy of the developer's."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub.clients import KINDS, at, open_kind
from tests.hub.faults import FaultServer, Plan, serving
from tests.paper import SERVER, Paper, make
from thingmint import config
from thingmint.console import Console
from thingmint.hub import transport
from thingmint.hub.credentials import open_credential
from thingmint.hub.identity import Registry
from thingmint.lab import control
from thingmint.lab.control import RunningLab
from thingmint.session import Session, make_session
from thingmint.target import Target


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(scope="module")
def lab_session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    return make_session(tmp_path_factory.mktemp("lab"), config.load({}), Console())


@pytest.fixture(scope="module")
def lab(lab_session: Session) -> Iterator[RunningLab]:
    yield control.start(lab_session)
    control.stop(lab_session)


@pytest.fixture(scope="module")
def target(lab: RunningLab, lab_session: Session) -> Target:
    return lab.target(lab_session.settings)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("papers")


@pytest.fixture(scope="module", params=KINDS)
def devices(request: pytest.FixtureRequest, target: Target) -> Iterator[Registry]:
    opened = open_kind(request.param, target, open_credential(target))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def root() -> Paper:
    return make("The tests' root")


@pytest.fixture(scope="module")
def _server(root: Paper, folder: Path) -> Iterator[FaultServer]:
    with serving(root.issue("localhost", host="localhost", purpose=SERVER), folder) as server:
        yield server


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """As often as ever, and at once: 2 s a time otherwise."""
    monkeypatch.setattr(transport, "_PASSING_PAUSES", (0.0,) * len(transport._PASSING_PAUSES))


@pytest.fixture
def server(_server: FaultServer) -> FaultServer:
    _server.plan = Plan()
    _server.requests.clear()
    return _server


@pytest.fixture
def azure(server: FaultServer, root: Paper, folder: Path) -> Target:
    """As a hub on Azure would be configured, but answered by the tests' server."""
    ca_file = folder / "root.pem"
    ca_file.write_bytes(root.pem)
    return at(server.host, ca_file)
