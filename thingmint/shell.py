"""The only place a process starts: argv lists, never a shell; quoted echo; silent unless it fails."""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

from thingmint.console import Console
from thingmint.errors import ToolError

# openssl's own words are matched by openssl.py: keep the C library's part of them untranslated.
_ENVIRONMENT = {"LC_ALL": "C"}
_MOST_WORDS = 40
_LEAVE_SECONDS = 3.0


@dataclass(frozen=True)
class Finished:
    """A process that ended: its output as text, and its exit code (negative: the signal, as subprocess has it)."""

    argv: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str


class Shell:
    """Two verbs: `run` changes things and obeys --dry, `read` only looks and always runs."""

    def __init__(self, console: Console, *, echo: bool = False, dry: bool = False) -> None:
        self._console = console
        self.echoes = echo
        self.dry = dry
        self._echoed_cwd: Path | None = None

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        keep: Sequence[int] = (),
        environment: Mapping[str, str] | None = None,
        redirect: str = "",
        batch: bool = False,
    ) -> Finished:
        """Run a command that changes things. `keep` are descriptors the child inherits (a lock).

        `redirect` names the file the caller writes stdout to, for the echo alone. `batch`: see
        `_execute`. Returns whatever the exit code; see
        `check`. Raises ToolError if the program is missing.
        """
        self.echo(argv, cwd=cwd, redirect=redirect)
        if self.dry:
            return Finished(tuple(argv), 0, "", "")
        return _execute(argv, cwd=cwd, keep=keep, environment=environment, batch=batch)

    def read(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        echo: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> Finished:
        """Run a command that changes nothing. Echoed only where the user would type it too (`show`)."""
        if echo:
            self.echo(argv, cwd=cwd)
        return _execute(argv, cwd=cwd, keep=(), environment=environment)

    @contextlib.contextmanager
    def stream(self, argv: Sequence[str], *, cwd: Path, stdin: bytes) -> Iterator[BinaryIO]:
        """A command that changes nothing and says more than memory should hold: its stdout, while it runs.

        What it reads and its stderr are files, since a pipe that nobody empties would stop it. Raises ToolError if it
        fails.
        """
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
            given.write(stdin)
            given.seek(0)
            with subprocess.Popen(
                list(argv),
                cwd=cwd,
                env={**os.environ, **_ENVIRONMENT},
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=said,
            ) as process:
                yield cast("BinaryIO", process.stdout)
            words = _whole(said).decode("utf-8", errors="replace")
            check(Finished(tuple(argv), process.returncode, "", words), what=argv[0])

    def follow(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        on_line: Callable[[str], None],
    ) -> int:
        """A command that changes things and takes its time: each line it says, while it runs; then its exit code.

        stdout and stderr come as one, in the order in which they were said. It leads a group of its own, and whatever
        ends this early (Ctrl-C, an error of `on_line`) ends all of the group. With --dry nothing runs.
        """
        self.echo(argv, cwd=cwd)
        if self.dry:
            return 0
        try:
            process = subprocess.Popen(
                list(argv),
                cwd=cwd,
                env={**os.environ, **_ENVIRONMENT, **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=os.name != "nt",
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
            )
        except (FileNotFoundError, PermissionError) as error:
            if error.filename is not None and Path(error.filename) == cwd:
                raise  # as in _execute
            raise _unusable(argv[0], error) from None
        with process, ended_by_signals():
            try:
                for line in cast("BinaryIO", process.stdout):
                    on_line(line.decode("utf-8", errors="replace").rstrip("\r\n"))
                process.wait()
            except BaseException:
                _end_group(process)
                raise
        return process.returncode

    def spawn(self, argv: Sequence[str], *, cwd: Path, log: BinaryIO, environment: Mapping[str, str]) -> int:
        """Start a background process in a session of its own, holding none of our descriptors; returns its pid.

        A child that kept our stdout would make `invoke … | cat` wait until it ends.
        """
        # Windows has no sessions: a process group of its own keeps Ctrl-C away from it.
        flags = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0) | getattr(subprocess, "CREATE_NO_WINDOW", 0)
        process = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            close_fds=True,
            start_new_session=os.name != "nt",
            creationflags=flags,
        )
        # It outlives this process on purpose; without this line Popen warns about just that.
        process.returncode = 0
        return process.pid

    def echo(self, argv: Sequence[str], *, cwd: Path, redirect: str = "") -> None:
        """With -e or --dry, the line as the user would type it, the `cd` first."""
        self._echo(quote(argv) + (f" > {quote([redirect])}" if redirect else ""), cwd)

    def remark(self, text: str, *, cwd: Path) -> None:
        """Among the echoed lines, as a comment: what no line did, so that a reader can follow."""
        self._echo(f"# {text}", cwd)

    def _echo(self, line: str, cwd: Path) -> None:
        if not (self.echoes or self.dry):
            return
        if cwd != self._echoed_cwd:
            self._console.say(f"cd {quote([str(cwd)])}")
            self._echoed_cwd = cwd
        self._console.say(line)


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """A closed terminal and a polite kill end this like Ctrl-C: the child's group would not hear of them."""
    names = ("SIGTERM", "SIGHUP") if threading.current_thread() is threading.main_thread() else ()
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]

    def end(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def check(finished: Finished, *, what: str, things_to_try: Sequence[str] = ()) -> Finished:
    """Raises ToolError with command, exit code and output if the process failed."""
    if finished.exit_code:
        raise ToolError(
            f"{what} failed with exit code {finished.exit_code}:\n  {shown(finished.argv)}",
            detail=finished.stderr or finished.stdout,
            things_to_try=things_to_try,
        )
    return finished


def shown(argv: Sequence[str]) -> str:
    """argv as one line for an error message: a batch's hundreds of files are counted, not listed."""
    if len(argv) <= _MOST_WORDS:
        return quote(argv)
    return f"{quote(argv[:_MOST_WORDS])} … and {len(argv) - _MOST_WORDS} more"


def quote(argv: Sequence[str]) -> str:
    """argv as one line for the shell at hand: POSIX sh, or PowerShell on Windows."""
    if os.name != "nt":
        return shlex.join(argv)
    plain = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./\\:=")
    return " ".join(word if word and set(word) <= plain else "'" + word.replace("'", "''") + "'" for word in argv)


def _execute(
    argv: Sequence[str],
    *,
    cwd: Path,
    keep: Sequence[int],
    environment: Mapping[str, str] | None,
    batch: bool = False,
) -> Finished:
    """`batch`: Ctrl-C lets it finish, and its output goes through files, since a pipe would wake us at each line."""
    # Windows knows no inheritable numbers like these: there the lock stays with this process (see files.lock).
    inherited = tuple(keep) if sys.platform != "win32" else ()
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        try:
            done = subprocess.run(
                list(argv),
                cwd=cwd,
                env={**os.environ, **_ENVIRONMENT, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=stdout if batch else subprocess.PIPE,
                stderr=stderr if batch else subprocess.PIPE,
                pass_fds=inherited,
                process_group=0 if batch and os.name != "nt" else None,
                creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0) if batch else 0,
                check=False,
            )
        except (FileNotFoundError, PermissionError) as error:
            if error.filename is not None and Path(error.filename) == cwd:
                raise  # the program is not to blame: its folder is missing or closed
            raise _unusable(argv[0], error) from None
        output = (_whole(stdout), _whole(stderr)) if batch else (done.stdout, done.stderr)
    texts = [data.decode("utf-8", errors="replace") for data in output]
    return Finished(tuple(argv), done.returncode, *texts)


def _end_group(process: "subprocess.Popen[bytes]") -> None:
    """End a process and all that it started: asked first, killed where they take their time."""
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/T", "/F", "/PID", str(process.pid)], capture_output=True, check=False)
        return
    try:
        os.killpg(process.pid, signal.SIGTERM)
        waited_until = time.monotonic() + _LEAVE_SECONDS
        while time.monotonic() < waited_until:
            process.poll()  # a leader that nobody waits for stays in its group
            os.killpg(process.pid, 0)
            time.sleep(0.02)
    except ProcessLookupError:
        return
    finally:  # also after a second Ctrl-C
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _unusable(program: str, error: OSError) -> ToolError:
    if isinstance(error, PermissionError):
        return ToolError(f"the program {program!r} may not be executed.")
    return ToolError(
        f"the program {program!r} was not found.",
        things_to_try=[f"install {Path(program).name}, or put it on PATH", "see README, 'What you need'"],
    )


def _whole(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()
