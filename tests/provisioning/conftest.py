"""One desk for each file of tests."""

from collections.abc import Iterator

import pytest

from tests.provisioning.desk import Desk
from thingmint import config
from thingmint.console import Console
from thingmint.lab import control
from thingmint.session import make_session


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    loaded = config.load({"THINGMINT_PKI_KEY": "ec:P-256"})
    session = make_session(tmp_path_factory.mktemp("desk") / "ws", loaded, Console())
    yield Desk(session)
    control.stop(session)
