"""Whole lines out of bytes that come in any pieces. A line without an end costs no more memory than another."""

LONGEST = 2**16
"""Bytes that are kept of a line that goes on over more than one piece."""


class Blocks:
    """Joins what a reader's pieces tear apart."""

    def __init__(self) -> None:
        self.cut = 0  # lines that were too long, and lost their rest
        self._rest = b""
        self._skipping = False

    def feed(self, piece: bytes) -> bytes:
        """The lines that are whole now, each with its end; nothing where there is none yet."""
        if self._skipping:
            end = piece.find(b"\n") + 1
            if not end:
                return b""
            self._skipping = False
            piece = piece[end:]
        end = piece.rfind(b"\n") + 1
        if end:
            block, self._rest = self._rest + piece[:end], piece[end:]
        else:
            block, self._rest = b"", self._rest + piece
        if len(self._rest) > LONGEST:
            block += self._rest[:LONGEST] + b"\n"
            self._rest, self._skipping = b"", True
            self.cut += 1
        return block

    def end(self) -> bytes:
        """The last line, which a log that was cut off does not end."""
        rest, self._rest = self._rest, b""
        return rest + b"\n" if rest else b""
