"""The gates through which names enter: DeviceId and AuthorityName, and the rules they hold."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from thingmint.errors import InputError

_RULE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9-])?")
_AUTHORITY_RULE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
# Windows opens a device for these names, whatever follows the first dot.
_WINDOWS_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))]
)


@dataclass(frozen=True, slots=True)
class DeviceId:
    """A device id that is at once a file name, a certificate's CN, a hub identity and a DPS registration id.

    1 to 64 characters (X.520 ub-common-name) of the set that all four allow, so that no later step needs escaping.
    """

    text: str

    def __str__(self) -> str:
        return self.text

    @classmethod
    def parse(cls, text: str | None) -> "DeviceId":
        """Raises InputError naming the first rule that is broken."""
        if text is None:
            raise InputError("no device id was given.", things_to_try=["add --imei ID, e.g. --imei 350457791791735879"])
        broken = problem(text)
        if broken:
            raise InputError(
                f"the device id {text!r} cannot be used: {broken}.",
                things_to_try=[
                    "use letters, digits, '.', '_' and '-' (1 to 64, starting with a letter or digit)",
                    "the usual id is the IMEI, printed on a sticker inside the Thingy:91",
                ],
            )
        return cls(text)

    def key(self) -> str:
        """For comparing: DPS registration ids and some file systems ignore case."""
        return self.text.casefold()

    def imei_doubt(self) -> str | None:
        """Why this id is no IMEI (3GPP TS 23.003: 15 digits, the last a Luhn digit), or None.

        Only ever a warning: the article's own id has 18 digits, and Nordic's test IMEI fails Luhn.
        """
        if not (self.text.isdigit() and len(self.text) == 15):
            return "an IMEI has 15 digits"
        digits = [int(digit) for digit in reversed(self.text)]
        total = sum(digits[0::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])
        return None if total % 10 == 0 else "its last digit is not the Luhn check digit of the others"

    def require_unique(self, others: Iterable[str]) -> None:
        """Raises InputError if one of `others` differs from this id by case alone."""
        for other in others:
            if other != self.text and other.casefold() == self.key():
                raise InputError(
                    f"the device id {self.text!r} differs from the existing {other!r} by case alone.",
                    things_to_try=[f"use --imei {other}", "choose an id that differs in more than case"],
                )


@dataclass(frozen=True)
class AuthorityName:
    """An authority's name: a folder and a cnf file in ca/, a value in that cnf, a part of a name on the hub.

    1 to 32 lower-case letters, digits and hyphens, so that it needs no escaping and no file system confuses two.
    """

    text: str

    def __str__(self) -> str:
        return self.text

    @classmethod
    def parse(cls, text: str) -> "AuthorityName":
        """Raises InputError naming the rule."""
        if not _AUTHORITY_RULE.fullmatch(text) or text in _WINDOWS_DEVICES:
            raise InputError(
                f"an authority cannot be called {text!r}.",
                things_to_try=["use 1 to 32 lower-case letters, digits and hyphens, e.g. factory-a"],
            )
        return cls(text)


def problem(text: str) -> str | None:
    """The first rule that `text` breaks as a device id, or None."""
    if not text:
        return "it is empty"
    if len(text) > 64:
        return f"it has {len(text)} characters, and a certificate's CN holds at most 64"
    if not _RULE.fullmatch(text) or not text.isascii():
        return "it breaks the rule [A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9-])?"
    if text.casefold().endswith(".chain"):
        return "it ends in '.chain', which names the chain file of another device"
    if text.casefold().split(".")[0] in _WINDOWS_DEVICES:
        return "Windows reserves that name for a device"
    return None
