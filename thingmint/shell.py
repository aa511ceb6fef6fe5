"""The only place a process starts: argv lists, never a shell; quoted echo; silent unless it fails."""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from thingmint.console import Console
from thingmint.errors import ToolError

# openssl's own words are matched by openssl.py: keep the C library's part of them untranslated.
_ENVIRONMENT = {"LC_ALL": "C"}


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
    ) -> Finished:
        """Run a command that changes things. `keep` are descriptors the child inherits (a lock).

        `redirect` names the file the caller writes stdout to, for the echo alone. Returns whatever the exit code; see
        `check`. Raises ToolError if the program is missing.
        """
        self.echo(argv, cwd=cwd, redirect=redirect)
        if self.dry:
            return Finished(tuple(argv), 0, "", "")
        return _execute(argv, cwd=cwd, keep=keep, environment=environment)

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
        if not (self.echoes or self.dry):
            return
        if cwd != self._echoed_cwd:
            self._console.say(f"cd {quote([str(cwd)])}")
            self._echoed_cwd = cwd
        self._console.say(quote(argv) + (f" > {quote([redirect])}" if redirect else ""))


def check(finished: Finished, *, what: str, things_to_try: Sequence[str] = ()) -> Finished:
    """Raises ToolError with command, exit code and output if the process failed."""
    if finished.exit_code:
        raise ToolError(
            f"{what} failed with exit code {finished.exit_code}:\n  {quote(finished.argv)}",
            detail=finished.stderr or finished.stdout,
            things_to_try=things_to_try,
        )
    return finished


def quote(argv: Sequence[str]) -> str:
    """argv as one line for the shell at hand: POSIX sh, or PowerShell on Windows."""
    if os.name != "nt":
        return shlex.join(argv)
    plain = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./\\:=")
    return " ".join(word if word and set(word) <= plain else "'" + word.replace("'", "''") + "'" for word in argv)


def _execute(argv: Sequence[str], *, cwd: Path, keep: Sequence[int], environment: Mapping[str, str] | None) -> Finished:
    # Windows knows no inheritable numbers like these: there the lock stays with this process (see files.lock).
    inherited = tuple(keep) if sys.platform != "win32" else ()
    try:
        done = subprocess.run(
            list(argv),
            cwd=cwd,
            env={**os.environ, **_ENVIRONMENT, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            pass_fds=inherited,
            check=False,
        )
    except FileNotFoundError:
        raise ToolError(
            f"the program {argv[0]!r} was not found.",
            things_to_try=[f"install {Path(argv[0]).name}, or put it on PATH", "see README, 'What you need'"],
        ) from None
    except PermissionError:
        raise ToolError(f"the program {argv[0]!r} may not be executed.") from None
    return Finished(
        tuple(argv),
        done.returncode,
        done.stdout.decode("utf-8", errors="replace"),
        done.stderr.decode("utf-8", errors="replace"),
    )
