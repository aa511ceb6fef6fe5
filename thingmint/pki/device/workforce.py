"""The worker processes of a series: started, shared out to, collected from; they end with their parent."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from thingmint.errors import ToolError

WORKERS = min(os.cpu_count() or 1, 61)  # Windows waits for no more processes at once
_SMALLEST_PART = 10

_T = TypeVar("_T")


def shares(whole: Sequence[_T]) -> list[Sequence[_T]]:
    """For each worker one, as long as that is worth its way there."""
    size = max(_SMALLEST_PART, -(-len(whole) // WORKERS))
    return [whole[first : first + size] for first in range(0, len(whole), size)]


def collect(futures: Sequence[Future[list[_T]]]) -> list[_T]:
    """All results; the first exception where there is one."""
    return [one for future in futures for one in future.result()]


@contextlib.contextmanager
def workers() -> Iterator[ProcessPoolExecutor]:
    # Spawned on every system: a fork of a process with threads may hang, and the SDKs have threads.
    context = multiprocessing.get_context("spawn")
    try:
        with _Workers(WORKERS, context, initializer=_begin_work) as pool:
            yield pool
    except BrokenProcessPool:
        raise ToolError(
            "a worker process of the series ended unexpectedly.",
            things_to_try=["run the same line again: it goes on where it was", "is the machine out of memory?"],
        ) from None


class _Workers(ProcessPoolExecutor):
    """Each is started by a `submit`."""

    def submit(self, fn: Callable[..., _T], /, *args: Any, **kwargs: Any) -> Future[_T]:
        with _ctrl_c_held_back(), _no_script():
            return super().submit(fn, *args, **kwargs)


@contextlib.contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    """In who is started meanwhile: one that came before `_begin_work` would show a traceback."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _no_script() -> Iterator[None]:
    """Who is started meanwhile does not run the main program's script first: that imports all of Invoke, for nothing."""
    main = vars(sys.modules["__main__"])
    before: dict[str, Any] = {name: main[name] for name in ("__file__", "__spec__") if name in main}
    main.update(dict.fromkeys(before))
    try:
        yield
    finally:
        main.update(before)


def _begin_work() -> None:
    """In each worker: Ctrl-C is the main process's business, and its death, even by kill -9, is theirs as well."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
