"""The scan in real repositories: what is staged counts, whatever the working tree holds; and the hook stops a commit."""

import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.keyscan.keys import every_kind, key

ROOT = Path(__file__).resolve().parents[2]
HOOK = ROOT / ".githooks/pre-commit"


class Repository:
    """A repository of its own, whatever the developer's own git is set to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            **{f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }
        folder.mkdir()
        self.git("init", "-q")

    def git(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["git", *words], cwd=self.folder, env=self.environment, check=check, capture_output=True, text=True
        )

    def stage(self, name: str, data: bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        self.git("add", "-f", "--", name)
        return path

    def scan(self, *options: str, below: str = ".") -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "thingmint.keyscan", *options], cwd=self.folder / below, env=self.environment,
            check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
        return done

    def with_hook(self) -> "Repository":
        (self.folder / ".githooks").mkdir()
        shutil.copy(HOOK, self.folder / ".githooks")
        (self.folder / ".venv").symlink_to(sys.prefix)
        self.git("config", "core.hooksPath", ".githooks")
        return self


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "clone")


def test_every_kind_is_found_when_staged_and_nothing_of_it_is_shown(repository: Repository) -> None:
    for name, (data, _) in every_kind().items():
        repository.stage(name, data)
    done = repository.scan("--staged")
    assert done.returncode == 4
    for name, (data, what) in every_kind().items():
        assert f"    {name}:1: {what}\n" in done.stderr
        for part in re.findall(rb"[A-Za-z0-9+/]{16,}", data):
            assert part.decode() not in done.stderr
    assert "git restore --staged -- " in done.stderr
    assert "burnt: replace it" in done.stderr


def test_the_staged_bytes_count_and_not_the_working_tree(repository: Repository) -> None:
    repository.stage("gone.pem", key("rsa.pem")).unlink()
    repository.stage("cleaned.pem", key("ec.pem")).write_text("nothing to see")
    repository.stage("clean.txt", b"nothing").write_bytes(key("rsa.pem"))
    (repository.folder / "untracked.pem").write_bytes(key("rsa.pem"))
    done = repository.scan("--staged")
    assert done.returncode == 4
    assert re.findall(r"^    (\S+):1:", done.stderr, re.MULTILINE) == ["cleaned.pem", "gone.pem"]


def test_a_clean_tree_passes(repository: Repository) -> None:
    repository.stage("main.c", b'const char *begin = "-----BEGIN PRIVATE KEY-----";\n')
    repository.stage("firmware.bin", random.Random(3).randbytes(3_000_000))
    repository.stage("empty", b"")
    assert repository.scan("--staged").stderr == ""
    done = repository.scan()
    assert (done.returncode, done.stderr) == (0, "no private key in 3 tracked files\n")


def test_staged_is_what_the_commit_changes_and_tracked_is_everything(repository: Repository) -> None:
    repository.stage("old.pem", key("ec.pem"))
    repository.git("commit", "-qm", "in spite of it")
    repository.stage("new.txt", b"clean")
    assert repository.scan("--staged").returncode == 0
    done = repository.scan()
    assert done.returncode == 4
    assert "old.pem:1: " in done.stderr
    assert "git rm --cached -- old.pem" in done.stderr
    repository.git("rm", "-q", "old.pem")
    assert repository.scan("--staged").returncode == 0  # taking it away is no crime
    assert repository.scan().returncode == 0


@pytest.mark.parametrize(
    "name", ["a b", "-n", "ü €.pem", 'it\'s "$HOME"', "line\nfeed", "[ab]*", "\033[31mred", "sub/x"]
)
def test_odd_names_are_named(repository: Repository, name: str) -> None:
    repository.stage(name, key("ec.pem"))
    done = repository.scan("--staged")
    assert done.returncode == 4
    shown = name if name.isprintable() else ascii(name)[1:-1]
    assert f"    {shown}:1: PRIVATE KEY (PEM)\n" in done.stderr
    assert "\033" not in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="other file systems hold Unicode names only")
def test_a_name_that_is_no_utf8_is_no_hiding_place(repository: Repository) -> None:
    (repository.folder / os.fsdecode(b"caf\xe9.pem")).write_bytes(key("ec.pem"))
    repository.git("add", ".")
    assert repository.scan("--staged").returncode == 4


def test_the_same_key_in_two_files_is_told_twice_and_a_subfolder_sees_all(repository: Repository) -> None:
    for name in ("one.pem", "sub/two.pem"):
        repository.stage(name, b"\n\n" + key("ec.pem"))
    for options in ((), ("--staged",)):
        done = repository.scan(*options, below="sub")
        assert "    one.pem:3: " in done.stderr
        assert "    sub/two.pem:3: " in done.stderr


def test_a_large_file_is_read_to_its_end_in_little_memory(repository: Repository) -> None:
    repository.stage("disk.img", bytes(64_000_000) + key("rsa.der"))
    program = (
        "import resource, runpy, sys; sys.argv = ['keyscan'];"
        "resource.setrlimit(resource.RLIMIT_DATA, (48_000_000, 48_000_000));"
        "runpy.run_module('thingmint.keyscan', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=repository.folder, check=False, capture_output=True, text=True,
        env={**repository.environment, "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.bigFileThreshold",
             "GIT_CONFIG_VALUE_0": "1m"},
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    assert "disk.img:1: PKCS#8 private key (DER)" in done.stderr


def test_submodules_links_and_intentions_are_no_obstacle(repository: Repository) -> None:
    (repository.folder / "link").symlink_to("nowhere")
    (repository.folder / "later").write_bytes(key("ec.pem"))
    repository.git("add", "link")
    repository.git("add", "--intent-to-add", "later")
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{'12' * 20},module")
    assert repository.scan("--staged").returncode == 0
    assert repository.scan().returncode == 0


def test_what_git_cannot_answer_is_an_error_and_no_pass(repository: Repository, tmp_path: Path) -> None:
    repository.stage("file", b"content")
    shutil.rmtree(repository.folder / ".git/objects")
    (repository.folder / ".git/objects").mkdir()
    done = repository.scan()
    assert done.returncode == 3
    assert "does not have the content of file" in done.stderr
    shutil.rmtree(repository.folder / ".git")
    repository.environment["GIT_CEILING_DIRECTORIES"] = str(tmp_path)
    done = repository.scan()
    assert done.returncode == 3
    assert "not a git repository" in done.stderr


def test_the_hook_stops_a_commit_until_the_key_is_out(repository: Repository) -> None:
    repository.with_hook().stage("readme", b"hello")
    repository.git("commit", "-qm", "first")
    repository.stage("device.pem", key("ec.pem")).unlink()
    refused = repository.git("commit", "-qm", "second", check=False)
    assert refused.returncode == 1
    assert "    device.pem:1: PRIVATE KEY (PEM)" in refused.stderr
    undo = re.search(r"unstage it: git (.*)", refused.stderr)
    assert undo
    repository.git(*undo[1].split())
    repository.stage("readme", b"hello again")
    repository.git("commit", "-qm", "second")
    assert repository.git("log", "--format=%s").stdout == "second\nfirst\n"


def test_the_hook_sees_what_commit_takes_by_name_and_works_in_a_worktree(repository: Repository) -> None:
    repository.with_hook().stage("readme", b"hello")
    repository.git("add", ".githooks")
    repository.git("commit", "-qm", "first")
    (repository.folder / "readme").write_bytes(key("ec.pem"))
    for words in (("readme",), ("-a",)):  # each with an index of its own
        refused = repository.git("commit", "-qm", "second", *words, check=False)
        assert refused.returncode == 1
        assert "readme:1: " in refused.stderr
    repository.git("worktree", "add", "-q", "../beside")
    beside = repository.folder.parent / "beside"
    (beside / "key").write_bytes(key("ec.pem"))
    repository.git("-C", "../beside", "add", "key")
    unready = repository.git("-C", "../beside", "commit", "-qm", "second", check=False)
    assert unready.returncode == 1
    assert "python3 bootstrap.py" in unready.stderr
    (beside / ".venv").symlink_to(sys.prefix)
    refused = repository.git("-C", "../beside", "commit", "-qm", "second", check=False)
    assert "    key:1: PRIVATE KEY (PEM)" in refused.stderr


def test_this_repository_is_clean_and_its_hook_can_run_everywhere() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "thingmint.keyscan"], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert HOOK.read_bytes().startswith(b"#!/bin/sh\n")
    words = ["git", "ls-files", "--stage", "--eol", ".githooks/pre-commit"]
    listed = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert listed.startswith("100755")
    assert "eol=lf" in listed


@pytest.mark.parametrize(
    ("name", "ignored"),
    [("sub/device.key", True), ("key.pem", True), ("firmware/privkey.pem", True), ("a.p12", True), ("a.pfx", True),
     (".env", True), ("ca/rootca/rootca.pem", True), ("devices/x.json", True), ("lab/lab.json", True),
     ("firmware/app/root.pem", False), ("config/azure.yaml", False), ("firmware/app/prj.conf", False)],
)  # fmt: skip
def test_git_ignores_what_teams_keep_keys_in(name: str, ignored: bool) -> None:
    done = subprocess.run(["git", "check-ignore", "-q", "--no-index", name], cwd=ROOT, check=False)
    assert done.returncode == (0 if ignored else 1)
