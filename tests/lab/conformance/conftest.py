"""What several exercises look at, made once; and no devices left behind."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.iot.hub.models import Twin

from tests.lab.clients import Lab, connect_clients
from tests.lab.conformance.chaos import Storm, storm
from tests.lab.test_listen import ADDRESS
from tests.paper import Paper
from thingmint import config
from thingmint.console import Console
from thingmint.lab import control, listen
from thingmint.session import make_session


@pytest.fixture(scope="package", autouse=True)
def _no_devices_left(lab: Lab) -> Iterator[None]:
    yield
    for device in lab.registry.get_devices(1000):
        lab.registry.delete_device(device.device_id)


@pytest.fixture(scope="package")
def throttled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Another lab, with `lab.throttle`."""
    settings = config.load({"THINGMINT_LAB_THROTTLE": "true"})
    session = make_session(tmp_path_factory.mktemp("throttled"), settings, Console(), echo=False, dry=False)
    running = control.start(session)
    try:
        yield connect_clients(session, running)
    finally:
        control.stop(session)


@pytest.fixture(scope="package")
def stormy(tmp_path_factory: pytest.TempPathFactory, subca: Paper) -> Iterator[Storm]:
    """Another lab, with --chaos."""
    session = make_session(tmp_path_factory.mktemp("stormy"), config.load({}), Console(), echo=False, dry=False)
    with storm(session, subca) as made:
        yield made


@pytest.fixture(scope="package")
def heard_outside(tmp_path_factory: pytest.TempPathFactory, subca: Paper) -> Iterator[Lab]:
    """Another lab, with --listen; it knows the device `conf-outside`."""
    if not ADDRESS:
        pytest.skip("this machine has no address but its own loopback")
    session = make_session(tmp_path_factory.mktemp("outside"), config.load({}), Console(), echo=False, dry=False)
    running = control.start(session, listen=listen.parse(ADDRESS))
    try:
        lab = connect_clients(session, running)
        lab.upload("subca", subca)
        lab.register("conf-outside")
        yield lab
    finally:
        control.stop(session)


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Lab]:
    """A lab for what cannot be taken back."""
    session = make_session(tmp_path / "alone", config.load({}), Console(), echo=False, dry=False)
    try:
        yield connect_clients(session, control.start(session))
    finally:
        control.stop(session)


@pytest.fixture(scope="package")
def places(lab: Lab) -> Lab:
    """A lab with three devices to ask for: two in the US, the second of them disabled, and one in the EU."""
    for number, region in enumerate(("US", "US", "EU")):
        device_id = f"conf-query-{number}"
        lab.register(device_id, status="disabled" if number == 1 else "enabled")
        tags = {"conf": {"region": region, "group": number}}
        lab.registry.update_twin(device_id, Twin(tags=tags, properties={"desired": {"interval": 60 + number}}))
    return lab
