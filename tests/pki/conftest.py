"""Authorities, made once for all tests: each begins with a copy of the folder."""

import shutil
from pathlib import Path

import pytest

from tests.pki import forks
from thingmint import config
from thingmint.console import Console
from thingmint.session import Session, make_session


@pytest.fixture(scope="session")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a root and an intermediate, P-256."""
    loaded = config.load({"THINGMINT_PKI_KEY": "ec:P-256"})
    session = make_session(tmp_path_factory.mktemp("authorities") / "ws", loaded, Console(quiet=True))
    forks.make_authorities(session)
    return session.workspace.root


@pytest.fixture
def ready(session: Session, authorities: Path) -> Session:
    """Both authorities are there."""
    shutil.copytree(authorities, session.workspace.root)
    return session
