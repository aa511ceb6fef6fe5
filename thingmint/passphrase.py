"""Where passphrases come from: the terminal, a variable or a descriptor, as `pki.passphrase` says. Never argv."""

import os
from collections.abc import Callable, Mapping

from thingmint.console import Console
from thingmint.errors import InputError, ThingmintError

SHORTEST = 8
TRIES = 3
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
        self._proven: set[str] = set()
        self._refused: dict[str, ThingmintError] = {}
        self._line: str | None = None

    def __repr__(self) -> str:
        return "Passphrases()"

    def existing(self, what: str, label: str, *, kind: str = "passphrase") -> str:
        """The passphrase (or PIN, as `kind` says) of what is locked already. Raises InputError."""
        if what not in self._known:
            self._known[what] = self._get(what, f"{kind} of {label}")
        return self._known[what]

    def proven(
        self, what: str, label: str, opens: Callable[[str], bool], *, kind: str = "passphrase", tries: int = TRIES
    ) -> str:
        """The same, once `opens` has said that it fits. A prompt has `tries`; elsewhere a second look finds the same.

        What was refused stays refused on this command line: a token counts wrong PINs, and locks itself.
        """
        if what in self._proven:
            return self._known[what]
        if what in self._refused:
            raise self._refused[what]
        try:
            return self._prove(what, label, opens, kind=kind, tries=tries)
        except ThingmintError as error:
            self._refused[what] = error
            raise

    def _prove(self, what: str, label: str, opens: Callable[[str], bool], *, kind: str, tries: int) -> str:
        for left in reversed(range(tries)):
            secret = self.existing(what, label, kind=kind)
            if opens(secret):
                self._proven.add(what)
                return secret
            if not self.forget(what):
                break
            if left:
                self._console.say(f"the {kind} of {label} is wrong; once more, please")
        raise InputError(
            f"the {kind} of {label} is wrong.",
            things_to_try=["run this again with the right one"]
            + ([] if self._kind == "prompt" else [self._looked_at(what)]),
        )

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
        self._proven.discard(what)
        return self._kind == "prompt"

    def _looked_at(self, what: str) -> str:
        """Where a wrong one came from, for an error."""
        if self._kind == "fd":
            return f"see the first line of descriptor {self._place}"
        own = self._own_variable(what)
        return f"see the environment variable {own if own in self._environment else self._place}"

    def _get(self, what: str, question: str) -> str:
        if self._kind == "env":
            return self._variable(what)
        if self._kind == "fd":
            if self._line is None:
                self._line = _checked(_first_line(int(self._place)), f"the first line of descriptor {self._place}")
            return self._line
        return self._ask(question)

    def _variable(self, what: str) -> str:
        own = self._own_variable(what)
        for name in (own, self._place):
            if name in self._environment:
                return _checked(self._environment[name], f"the environment variable {name}")
        raise InputError(
            f"pki.passphrase is env:{self._place}, and neither {own} nor {self._place} is set.",
            things_to_try=[f"set {self._place}", "set pki.passphrase to prompt"],
        )

    def _own_variable(self, what: str) -> str:
        return f"{self._place}_{''.join(one if one.isalnum() else '_' for one in what)}".upper()

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
