"""What the user reads: results on stdout, talk on stderr. No other module prints."""

import contextlib
import json
import os
import select
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.progress import Task

from thingmint.errors import ToolError

_LINE_SECONDS = 10.0


def _span(seconds: float) -> str:
    """1:02:03, or 2:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@dataclass
class Console:
    """One command line's voice. The target is announced once for each distinct text, before anything else.

    `rehearse` tells its steps itself: the console of what it runs is `quiet`, and prints no `results`.
    """

    quiet: bool = False
    results: bool = True
    _announced: set[str] = field(default_factory=set)
    _next_step: str = ""

    def announce(self, target: str) -> None:
        if target not in self._announced:
            self._announced.add(target)
            self.say(f"target: {target}")

    def say(self, text: str = "") -> None:
        if not self.quiet:
            _write(text, sys.stderr)

    def warn(self, text: str) -> None:
        self.say(f"warning: {text}")

    def next_step(self, text: str) -> None:
        """What to type next. Kept until the command line is over: a later task of it makes this stale."""
        self._next_step = text

    @contextlib.contextmanager
    def one_task(self) -> Iterator[None]:
        """A task of the command line: forgets the next step of the one before, and its own if it fails."""
        self._next_step = ""
        try:
            yield
        except BaseException:
            self._next_step = ""
            raise

    def tell_next_step(self) -> None:
        if self._next_step:
            self.say(f"next: {self._next_step}")

    def result(self, text: str) -> None:
        """Raises ToolError where stdout is closed or cannot be written, BrokenPipeError where its reader is gone."""
        if not self.results:
            return
        self.require_output()
        try:
            _write(text, sys.stdout)
        except BrokenPipeError:
            raise
        except OSError as error:
            sys.stdout = None  # what it still holds would fail once more at the end
            raise ToolError(
                f"stdout cannot be written: {error.strerror}. What was to be shown last is lost.",
                things_to_try=["make room where it goes, or send it elsewhere, then run this again"],
            ) from None

    def require_output(self) -> None:
        """Before anything is done whose whole point is to be shown. Raises as `result` does."""
        if not self.results:
            return
        if sys.stdout is None:
            raise ToolError(
                "stdout is closed, so that nothing can be shown.",
                things_to_try=["leave out `>&-`", "to see nothing, send it to /dev/null (on Windows: NUL)"],
            )
        if reader_left(sys.stdout):
            raise BrokenPipeError

    def result_json(self, value: Any, *, line: bool = False) -> None:
        """`line`: on one, for results that come without end. Raises as `result` does."""
        unicode = sys.stdout is None or "utf" in (sys.stdout.encoding or "utf").casefold()
        # Elsewhere JSON's own escapes, before _write has to use Python's, of which JSON knows a few alone.
        self.result(json.dumps(value, indent=None if line else 2, ensure_ascii=not unicode))

    def lines(self, text: str, look: Callable[[str], str]) -> None:
        """Lines of something that is read as it comes, each coloured as `look` says on a terminal."""
        if not self.results or sys.stdout is None or not sys.stdout.isatty() or "NO_COLOR" in os.environ:
            self.result(text)
            return
        from rich.console import Console as RichConsole
        from rich.text import Text

        console = RichConsole(highlight=False, soft_wrap=True)
        for line in text.split("\n"):
            console.print(Text(line, style=look(line)))

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table on a terminal, tab-separated lines elsewhere, so that `cut` and `awk` read them."""
        if sys.stdout is None or not sys.stdout.isatty():
            for row in [headings, *rows]:
                self.result("\t".join(row))
            return
        from rich.console import Console as RichConsole
        from rich.markup import escape
        from rich.table import Table

        table = Table(*headings, box=None, header_style="bold", pad_edge=False)
        for row in rows:
            table.add_row(*(escape(cell) for cell in row))
        # As wide as the cells are: a narrow terminal wraps the lines itself, and an id can still be copied whole.
        RichConsole(width=1000, no_color="NO_COLOR" in os.environ, highlight=False).print(table)

    def ask_secret(self, question: str) -> str | None:
        """One line from the terminal itself, never echoed; None without a terminal. Raises EOFError after Ctrl-D."""
        import getpass
        import warnings

        if os.name == "nt" and (sys.stdin is None or not sys.stdin.isatty()):
            return None  # there getpass would wait for a key that nobody can press
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)  # comes before a fallback that would echo
            try:
                return getpass.getpass(f"{question}: ")
            except getpass.GetPassWarning:
                return None
            except (KeyboardInterrupt, EOFError):
                print(file=sys.stderr)  # what is said next starts a line of its own
                raise

    @contextlib.contextmanager
    def progress(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """Hand out a function that is told how many are done now: a bar with rate and remaining time on a terminal.

        Elsewhere a line each ten seconds.
        """
        began = told = time.monotonic()

        def line(done: int) -> None:
            nonlocal told
            now = time.monotonic()
            if now - told >= _LINE_SECONDS and done:
                told = now
                rate = done / (now - began)
                self.say(f"{what}: {done} of {total}, {rate:.0f} a second, {_span((total - done) / rate)} to go")

        if self.quiet or sys.stderr is None or not sys.stderr.isatty():
            yield line
            return
        from rich.console import Console as RichConsole
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            ProgressColumn,
            TextColumn,
            TimeRemainingColumn,
        )
        from rich.text import Text

        class Rate(ProgressColumn):
            def render(self, task: "Task") -> Text:
                speed = task.finished_speed or task.speed
                return Text("" if speed is None else f"{speed:.0f}/s")

        columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), Rate(), TimeRemainingColumn())
        console = RichConsole(stderr=True, no_color="NO_COLOR" in os.environ)
        with Progress(*columns, console=console, transient=True, speed_estimate_period=60) as bar:
            task = bar.add_task(what, total=total)
            yield lambda done: bar.update(task, completed=done)

    @contextlib.contextmanager
    def waiting(self, what: str) -> Iterator[Callable[[], None]]:
        """Hand out a function that is called while something takes its time: a line with the time on a terminal.

        Elsewhere a line each ten seconds.
        """
        began = told = time.monotonic()

        def line() -> None:
            nonlocal told
            now = time.monotonic()
            if now - told >= _LINE_SECONDS:
                told = now
                self.say(f"{what}: {_span(now - began)}")

        if self.quiet or sys.stderr is None or not sys.stderr.isatty():
            yield line
            return
        from rich.console import Console as RichConsole
        from rich.status import Status

        console = RichConsole(stderr=True, no_color="NO_COLOR" in os.environ, highlight=False)
        with Status(what, console=console) as status:
            yield lambda: status.update(f"{what}: {_span(time.monotonic() - began)}")

    @property
    def has_terminal(self) -> bool:
        """Whether there is somebody to ask."""
        return sys.stderr is not None and sys.stdin is not None and sys.stdin.isatty()

    def ask(self, question: str) -> str:
        """One line from the terminal; an empty answer where there is none to ask."""
        _write(question, sys.stderr, end=" ")
        # Not input(): it wants all three streams, and a closed stdout is no reason not to ask.
        answer = sys.stdin.readline() if sys.stdin and sys.stderr else ""
        if not answer:
            self.say()
        return answer.strip()


def reader_left(stream: TextIO | None) -> bool:
    """Whether a pipe's reader is gone, told before anything is written. Windows has no poll: False there."""
    with contextlib.suppress(AttributeError, OSError, ValueError):  # no poll, or no file behind it
        asked = select.poll()
        # Linux says ERR of a pipe without reader, the BSDs say HUP.
        asked.register(stream.fileno(), select.POLLERR)  # type: ignore[union-attr]
        return any(event & (select.POLLERR | select.POLLHUP) for _, event in asked.poll(0))
    return False


def _write(text: str, stream: TextIO | None, *, end: str = "\n") -> None:
    """Nothing to a stream that the caller closed (`2>&-`): print would take stdout instead. A character that its
    encoding lacks (a pipe on Windows, LC_ALL=C) is escaped, where print would raise."""
    if stream is not None:
        if not text.isascii():  # as nearly all of a gigabyte of log is
            encoding = stream.encoding or "utf-8"
            text = text.encode(encoding, "backslashreplace").decode(encoding)
        print(text, end=end, file=stream, flush=True)
