"""files, shell and workspace: modes, atomic writes, locks, processes, echo."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import MakeSession
from thingmint import files
from thingmint.console import Console
from thingmint.errors import InputError, ToolError, explain_os_error
from thingmint.shell import Shell, check, quote


def test_a_secret_is_private_from_its_first_moment(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        files.create(tmp_path / "key", b"x")
        files.replace(tmp_path / "other", b"x", mode=files.SECRET)
        files.make_private_directory(tmp_path / "a" / "b")
    finally:
        os.umask(previous)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "other").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


def test_create_never_overwrites_and_replace_leaves_nothing_beside_it(tmp_path: Path) -> None:
    files.create(tmp_path / "key", b"first")
    with pytest.raises(FileExistsError):
        files.create(tmp_path / "key", b"second")
    files.replace(tmp_path / "key", b"third")
    assert (tmp_path / "key").read_bytes() == b"third"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_a_lock_is_waited_for_then_given_up_with_a_cure(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); sys.stdin.read()",
         tmp_path / "lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert holder.stdin
    assert holder.stdout
    holder.stdout.readline()
    waits: list[int] = []
    with (
        pytest.raises(ToolError, match="still locked"),
        files.lock(tmp_path / "lock", wait_seconds=1.5, on_wait=lambda: waits.append(1)),
    ):
        pytest.fail("two held it")
    assert waits == [1]
    holder.stdin.close()
    holder.wait()
    holder.stdout.close()
    with files.lock(tmp_path / "lock", wait_seconds=5, on_wait=lambda: None) as descriptor:
        assert descriptor > 2


def test_no_shell_ever_reads_an_argument(tmp_path: Path) -> None:
    shell = Shell(Console())
    finished = shell.run([sys.executable, "-c", "import sys; print(sys.argv[1])", "$(touch pwned); `id`"], cwd=tmp_path)
    assert finished.stdout == "$(touch pwned); `id`\n"
    assert not (tmp_path / "pwned").exists()


def test_dry_runs_nothing_but_reading(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shell = Shell(Console(), dry=True)
    shell.run(["touch", "a b"], cwd=tmp_path)
    assert not (tmp_path / "a b").exists()
    assert capsys.readouterr().err.splitlines() == [f"cd {tmp_path}", "touch 'a b'"]
    assert shell.read(["echo", "hi"], cwd=tmp_path).stdout == "hi\n"


def test_a_failure_tells_command_exit_code_and_words(tmp_path: Path) -> None:
    finished = Shell(Console()).run(["sh", "-c", "echo why >&2; exit 3"], cwd=tmp_path)
    with pytest.raises(ToolError) as caught:
        check(finished, what="the tool")
    text = caught.value.render()
    assert "exit code 3" in text
    assert "sh -c 'echo why >&2; exit 3'" in text
    assert "    why" in text


def test_a_missing_program_is_no_traceback(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="'no-such-tool' was not found"):
        Shell(Console()).run(["no-such-tool"], cwd=tmp_path)


def test_a_stream_is_fed_and_read_at_once_and_its_failure_is_told(tmp_path: Path) -> None:
    shell, much = Shell(Console()), b"0123456789abcdef" * 100_000
    with shell.stream(["cat"], cwd=tmp_path, stdin=much) as output:  # more than any pipe holds, both ways
        assert output.read() == much
    with (
        pytest.raises(ToolError, match="exit code 3") as caught,
        shell.stream(["sh", "-c", "echo some; echo why >&2; exit 3"], cwd=tmp_path, stdin=b"") as output,
    ):
        assert output.read() == b"some\n"
    assert caught.value.detail == "why\n"


def test_a_program_is_not_blamed_for_its_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="gone"):
        Shell(Console()).read(["echo", "hi"], cwd=tmp_path / "gone")


@pytest.mark.parametrize(
    ("attempt", "place", "said"),
    [
        (lambda folder: files.replace(folder / "full", b"x"), "full", "move it away"),
        (lambda folder: (folder / "file").mkdir(), "file", "move it away"),
        (lambda folder: (folder / "file" / "below").mkdir(), "file/below", "move it away"),
        (lambda folder: (folder / "full").rmdir(), "full", "move it away"),
        (lambda folder: (folder / "gone").read_bytes(), "gone", "bring back"),
    ],
    ids=[
        "a-folder-in-a-files-place",
        "a-file-in-a-folders-place",
        "a-file-on-the-way",
        "not-empty",
        "missing",
    ],
)
def test_what_the_system_refused_is_named_with_a_cure(
    tmp_path: Path, attempt: Callable[[Path], object], place: str, said: str
) -> None:
    (tmp_path / "full" / "inside").mkdir(parents=True)
    (tmp_path / "file").touch()
    with pytest.raises(OSError) as caught:
        attempt(tmp_path)
    (thing,) = explain_os_error(caught.value).things_to_try
    assert said in thing
    assert str(tmp_path / place) in thing


def test_a_closed_path_wants_its_owner() -> None:
    (thing,) = explain_os_error(PermissionError(13, "Permission denied", "/some/where")).things_to_try
    assert thing == "check owner and mode of /some/where"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux alone has a full device to write to")
def test_a_full_disk_wants_space() -> None:
    with pytest.raises(OSError) as caught, open("/dev/full", "wb", buffering=0) as full:  # noqa: PTH123
        full.write(b"x")
    assert explain_os_error(caught.value).things_to_try == ("free some space, then run this again: nothing was lost",)


def test_a_background_process_holds_none_of_our_descriptors(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from thingmint.shell import Shell; from thingmint.console import Console; "
        "log = open(sys.argv[1] + '/log', 'ab'); "
        "Shell(Console()).spawn(['sleep', '5'], cwd=pathlib.Path('/'), log=log, environment={})"
    )
    # The reader ends at once: nobody but the ended parent held the pipe.
    subprocess.run([sys.executable, "-c", program, tmp_path], check=True, stdout=subprocess.PIPE, timeout=4)


def test_quoting_can_be_typed_again() -> None:
    argv = ["a b", "$x", "it's", "", "-addext", "keyUsage = critical"]
    shown = subprocess.run(["sh", "-c", f"printf '%s\\0' {quote(argv)}"], check=True, capture_output=True, text=True)
    assert shown.stdout.split("\0")[:-1] == argv


def test_a_workspace_elsewhere_ignores_itself(tmp_path: Path, make_session_in: MakeSession) -> None:
    session = make_session_in(tmp_path / "with space $HOME 'ü")
    session.workspace.prepare()
    assert (session.workspace.root / ".gitignore").read_text() == "*\n"
    assert session.workspace.ca.stat().st_mode & 0o777 == 0o700
    assert session.workspace.root.stat().st_mode & 0o777 == 0o700


def test_a_workspace_that_cannot_be_written_is_named(tmp_path: Path, make_session_in: MakeSession) -> None:
    (tmp_path / "file").write_text("in the way")
    session = make_session_in(tmp_path / "file" / "ws")
    with pytest.raises(InputError, match="cannot be written"):
        session.workspace.prepare()
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws" / "devices").touch()
    with pytest.raises(InputError, match="devices") as caught:
        make_session_in(tmp_path / "ws").workspace.prepare()
    assert "move it away" in caught.value.render()
