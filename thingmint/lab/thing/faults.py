"""Every fault and variant that a simulated modem can be given, one switch each; harmless if not given.

Imports nothing heavy: `invoke --help modem` lists the switches.
"""

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from typing import Any

from thingmint.errors import InputError

BAUD = 115200


@dataclass(frozen=True)
class _Switch:
    """How a switch is written: NAME alone means `bare`, NAME=VALUE what `parse` makes of it."""

    text: str
    value: str = ""  # how --help writes the value
    bare: Any = None
    parse: Callable[[str], Any] | None = None
    wants: str = ""


def _flag(text: str) -> Any:
    return field(default=False, metadata={"switch": _Switch(text, bare=True)})


def _number(text: str, default: int, most: int, *, least: int = 0, bare: int | None = None) -> Any:
    def parse(given: str) -> int | None:
        return int(given) if re.fullmatch(r"[0-9]{1,9}", given, re.ASCII) and least <= int(given) <= most else None

    switch = _Switch(text, "N", bare, parse, f"a whole number from {least} to {most}")
    return field(default=default, metadata={"switch": switch})


def _choice(text: str, *choices: str) -> Any:
    def parse(given: str) -> str | None:
        return given if given in choices else None

    switch = _Switch(text, "|".join(choices), None, parse, f"one of {', '.join(choices)}")
    return field(default=choices[0], metadata={"switch": switch})


def _text(text: str, default: str, pattern: str, wants: str, value: str) -> Any:
    def parse(given: str) -> str | None:
        return given if re.fullmatch(pattern, given, re.ASCII) else None

    return field(default=default, metadata={"switch": _Switch(text, value, None, parse, wants)})


def _seconds(text: str) -> Any:
    def parse(given: str) -> float | None:
        return float(given) if re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3})?", given, re.ASCII) else None

    return field(default=0.0, metadata={"switch": _Switch(text, "SECONDS", None, parse, "seconds, e.g. 2.5")})


@dataclass(frozen=True)
class Faults:
    """What is unusual about a simulated modem."""

    # the port and the line
    tcp: bool = _flag("the port is socket://127.0.0.1:N, as on systems without ptys")
    instant: bool = _flag("the line has no speed and its ring no end: for tests of something else")
    baud: int = _number(
        "the line's rate; a client with another one reads and writes garbage", BAUD, 1_000_000, least=300
    )
    # the AT host
    terminator: str = _choice("what ends a command", "cr", "null", "lf", "crlf")
    echo: bool = _flag("the host sends back what it is sent; permanent")
    no_host: bool = _flag("a shell prompt answers instead of an AT host; permanent")
    silent: bool = _flag("nothing is ever answered; permanent")
    slow: float = _seconds("every answer takes this long; permanent")
    urc: bool = _flag("the modem's own messages in every gap between lines; permanent")
    log: bool = _flag("the application's log lines in every gap between lines; permanent")
    # the modem
    firmware: str = _text(
        "the modem firmware's version",
        "mfw_nrf9160_1.3.5",
        r"mfw_[\x21-\x7e]{1,36}",
        "mfw_ and up to 36 characters, e.g. mfw_nrf9160_1.3.2",
        "TEXT",
    )
    imei: str = _text("it answers this IMEI, as another device would", "", r"[0-9]{1,16}", "up to 16 digits", "DIGITS")
    cfun: int = _number("the functional mode that it starts in: 1 is active, and refuses writes by 518", 4, 44)
    cfun_refused: bool = _flag("AT+CFUN=4 is answered by an error; permanent, or the first time with `once`")
    cmee_refused: bool = _flag("AT+CMEE=1 is answered by ERROR, and no error has a code; permanent")
    overwrite: str = _choice("what a write over an existing entry does: replace it, or 519", "replace", "refuse")
    write_error: int = _number(
        "a write is answered by +CME ERROR: N, e.g. 514, 527, 528; permanent, or the first time with `once`",
        0,
        999,
        bare=527,
    )
    delete_error: int = _number(
        "a deletion is answered by +CME ERROR: N; permanent, or the first time with `once`", 0, 999, bare=514
    )
    memory_full: bool = _flag("there is no room for another entry (515); permanent, or the first time with `once`")
    keygen_fails: bool = _flag("AT%KEYGEN is answered by 523; permanent, or the first time with `once`")
    attestation: str = _choice(
        "the attestation in the answer to AT%KEYGEN; permanent, or the first time with `once`",
        "whole",
        "missing",
        "wrong-digest",
        "wrong-signature",
    )
    stores: str = _choice(
        "what a write really stores, answered by OK; permanent, or the first time with `once`",
        "as-sent",
        "crlf",
        "no-newline",
        "half",
    )
    once: bool = _flag("the faults that say so strike one time each")
    # what strikes in the middle of a write
    drop: int = _number("N bytes of one write get lost, and the answer is OK; once", 0, 4000, bare=100)
    unplug: int = _number(
        "the link drops after N bytes of one write, and is back half a second later; the host still waits for the"
        " rest of its command; once",
        0,
        4000,
        bare=400,
    )
    reboot: int = _number("it reboots after N bytes of one write; once", 0, 4000, bare=400)
    no_answer: bool = _flag("one write is done, and its answer never comes; once")
    # the bootloader
    recovery: bool = _flag("it waits in its bootloader, and speaks SMP: for `flash`, which starts what it wrote")
    flash: str = _choice(
        "what happens to an upload: the link drops half-way (once), the answer gets lost there (once), what is stored is"
        " damaged, it asks for one place for ever; or an old bootloader, which tells neither digest nor buffer",
        "well",
        "unplug",
        "lost-answer",
        "damaged",
        "stuck",
        "old",
    )
    at_write: int = _number(
        "which write, counted from 1, is struck by drop, unplug, reboot and no-answer", 1, 1000, least=1
    )


HARMLESS = Faults()

_SWITCHES: dict[str, tuple[str, _Switch]] = {
    one.name.replace("_", "-"): (one.name, one.metadata["switch"]) for one in fields(Faults)
}


def parse(texts: Iterable[str]) -> Faults:
    """Each text is NAME or NAME=VALUE; of two of one name, the later. Raises InputError naming what is wrong."""
    values: dict[str, Any] = {}
    for text in texts:
        name, given, value = text.partition("=")
        if name not in _SWITCHES:
            raise _unknown(name)
        field_name, switch = _SWITCHES[name]
        if not given:
            if switch.bare is None:
                raise InputError(f"--fault {name} wants a value: {name}={switch.value} ({switch.wants}).")
            values[field_name] = switch.bare
            continue
        if switch.parse is None:
            raise InputError(f"--fault {name} takes no value.", things_to_try=[f"--fault {name}"])
        parsed = switch.parse(value)
        if parsed is None:
            raise InputError(f"--fault {name}={value} cannot be used: it wants {switch.wants}.")
        values[field_name] = parsed
    return Faults(**values)


def described() -> tuple[tuple[str, str], ...]:
    """Each switch as it is written, and one line about it."""

    def written(name: str, switch: _Switch) -> str:
        if not switch.value:
            return name
        return f"{name}[={switch.value}]" if switch.bare is not None else f"{name}={switch.value}"

    return tuple((written(name, switch), switch.text) for name, (_, switch) in _SWITCHES.items())


def knows(name: str) -> bool:
    return name in _SWITCHES


def _unknown(name: str) -> InputError:
    close = difflib.get_close_matches(name, _SWITCHES, n=3)
    return InputError(
        f"there is no fault {name!r}.",
        things_to_try=[f"--fault {one}" for one in close] or [f"one of {', '.join(_SWITCHES)}"],
    )
