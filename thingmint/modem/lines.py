"""What a line from the modem is: a result, information, or one of the many things that share its line.

The AT host, its unsolicited result codes (URCs), Zephyr's log and the boot banner all write to one UART. Nothing here
waits or sends: bytes in, meaning out.
"""

import re
from dataclasses import dataclass

_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_UNPRINTABLE = "".join(chr(code) for code in (*range(0x20), *range(0x7F, 0x100)))
_FINAL = re.compile(r"OK|ERROR|\+CM[ES] ERROR: (\d+)")
# What others write to the same UART, to the end of the line: Zephyr's log, and the URCs of the nRF9160.
_LOG = r"\[\d{2,}:\d\d:\d\d\.\d{3},\d{3}\] <(?:inf|wrn|err|dbg)> .*"
_URC = (
    r"(?:\+(?:CEREG|CSCON|CGEV|CMT|CMTI|CDS|CNEC_EMM|CNEC_ESM|CNEC|CPIN|CRING)"
    r"|%(?:XTIME|CESQ|XSIM|XVBATLOWLVL|XTEMP|MDMEV|NCELLMEAS|RAI|XMODEMSLEEP))"
    r": [\w \",.:+/-]*"
)
_INTRUDER = re.compile(rf"(?:{_LOG}|{_URC})$")
READY = "Ready"  # the last line of the banner
_BOOT = re.compile(rf"\*\*\* Booting .*|The AT host sample started|{READY}")
_NAME = re.compile(r"AT([+%#][A-Z0-9]+)")
# The commands that answer without a prefix, and the shape of what they say. An id of ours may stand for an IMEI.
_BARE = {
    "AT+CGSN": re.compile(r"(?=[^ ]*\d)[A-Za-z0-9][A-Za-z0-9._-]{0,63}"),
    "AT+CGMR": re.compile(r"mfw[\w.+-]+"),
    "AT+CGMI": re.compile(r"Nordic Semiconductor[\w .]*|thingmint, simulated"),
    "AT+CIMI": re.compile(r"\d{6,15}"),
}


@dataclass(frozen=True)
class Final:
    """The end of an answer: done, or refused with a code (None: a plain ERROR)."""

    done: bool
    code: int | None = None


def text_of(line: bytes) -> str:
    """Every byte a character, without a terminal's colours."""
    return _COLOUR.sub("", line.decode("latin-1")).rstrip("\r")


def bare(text: str) -> str:
    """Without the stray bytes that a line catches at its ends."""
    return text.strip(_UNPRINTABLE + " ")


def split_intruder(text: str, command: str) -> tuple[str, str]:
    """What stands before a log record or URC that broke into the line, and the intruder ("" if there is none).

    The rest of the broken line follows as the next one. What `command` itself asks for is no intruder.
    """
    found = _INTRUDER.search(text)
    own = prefix(command)
    if found is None or (own and found[0].startswith(own)):
        return text, ""
    return text[: found.start()], found[0]


def final(line: str) -> Final | None:
    """Only a whole line is a result: base64 and log lines may contain "OK"."""
    found = _FINAL.fullmatch(line)
    if found is None:
        return None
    return Final(done=line == "OK", code=int(found[1]) if found[1] else None)


def is_boot(line: str) -> bool:
    """A line that only a modem says that has just started."""
    return _BOOT.fullmatch(line) is not None


def prefix(command: str) -> str:
    """How the information lines of a command begin: "+CFUN: " for AT+CFUN?; "" for AT alone."""
    found = _NAME.match(command)
    return f"{found[1]}: " if found else ""


def answers(line: str, command: str) -> bool:
    """Whether the line is information that this command gives."""
    start = prefix(command)
    if start and line.startswith(start):
        return True
    shape = _BARE.get(command)
    return shape is not None and shape.fullmatch(line) is not None and final(line) is None and not is_boot(line)
