"""A lab that is treated badly, with a good device in it that has to be heard all the time."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.clients import Lab, connect_clients
from tests.lab.dialogue import Dialogue, connected
from tests.paper import Paper, make
from thingmint import config
from thingmint.console import Console
from thingmint.lab import control
from thingmint.session import make_session

# The journal's own, and what uvicorn says of a request that is no HTTP.
_LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ .*|Invalid HTTP request received\.|\(older lines were dropped\)")


class Harsh(Lab):
    """Hypothesis tells the arguments of what failed: this one holds secrets."""

    def _repr_pretty_(self, printer: Any, _cycle: object) -> None:
        printer.text("lab")


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    session = make_session(tmp_path_factory.mktemp("strength"), config.load({}), Console())
    running = control.start(session)
    try:
        yield Harsh(**vars(connect_clients(session, running)))
    finally:
        control.stop(session)


@pytest.fixture(scope="package")
def root() -> Paper:
    return make("Test Root")


@pytest.fixture(scope="package")
def subca(lab: Lab, root: Paper) -> Paper:
    """Verified at the hub."""
    made = root.issue("Test SubCA", ca=True)
    lab.upload("subca", made)
    return made


@pytest.fixture(scope="package")
def good(lab: Lab, subca: Paper, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dialogue]:
    """A device that is connected all the time."""
    lab.register("good")
    with connected(lab, "good", subca.issue("good").save(tmp_path_factory.mktemp("good"), "good")) as dialogue:
        yield dialogue


@pytest.fixture
def victim(lab: Lab, subca: Paper, tmp_path: Path) -> tuple[str, tuple[Path, Path]]:
    """A device for the misuse of one test."""
    device_id = f"victim-{tmp_path.name}"[:60].rstrip("-_.")
    lab.register(device_id)
    return device_id, subca.issue(device_id).save(tmp_path, "victim")


@pytest.fixture(autouse=True)
def nothing_breaks(lab: Lab, good: Dialogue) -> Iterator[None]:
    """The log has a line an event, none of them tells of a bug, and the good device is heard."""
    heard = lab.mark()
    yield
    good.ping()
    lines = heard().split("\n")[:-1]
    assert not [line for line in lines if not _LINE.fullmatch(line) or not line.isprintable()]
    assert not [line for line in lines if ": failed on a connection: " in line]
