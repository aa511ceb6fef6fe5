"""Workspaces for the tests: real folders, the real openssl, the lab's configuration."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from thingmint import config
from thingmint.console import Console
from thingmint.session import Session, make_session

# The suite starts Python a hundred times: without its byte code, each of them compiles the whole package.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Half a minute each: one that begins last would be waited for alone.
_LONG = (
    "lab/test_scorecard.py", "lab/test_advise.py", "provisioning/test_faults.py", "lab/conformance/test_rows.py", "test_chain.py",
    "lab/test_resources.py", "commands/test_lost_answers.py",
)  # fmt: skip

MakeSession = Callable[..., Session]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.path.as_posix().endswith(_LONG))


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The developer's own THINGMINT_* settings never reach a test."""
    for name in list(os.environ):
        if name.startswith("THINGMINT_"):
            monkeypatch.delenv(name)


@pytest.fixture
def make_session_in() -> MakeSession:
    """A session in a folder, with settings as environment variables would give them: pki_key="ec:P-256"."""

    def make(root: Path, *, echo: bool = False, dry: bool = False, **settings: str) -> Session:
        environment = {f"THINGMINT_{name.upper()}": value for name, value in settings.items()}
        return make_session(root, config.load(environment), Console(), echo=echo, dry=dry)

    return make


@pytest.fixture
def session(tmp_path: Path, make_session_in: MakeSession) -> Session:
    """P-256: keys in milliseconds. The RSA default has tests of its own."""
    return make_session_in(tmp_path / "ws", pki_key="ec:P-256")
