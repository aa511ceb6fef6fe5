"""What the user reads: results on stdout, talk on stderr. No other module prints."""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Console:
    """One command line's voice. The target is announced once for each distinct text, before anything else.

    `rehearse` tells its steps itself: the console of what it runs is `quiet`, and prints no `results`.
    """

    quiet: bool = False
    results: bool = True
    _announced: set[str] = field(default_factory=set)

    def announce(self, target: str) -> None:
        if target not in self._announced:
            self._announced.add(target)
            self.say(f"target: {target}")

    def say(self, text: str = "") -> None:
        if not self.quiet:
            print(text, file=sys.stderr, flush=True)

    def warn(self, text: str) -> None:
        self.say(f"warning: {text}")

    def result(self, text: str) -> None:
        if self.results:
            print(text, flush=True)

    def result_json(self, value: Any) -> None:
        self.result(json.dumps(value, indent=2, ensure_ascii=False))

    def table(self, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """A table on a terminal, tab-separated lines elsewhere, so that `cut` and `awk` read them."""
        if sys.stdout is None or not sys.stdout.isatty():  # None: closed by the caller, as in `>&-`
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

    def ask(self, question: str) -> str:
        """One line from the terminal; an empty answer where there is none to ask."""
        print(question, end=" ", file=sys.stderr, flush=True)
        try:
            return input().strip()
        except EOFError:
            self.say()
            return ""
