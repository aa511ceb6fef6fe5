"""Private keys in DER, told by their structure alone, wherever they begin: no decryption, no library, no secret read."""

import re
from collections.abc import Iterator
from typing import NamedTuple

_INTEGER, _OCTETS, _OID, _SEQUENCE = 0x02, 0x04, 0x06, 0x30

# What is worth parsing: a SEQUENCE, and in it a small version number, or a SEQUENCE that begins with an OID.
_LENGTH = rb"(?:[\x02-\x80]|\x81.|\x82..|\x83...)"
_CANDIDATE = re.compile(rb"\x30(?=" + _LENGTH + rb"(?:\x02\x01[\x00\x01\x03]|\x30" + _LENGTH + rb"\x06))", re.DOTALL)

_PKCS7 = bytes.fromhex("2a864886f70d0107")  # 1.2.840.113549.1.7: what a PKCS#12 file holds
_ENCRYPTIONS = (
    bytes.fromhex("2a864886f70d0105"),  # 1.2.840.113549.1.5: PKCS#5
    bytes.fromhex("2a864886f70d010c01"),  # 1.2.840.113549.1.12.1: PKCS#12's own
)


class _Element(NamedTuple):
    tag: int
    start: int
    end: int


def find(data: bytes) -> Iterator[tuple[int, int, str]]:
    """Where each key begins and ends, and what it is; one inside another (PKCS#8 holds one) as well."""
    for match in _CANDIDATE.finditer(data):
        outer = _element(data, match.start())
        if outer and (kind := _kind(data, _children(data, outer))):
            yield match.start(), outer.end, kind


def _element(data: bytes, at: int) -> _Element | None:
    header = data[at : at + 6]
    if len(header) < 2:
        return None
    length, start = header[1], at + 2
    if length == 0x80:  # BER's indefinite length: some programs write PKCS#12 so
        return _Element(header[0], start, len(data))
    if length > 0x80:
        size = length & 0x7F
        if size > 4:
            return None
        length = int.from_bytes(header[2 : 2 + size], "big")
        start += size
    return _Element(header[0], start, start + length)


def _children(data: bytes, parent: _Element) -> list[_Element]:
    """The first ten, as far as there is data: more than any key needs to be told."""
    found: list[_Element] = []
    at = parent.start
    while at < parent.end and len(found) < 10:
        element = _element(data, at)
        if element is None or element.end > parent.end:
            break
        found.append(element)
        at = element.end
    return found


def _kind(data: bytes, parts: list[_Element]) -> str:
    tags = [part.tag for part in parts]
    if tags == [_SEQUENCE, _OCTETS] and _oid(data, parts[0]).startswith(_ENCRYPTIONS):
        return "encrypted PKCS#8 private key (DER)"
    if len(parts) < 2 or tags[0] != _INTEGER:
        return ""
    version = data[parts[0].start : parts[0].end]
    size = parts[1].end - parts[1].start
    if version in {b"\0", b"\1"}:
        if tags[1:3] == [_SEQUENCE, _OCTETS] and _oid(data, parts[1]):
            return "PKCS#8 private key (DER)"
        if tags[:9] == [_INTEGER] * 9 and size > 32:
            return "RSA private key (PKCS#1, DER)"
        if tags == [_INTEGER] * 6 and size > 32:
            return "DSA private key (DER)"
    if version == b"\1" and tags[1] == _OCTETS and 16 <= size <= 66 and set(tags[2:]) <= {0xA0, 0xA1}:
        return "EC private key (SEC1, DER)"
    if version == b"\3" and tags[1] == _SEQUENCE and _oid(data, parts[1]).startswith(_PKCS7):
        return "PKCS#12 file"
    return ""


def _oid(data: bytes, sequence: _Element) -> bytes:
    """The OID that a SEQUENCE begins with, encoded; empty if it begins with something else."""
    first = _element(data, sequence.start)
    return data[first.start : first.end] if first and first.tag == _OID else b""
