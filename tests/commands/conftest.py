"""The command line as a user has it: lines of `invoke` in workspaces of their own."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import tests.hasty  # noqa: F401 - to be imported is all it does
from tests import lines

ROOT = Path(__file__).resolve().parents[2]
INVOKE = Path(sys.executable).with_name("invoke")
IMEI = "350457791791735879"
SECRET = re.compile(r"PRIVATE KEY|SharedAccessKey=|eyJ[A-Za-z0-9_-]{20}|client_secret=")


class CommandLine:
    """`invoke …` in one workspace, from the repository's folder."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("THINGMINT_")},
            "THINGMINT_WORKSPACE": str(workspace),
            "THINGMINT_PKI_KEY": "ec:P-256",
            "HTTPS_PROXY": "http://proxy.invalid:1",
        }

    def __call__(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        done = self.run(words, {**self.environment, **environment})
        shown = done.stdout + done.stderr
        assert "Traceback" not in shown, shown
        assert not SECRET.search(shown), shown
        return done

    def run(self, words: Sequence[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        # Forked: a tenth of the time, where the point is what is said and done and not the process.
        return lines.run(words, environment)

    def ok(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        done = self(*words, **environment)
        assert done.returncode == 0, done.stderr
        return done

    def end(self) -> None:
        """No lab is left behind."""
        if (self.workspace / "lab").exists():
            self.ok("lab-down")


class OwnProcess(CommandLine):
    """The same by the real `invoke`, started anew for each line."""

    def run(self, words: Sequence[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return run_invoke(words, environment)


def run_invoke(words: Sequence[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [INVOKE, *words], cwd=ROOT, env=environment, check=False, capture_output=True, text=True, timeout=60,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[CommandLine]:
    """Nothing made, no lab running (and none left behind)."""
    line = CommandLine(tmp_path / "ws")
    yield line
    line.end()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """After the user's own line; its lab runs until the module ends."""
    line = CommandLine(tmp_path_factory.mktemp("made") / "ws")
    line.ok("rootca", "subca", "verify", "device", "--imei", IMEI)
    yield line
    line.end()
