"""What of a conversation may be shown: a credential's size and digest, never the credential."""

import hashlib
import re

# The content begins at the first quote; op, tag and type before it are no secret.
_WRITE = re.compile(r'\s*(AT%CMNG=0,\d*,\d*,)"?', re.IGNORECASE)
_RUN = re.compile(r"[A-Za-z0-9+/=_-]{16,}")
_LONGEST = 160


def carries_secret(command: str) -> bool:
    return _WRITE.match(command) is not None


def shown(command: str) -> str:
    """The command for a transcript or an error: what AT%CMNG=0 carries becomes its size and SHA-256."""
    found = _WRITE.match(command)
    if found is None:
        return printable(command)
    content = command[found.end() :].rstrip("\r\n").removesuffix('"').encode("utf-8")
    digest = hashlib.sha256(content).hexdigest().upper()
    return f"{found[1]}<{len(content)} bytes, SHA-256 {digest}>"


def veiled(line: str) -> str:
    """A line that nobody asked for: it may be the echo of a key that an earlier session wrote."""
    return printable(_RUN.sub(lambda run: f"<{len(run[0])} characters>", line))


def printable(text: str) -> str:
    """In one line, cut, without a byte that a terminal would obey."""
    safe = "".join(char if " " <= char <= "~" else f"\\x{ord(char):02x}" for char in text)
    return safe if len(safe) <= _LONGEST else f"{safe[:_LONGEST]}…"
