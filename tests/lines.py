"""Lines of `invoke` in processes forked from the server of tests/pki/forks.py, which has imported everything.

A tenth of a process's own cost. What a line does is the same; that the program starts by itself, with nothing imported
but what it asks for, is for the tests that use the real `invoke`.
"""

import atexit
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from multiprocessing import connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from tests.pki import forks

ROOT = Path(__file__).resolve().parents[1]
MOST_SECONDS = 100
# Whoever starts a process looks which others ended: two threads would read one's exit code, and the second finds none.
_starting = threading.Lock()


def run(words: Sequence[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """As subprocess.run would, with the output captured and no standard input. Threads may run lines side by side."""
    with tempfile.TemporaryDirectory() as folder:
        process = begin(words, environment, Path(folder))
        assert connection.wait([process.sentinel], MOST_SECONDS), f"{words} did not end"
        code = ended(process)
        return subprocess.CompletedProcess(
            words, code, *((Path(folder) / name).read_text(encoding="utf-8") for name in ("stdout", "stderr"))
        )


def begin(words: Sequence[str], environment: dict[str, str], folder: Path) -> ForkServerProcess:
    """The line's process, which writes `stdout` and `stderr` in `folder`."""
    process = forks.context().Process(target=_invoke, args=(words, environment, folder / "stdout", folder / "stderr"))
    with _starting:
        process.start()
    return process


def ended(process: ForkServerProcess) -> int:
    """The exit code. One that has not ended within a hundred seconds is killed."""
    with _starting:
        (code,) = forks.wait([process])
    assert code is not None, f"process {process.pid} did not end"
    return code


def _invoke(words: Sequence[str], environment: dict[str, str], stdout: Path, stderr: Path) -> None:
    from invoke.main import program

    os.chdir(ROOT)
    os.environ.clear()
    os.environ.update(environment)
    for number, name, flags in (
        (0, os.devnull, os.O_RDONLY), (1, stdout, os.O_WRONLY | os.O_CREAT), (2, stderr, os.O_WRONLY | os.O_CREAT),
    ):  # fmt: skip
        descriptor = os.open(name, flags)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - the one that was there is closed
    sys.argv = ["invoke", *words]
    atexit._clear()  # the server's own
    try:
        program.run()
    finally:
        atexit._run_exitfuncs()
