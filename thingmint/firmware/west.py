"""`west build`, as the article types it: followed line by line, its output kept, its progress shown."""

import contextlib
import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from thingmint.console import Console
from thingmint.firmware import failures
from thingmint.firmware.sdk import Sdk
from thingmint.shell import Shell

LOG = "west-build.log"
"""The build's whole output, in its folder: `-p` empties that first, so it stands beside the folder until the end."""

_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_STEP = re.compile(r"\[([0-9]{1,6})/([0-9]{1,6})\] ")


@dataclass(frozen=True)
class Job:
    """One build. `fragments` are Kconfig files, of which a later one has the last word."""

    sdk: Sdk
    app: str
    source: Path
    board: str
    folder: Path
    fragments: tuple[Path, ...]


def program() -> list[str]:
    """west as the SDK's own terminal has it, with the Python packages that Zephyr's scripts want; else ours."""
    ours = Path(sys.executable).parent
    places = [one for one in os.environ.get("PATH", "").split(os.pathsep) if one and Path(one) != ours]
    found = shutil.which("west", path=os.pathsep.join(places)) if places else None
    return [found] if found else [sys.executable, "-m", "west"]


def argv(job: Job) -> list[str]:
    """The board stands right behind -c: west takes a path right behind -p for its value."""
    words = [*program(), "build", "-p", "-c", "-b", job.board, "-d", str(job.folder), str(job.source)]
    if job.fragments:
        # Zephyr knows a list by its semicolons, and CMake wants forward slashes everywhere.
        listed = ";".join(path.as_posix() for path in job.fragments)
        words += ["--", f"-D{job.sdk.edition.fragment}={listed}"]
    return words


def build(job: Job, shell: Shell, console: Console) -> Path:
    """Run it. Returns where its log is. Raises the failure as an error of ours, and what else comes as it is.

    west knows the workspace by where it runs; a ZEPHYR_BASE that names another one would be heeded all the same.
    """
    beside = job.folder.with_name(f"{job.folder.name}.log")
    environment = {"ZEPHYR_BASE": str(job.sdk.zephyr)} if job.sdk.zephyr.is_dir() else {}
    if shell.dry:
        shell.echo(argv(job), cwd=job.sdk.root)
        return beside
    try:
        with beside.open("w", encoding="utf-8") as log, _Meter.on(console) as meter:

            def on_line(line: str) -> None:
                text = _COLOURS.sub("", line)
                log.write(f"{text}\n")
                meter.see(text)

            code = shell.follow(argv(job), cwd=job.sdk.root, environment=environment, on_line=on_line)
    except OSError as error:
        error.filename = error.filename or str(beside)  # a full disk does not say whose
        raise
    finally:
        kept = _keep(beside, job.folder)
    if code:
        raise failures.explain(_end_of(kept), code=code, sdk=job.sdk, board=job.board, log=kept)
    return kept


def _keep(beside: Path, folder: Path) -> Path:
    """The log goes where the build is, if there is one."""
    if not folder.is_dir() or not beside.is_file():
        return beside
    kept = folder / LOG
    kept.unlink(missing_ok=True)
    shutil.move(beside, kept)
    return kept


def _end_of(log: Path, most: int = 2**20) -> Sequence[str]:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - most))
        return file.read().decode("utf-8", errors="replace").splitlines()


class _Meter:
    """ninja's [n/m] as a bar. What builds within the build counts anew, between the lines of the one that matters."""

    def __init__(self, console: Console, bars: ExitStack) -> None:
        self._console, self._bars = console, bars
        self._done = self._total = 0

    @classmethod
    @contextlib.contextmanager
    def on(cls, console: Console) -> "Iterator[_Meter]":
        with ExitStack() as bars:
            yield cls(console, bars)

    def see(self, line: str) -> None:
        if not (found := _STEP.match(line)):
            return
        done, total = int(found[1]), int(found[2])
        if total != self._total and (total > self._total or self._done == self._total):
            self._bars.close()
            self._tell = self._bars.enter_context(self._console.progress("building", total))
            self._total = total
        if total == self._total:
            self._done = done
            self._tell(done)
