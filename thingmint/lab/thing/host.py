"""Nordic's AT host (sdk-nrf, lib/at_host): bytes become commands. Its weaknesses are what a client must live with."""

from typing import Protocol

BUFFER = 4096
_BACKSPACES = b"\x08\x7f"
_QUOTE = ord('"')
_ENDS = {"cr": b"\r", "null": b"\0", "lf": b"\n", "crlf": b"\r\n"}


class Host(Protocol):
    """Who reads the line."""

    buffer: bytearray

    def feed(self, byte: int) -> bytes | None:
        """A command where this byte ends one."""


class AtHost:
    """Collects bytes until the terminator outside quotes.

    A full buffer drops what comes, a closing quote too: then the host is stuck inside quotes, and swallows every
    command up to a quote that finds room.
    """

    def __init__(self, terminator: str) -> None:
        self._end = _ENDS[terminator]
        self.buffer = bytearray()
        self._quoted = False

    def feed(self, byte: int) -> bytes | None:
        if byte in _BACKSPACES:
            del self.buffer[-1:]  # also of a quote, whose state stays as it is
            return None
        if not self._quoted and byte == self._end[-1] and self.buffer.endswith(self._end[:-1]):
            # What a client with another terminator leaves behind (CRLF: a LF) belongs to no command.
            command = bytes(self.buffer).strip(b"\r\n\0")
            self.buffer.clear()
            return command if any(one > ord(" ") for one in command) else None
        if len(self.buffer) >= BUFFER - 1:  # room for C's closing NUL
            return None
        self.buffer.append(byte)
        if byte == _QUOTE:
            self._quoted = not self._quoted
        return None


class Shell:
    """What stands in its place in another firmware: every line gets an answer, and none that AT clients know."""

    def __init__(self) -> None:
        self.buffer = bytearray()

    def feed(self, byte: int) -> bytes | None:
        if byte not in b"\r\n":
            self.buffer.append(byte)
            return None
        line = bytes(self.buffer)
        self.buffer.clear()
        return line if byte == ord("\r") else None


def shell_answer(line: bytes) -> bytes:
    """Zephyr's shell: it echoes, complains, and prompts in colour."""
    word = line.split(b" ")[0]
    complaint = b"\x1b[1;31m" + word + b": command not found\r\n\x1b[m" if word else b""
    return line + b"\r\n" + complaint + b"\x1b[1;32muart:~$ \x1b[m"
