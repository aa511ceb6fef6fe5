"""One lab for the whole session, and certificates under it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.account import Account
from tests.lab.clients import Lab, connect_clients
from tests.lab.provisioning import Service
from tests.paper import Paper, make
from thingmint import config
from thingmint.console import Console
from thingmint.lab import control
from thingmint.lab.state import LabFolder
from thingmint.session import Session, make_session


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    session = make_session(tmp_path_factory.mktemp("lab-ws"), config.load({}), Console(), echo=False, dry=False)
    running = control.start(session)
    try:
        yield connect_clients(session, running)
    finally:
        control.stop(session)


@pytest.fixture(scope="session")
def root() -> Paper:
    return make("Test Root")


@pytest.fixture(scope="session")
def subca(root: Paper) -> Paper:
    return root.issue("Test SubCA", ca=True)


@pytest.fixture
def trusted(lab: Lab, subca: Paper) -> Iterator[Paper]:
    """The intermediate, uploaded and verified while a test runs."""
    lab.upload("subca", subca)
    yield subca
    if any(
        one.name == "subca"
        for one in lab.arm.certificates.list_by_iot_hub(lab.target.resource_group, lab.target.hub).value
    ):
        lab.delete_certificate("subca")


@pytest.fixture
def device_files(trusted: Paper, tmp_path: Path, lab: Lab) -> tuple[str, tuple[Path, Path]]:
    """A registered device and its certificate; ids differ from test to test."""
    device_id = f"thing-{tmp_path.name}"
    lab.register(device_id)
    return device_id, trusted.issue(device_id).save(tmp_path, "device")


@pytest.fixture
def provisioning(lab: Lab) -> Iterator[Service]:
    """The provisioning service, empty before and after."""
    service = Service(lab)
    yield service
    service.empty()


@pytest.fixture(scope="package")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    session = make_session(tmp_path_factory.mktemp("empty"), config.load({}), Console())
    try:
        yield Account(session)
    finally:
        control.stop(session)


@pytest.fixture
def account(opened: Account) -> Iterator[Account]:
    """Nothing stands in it."""
    yield opened
    for group in opened.resources.resource_groups.list():
        opened.resources.resource_groups.begin_delete(str(group.name)).result()


@pytest.fixture
def folder(tmp_path: Path, session: Session) -> LabFolder:
    """For a lab of the test's own."""
    made = LabFolder(tmp_path / "lab")
    made.make(session.shell)
    return made
