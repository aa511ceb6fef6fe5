"""A lab whose page is looked at, shared by a file's tests; certificates under it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.clients import Lab, connect_clients
from tests.paper import Paper, make
from thingmint import config
from thingmint.console import Console
from thingmint.lab import control
from thingmint.session import make_session


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    session = make_session(tmp_path_factory.mktemp("page-ws"), config.load({}), Console(), echo=False, dry=False)
    running = control.start(session)
    try:
        yield connect_clients(session, running)
    finally:
        control.stop(session)


@pytest.fixture(scope="module")
def root() -> Paper:
    return make("Development Root CA")


@pytest.fixture(scope="module")
def subca(root: Paper) -> Paper:
    return root.issue("Development Intermediate CA", ca=True)


@pytest.fixture(scope="module")
def trusted(lab: Lab, subca: Paper) -> Paper:
    """The intermediate, uploaded and verified."""
    lab.upload("subca", subca)
    return subca


@pytest.fixture
def device(lab: Lab, trusted: Paper, tmp_path: Path) -> tuple[str, tuple[Path, Path]]:
    """A registered device and its certificate, with the intermediate behind it; ids differ from test to test."""
    device_id = f"thing-{tmp_path.name[:50]}"
    lab.register(device_id)
    return device_id, trusted.issue(device_id).save(tmp_path, "device", trusted)
