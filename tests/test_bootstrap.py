"""bootstrap.py and git: the hook is turned on once, in a clone of this project alone, and never against anybody's choice."""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _own_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


def git(folder: Path, *words: str) -> str:
    words = ("-c", "user.name=a", "-c", "user.email=a@b", *words)
    return subprocess.run(["git", *words], cwd=folder, check=False, capture_output=True, text=True).stdout


def hooks_path(folder: Path) -> str:
    return git(folder, "config", "core.hooksPath").strip()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What the bootstrap knows this project by, in a repository."""
    folder = tmp_path / "a clone"
    shutil.copytree(ROOT / ".githooks", folder / ".githooks")
    shutil.copy(ROOT / "bootstrap.py", folder)
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    return folder


def hook_of(folder: Path) -> Callable[[], None]:
    """The function, from the bootstrap.py that stands in that folder."""
    spec = importlib.util.spec_from_file_location("bootstrap_there", folder / "bootstrap.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function: Callable[[], None] = module.turn_on_the_hook
    return function


def test_it_is_turned_on_once_and_said_once(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hook_of(clone)()
    assert hooks_path(clone) == ".githooks"
    assert "core.hooksPath is .githooks" in capsys.readouterr().err
    hook_of(clone)()
    assert capsys.readouterr().err == ""


def test_somebodys_choice_stands(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git(clone, "config", "core.hooksPath", ".git/hooks")
    hook_of(clone)()
    assert hooks_path(clone) == ".git/hooks"
    git(clone, "config", "--unset", "core.hooksPath")
    git(clone, "config", "--global", "core.hooksPath", "/mine")
    hook_of(clone)()
    assert hooks_path(clone) == "/mine"
    git(clone, "config", "--global", "--unset", "core.hooksPath")
    (clone / ".git/hooks").mkdir(exist_ok=True)
    (clone / ".git/hooks/post-commit").touch()
    hook_of(clone)()
    assert hooks_path(clone) == ""
    assert capsys.readouterr().err == ""


def test_a_worktree_leaves_the_configuration_it_shares(clone: Path) -> None:
    git(clone, "worktree", "add", "-q", "../beside")
    hook_of(clone.parent / "beside")()
    assert hooks_path(clone) == ""


def test_another_repository_around_it_or_in_the_environment_is_left_alone(
    clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    around = tmp_path / "around"
    shutil.copytree(clone, around / "vendored", ignore=shutil.ignore_patterns(".git"))
    git(around, "init", "-q")
    hook_of(around / "vendored")()
    assert hooks_path(around) == ""
    with monkeypatch.context() as patched:
        patched.setenv("GIT_DIR", str(around / ".git"))
        hook_of(clone)()
    assert hooks_path(around) == ""
    assert hooks_path(clone) == ".githooks"


def test_without_git_or_where_it_refuses_nothing_fails(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (clone / ".git/config.lock").touch()
    hook_of(clone)()
    monkeypatch.setenv("PATH", "")
    hook_of(clone)()
    assert capsys.readouterr().err == ""
