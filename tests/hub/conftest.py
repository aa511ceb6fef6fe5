"""A lab of their own for the hub's tests, shared by a module; and no proxy of the developer's."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from thingmint import config
from thingmint.console import Console
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
