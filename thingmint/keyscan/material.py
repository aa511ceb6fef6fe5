"""Key material in a file's bytes: PEM, DER, connection strings, and the first two inside base64 or a C array.

A marker alone is no key: code and documents mention markers. What follows one has to look like a key's body.
"""

import binascii
import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple

from thingmint.keyscan import der

CHUNK = 1 << 20
AHEAD = 1 << 14  # what a key that begins in one chunk may need of the next: RSA with 16384 bits fits, as PEM and DER

# Each pattern begins with letters of its own: re looks for those at full speed, and a binary of 100 MB takes seconds.
_MARKERS = (
    re.compile(rb"BEGIN ((?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?) ?-{4}-?"),
    re.compile(rb"Private-Lines: \d+"),  # PuTTY's
)

# What stands between a key's lines in YAML, JSON, C, a comment or a patch: anything but base64, and the escapes \n, \r
# and \t. A lone + or / is the concatenation or the comment of some language, although base64 has both.
_BETWEEN = rb"(?:\\[nrt]|[^A-Za-z0-9+/-]|(?<!-)-(?!-)|(?<![A-Za-z0-9+/])[+/]{1,2}(?![A-Za-z0-9+/]))*+"
_HEADER = rb"[A-Z][A-Za-z-]*+: [^\r\n\\\"']*+"  # Proc-Type, DEK-Info, Version, …
_BODY = re.compile(_BETWEEN + rb"(?:" + _HEADER + _BETWEEN + rb"){0,8}+((?:[A-Za-z0-9+/]{16,}+" + _BETWEEN + rb")++)")

_CONNECTION_STRING = re.compile(rb"SharedAccessKey[\"']?\s*[=:]\s*[\"']?([A-Za-z0-9+/]{22,})")

# Base64 of what begins with a SEQUENCE or with -----BEGIN, over as many lines as it has; and bytes as C writes them.
_MORE = rb"[A-Za-z0-9+/]{40,}+(?:\s{1,40}+[A-Za-z0-9+/]{2,}+)*+"
_BASE64 = (re.compile(rb"M[A-I]" + _MORE), re.compile(rb"LS0tLS1CRUdJTi" + _MORE))
_C_ARRAY = re.compile(rb"0x(?:30|2[dD])\s*+,\s*+(?:0x[0-9a-fA-F]{2}\s*+,\s*+){32,}+(?:0x[0-9a-fA-F]{2})?")


class Finding(NamedTuple):
    """Where and what; never any part of the key."""

    line: int
    what: str


_Span = tuple[int, int, str]  # where something begins and ends, and what it is


def scan(stream: BinaryIO, size: int) -> list[Finding]:
    """The findings in the next `size` bytes of a stream, which may be of any size."""
    findings: list[Finding] = []
    line = 1
    in_data = in_text = 0  # where the last key of the chunk before ends in this one
    window = stream.read(min(size, CHUNK + AHEAD))
    left = size - len(window)
    while True:
        own = CHUNK if left else len(window)  # what begins later is found with the next chunk
        told, in_data = _begin_in(own, der.find(window), after=in_data)
        findings += [Finding(line + window.count(b"\n", 0, at), what) for at, what in told]
        # Without NULs, text in UTF-16 (Windows PowerShell's `>`) reads like any other.
        text, own_text = window.replace(b"\0", b""), len(window[:own].replace(b"\0", b""))
        spans = [*_pem(text), *_connection_strings(text), *_wrapped(text)]
        told, in_text = _begin_in(own_text, spans, after=in_text)
        findings += [Finding(line + text.count(b"\n", 0, at), what) for at, what in told]
        if not left:
            return findings
        line += window.count(b"\n", 0, own)
        more = stream.read(min(left, CHUNK))
        left = left - len(more) if more else 0
        window = window[own:] + more


def _begin_in(own: int, spans: Iterable[_Span], *, after: int) -> tuple[list[tuple[int, str]], int]:
    """What begins before `own`, and what the last of it covers beyond; a key within another is not told again."""
    told = []
    for start, end, what in sorted(spans):
        if after <= start < own:
            told.append((start, what))
            after = end
    return told, max(0, after - own)


def _pem(text: bytes) -> Iterator[_Span]:
    for marker in _matches(text, *_MARKERS):
        body = _BODY.match(text, marker.end())
        if body and _random(body[1], at_least=40):
            what = f"{marker[1].decode()} (PEM)" if marker.lastindex else "PuTTY private key"
            yield marker.start(), body.end(), what


def _connection_strings(text: bytes) -> Iterator[_Span]:
    for match in _CONNECTION_STRING.finditer(text):
        if _random(match[1], at_least=22):
            yield match.start(), match.end(), "connection string with its SharedAccessKey"


def _wrapped(text: bytes) -> Iterator[_Span]:
    for match in _matches(text, *_BASE64):
        letters = b"".join(match[0].split())
        for what in _bare(binascii.a2b_base64(letters[: len(letters) // 4 * 4])):
            yield match.start(), match.end(), f"{what}, in base64"
    for match in _C_ARRAY.finditer(text):
        digits = b"".join(re.findall(rb"0x(..)", match[0]))
        for what in _bare(binascii.unhexlify(digits)):
            yield match.start(), match.end(), f"{what}, in a C array"


def _bare(data: bytes) -> Iterator[str]:
    yield from (what for _, what in _begin_in(len(data), der.find(data), after=0)[0])
    yield from (what for _, _, what in _pem(data))


def _matches(text: bytes, *patterns: re.Pattern[bytes]) -> Iterator[re.Match[bytes]]:
    for pattern in patterns:
        yield from pattern.finditer(text)


def _random(text: bytes, *, at_least: int) -> bool:
    """Whether that many characters of base64 are there, and not XXXX, words, or a hexadecimal number."""
    letters = re.sub(rb"\\[nrt]|[^A-Za-z0-9+/]", b"", text)
    return len(letters) >= at_least and all(re.search(some, letters) for some in (rb"[A-Z]", rb"[a-z]", rb"[0-9]"))
