"""CSRs in the encodings that are met: PEM as tools write it, and what a modem's own DER has amiss."""

import base64
import binascii
import re

# AlgorithmIdentifier of ecdsa-with-SHA256. RFC 5758 3.2: the parameters are absent. Modems of Nordic's write a NULL.
_ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
_ECDSA_SHA256_NULL = bytes.fromhex("300c06082a8648ce3d0403020500")
_SEQUENCE = 0x30
_BLOCK = re.compile(
    rb"-----BEGIN (?P<label>(?:NEW )?CERTIFICATE REQUEST)-----\s(?P<text>[A-Za-z0-9+/=\s]*)-----END (?P=label)-----"
)


def request_from_pem(pem: bytes) -> bytes:
    """The DER of the CSR in it, as it is. Text around it is skipped. Raises ValueError."""
    block = _BLOCK.search(pem)
    if block is None:
        raise ValueError("there is no PEM block of a CSR in it")
    try:
        return base64.b64decode(b"".join(block["text"].split()), validate=True)
    except binascii.Error as error:
        raise ValueError(f"its base64 is damaged: {error}") from None


def request_to_pem(der: bytes) -> bytes:
    """LF, lines of 64, one trailing newline."""
    text = base64.b64encode(der)
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return b"\n".join([b"-----BEGIN CERTIFICATE REQUEST-----", *lines, b"-----END CERTIFICATE REQUEST-----", b""])


def without_null(der: bytes) -> bytes:
    """The same CSR with the signature's algorithm as the standard has it, so that a strict reader takes it.

    What is signed and the signature stay to the byte (RFC 2986 4.2). Anything else than that one NULL is left as it is.
    """
    try:
        start, end = _content(der, 0)
        _, signed_end = _content(der, start)
    except ValueError:
        return der  # the reader says what is wrong
    if end != len(der) or not der.startswith(_ECDSA_SHA256_NULL, signed_end):
        return der
    rest = der[signed_end + len(_ECDSA_SHA256_NULL) :]
    return _sequence(der[start:signed_end] + _ECDSA_SHA256 + rest)


def _content(der: bytes, at: int) -> tuple[int, int]:
    """Where the content of the SEQUENCE at `at` begins and ends (X.690 8.1.3). Raises ValueError."""
    if len(der) < at + 2 or der[at] != _SEQUENCE:
        raise ValueError("no SEQUENCE")
    first = der[at + 1]
    more = first & 0x7F if first & 0x80 else 0
    start = at + 2 + more
    end = start + (int.from_bytes(der[at + 2 : start]) if more else first)
    if end > len(der):
        raise ValueError("cut short")
    return start, end


def _sequence(content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([_SEQUENCE, size]) + content
    width = (size.bit_length() + 7) // 8
    return bytes([_SEQUENCE, 0x80 | width]) + size.to_bytes(width) + content
