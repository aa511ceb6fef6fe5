"""Where passphrases come from: the terminal, a variable or a descriptor, as `pki.passphrase` says. Never argv."""

import os
from collections.abc import Mapping

from thingmint.console import Console
from thingmint.errors import InputError

SHORTEST = 8
# openssl reads a passphrase into a buffer of this size and cuts the rest without a word.
_LONGEST = 1024
_ALTERNATIVES = (
    "set pki.passphrase (or THINGMINT_PKI_PASSPHRASE) to env:NAME, and the passphrase in the variable NAME",
    "set it to fd:3, and end the command line with 3<FILE; its first line is read",
)


class Passphrases:
    """One a session: what was typed once is not asked again on the same command line. Held in memory only.

    `what` is short and stable (an authority's name, "bundle"): it chooses the variable. `label` is what a prompt says.
    """

    def __init__(self, source: str, console: Console, environment: Mapping[str, str] = os.environ) -> None:
        self._kind, _, self._place = source.partition(":")
        self._console = console
        self._environment = environment
        self._known: dict[str, str] = {}
        self._line: str | None = None

    def __repr__(self) -> str:
        return "Passphrases()"

    def existing(self, what: str, label: str) -> str:
        """The passphrase of what is encrypted already. Raises InputError."""
        if what not in self._known:
            self._known[what] = self._get(what, f"passphrase of {label}")
        return self._known[what]

    def new(self, what: str, label: str) -> str:
        """A passphrase to encrypt with, typed twice at a prompt. Raises InputError."""
        passphrase = self._get(what, f"new passphrase for {label}")
        if len(passphrase) < SHORTEST:
            raise InputError(
                f"the new passphrase for {label} has fewer than {SHORTEST} characters.",
                things_to_try=["take some words that only you put together"],
            )
        if self._kind == "prompt" and self._ask("the same once more") != passphrase:
            raise InputError(
                f"the two passphrases for {label} differ; nothing was encrypted.", things_to_try=["run this again"]
            )
        self._known[what] = passphrase
        return passphrase

    def forget(self, what: str) -> bool:
        """It was wrong. True if asking again can bring another one, which only a prompt can."""
        self._known.pop(what, None)
        return self._kind == "prompt"

    def _get(self, what: str, question: str) -> str:
        if self._kind == "env":
            return self._variable(what)
        if self._kind == "fd":
            if self._line is None:
                self._line = _checked(_first_line(int(self._place)), f"the first line of descriptor {self._place}")
            return self._line
        return self._ask(question)

    def _variable(self, what: str) -> str:
        own = f"{self._place}_{''.join(one if one.isalnum() else '_' for one in what)}".upper()
        for name in (own, self._place):
            if name in self._environment:
                return _checked(self._environment[name], f"the environment variable {name}")
        raise InputError(
            f"pki.passphrase is env:{self._place}, and neither {own} nor {self._place} is set.",
            things_to_try=[f"set {self._place}", "set pki.passphrase to prompt"],
        )

    def _ask(self, question: str) -> str:
        try:
            typed = self._console.ask_secret(question)
        except EOFError:
            raise InputError("no passphrase was typed.", things_to_try=["run this again", *_ALTERNATIVES]) from None
        except UnicodeDecodeError:
            raise InputError(
                "what was typed does not fit the terminal's character set.", things_to_try=["set LC_ALL=C.UTF-8"]
            ) from None
        if typed is None:
            raise InputError(
                f"pki.passphrase is prompt, and there is no terminal to ask for the {question}.",
                things_to_try=_ALTERNATIVES,
            )
        return _checked(typed, "the passphrase")


def _checked(passphrase: str, where: str) -> str:
    """What every use of it accepts alike. The messages never show it."""
    problem = ""
    if not passphrase:
        problem = "is empty"
    elif any(one in passphrase for one in "\0\r\n"):
        problem = "holds a NUL or a line break"
    elif any("\ud800" <= one <= "\udfff" for one in passphrase):
        problem = "is not UTF-8"
    elif len(passphrase.encode()) > _LONGEST:
        problem = f"is longer than {_LONGEST} bytes"
    if problem:
        raise InputError(
            f"{where} {problem}, and cannot be a passphrase.",
            things_to_try=["use one line of letters, digits, spaces and signs"],
        )
    return passphrase


def _first_line(descriptor: int) -> str:
    """Byte by byte: what follows the line stays there for others (ids on standard input)."""
    line = b""
    try:
        if os.isatty(descriptor):
            raise InputError(
                f"pki.passphrase is fd:{descriptor}, and that is a terminal, which would show what is typed.",
                things_to_try=["set pki.passphrase to prompt"],
            )
        while len(line) <= _LONGEST and not line.endswith(b"\n"):
            byte = os.read(descriptor, 1)
            if not byte:
                break
            line += byte
    except OSError as error:
        raise InputError(
            f"pki.passphrase is fd:{descriptor}, and that descriptor cannot be read: {error.strerror}.",
            things_to_try=[f"end the command line with {descriptor}<FILE", "set pki.passphrase to prompt"],
        ) from None
    return line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", errors="surrogateescape")
