"""What a reader sees of a log: text without a terminal's codes, and how each line is to look."""

import re

_CODES = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-Z\\-_])")
_CONTROLS = bytes(code for code in (*range(0x20), 0x7F) if code not in b"\t\n")
# The same again above ASCII: some terminals obey these, too.
_HIGH = re.compile("[\x80-\x9f\u2028\u2029]")
_LOOKS = (
    (re.compile(r"<err>"), "red"),
    (re.compile(r"<wrn>"), "yellow"),
    (re.compile(r"<dbg>"), "dim"),
    (re.compile(r"<inf>"), ""),
    (re.compile(r"^[+%][A-Z]"), "cyan"),  # what the modem says by itself
    (re.compile(r"^(?:\*\*\*|---) "), "bold"),  # a boot; messages dropped
)
_HEAD = 200  # characters in which a level stands, if it does


def text(block: bytes) -> str:
    """Colours, carriage returns and other codes are gone; what is no UTF-8 is replaced."""
    if b"\x1b" in block:
        block = _CODES.sub(b"", block)
    shown = block.translate(None, _CONTROLS).decode("utf-8", "replace")
    return shown if shown.isascii() else _HIGH.sub("", shown)


def look(line: str) -> str:
    """The style of a line, by its level."""
    return next((style for pattern, style in _LOOKS if pattern.search(line, 0, _HEAD)), "")
