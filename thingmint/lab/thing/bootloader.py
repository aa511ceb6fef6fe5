"""MCUboot's serial recovery (boot/boot_serial): SMP in lines of base64, straight into the first slot.

No line is answered that is not whole, and no image is listed that would not be started: whoever sends must live with that.
"""

import base64
import binascii
import hashlib
import struct
from pathlib import Path
from typing import Any

import cbor2

from thingmint import files
from thingmint.lab.thing.faults import Faults

_START, _CONTINUE = b"\x06\x09", b"\x04\x14"
_LONGEST_LINE = 512
_PER_LINE = 124  # characters of base64 that it puts into one of its own
_HEADER = struct.Struct(">BBHHBB")  # operation, flags, length, group, sequence, command
_READ, _WRITE = 0, 2
_OS, _IMAGE = 0, 1
_RESET, _PARAMETERS = (_OS, 5), (_OS, 6)
_LIST, _UPLOAD = (_IMAGE, 0), (_IMAGE, 1)
_EINVAL, _ENOTSUP = 3, 8
BUFFER = 1024
"""How many bytes of a message it holds, with its length and CRC."""
SLOT = 0x69000
"""The first slot of a Thingy:91, as the SDK partitions its flash."""
_IMAGE_HEADER = struct.Struct("<IIHHIIBBHI")
_MAGIC = 0x96F3B83D
_SHA256 = 0x10


class Frames:
    """Collects bytes until a message is whole. What is too long, out of order or damaged is dropped without a word."""

    def __init__(self) -> None:
        self.buffer = bytearray()  # a line
        self._message = b""

    def feed(self, byte: int) -> bytes | None:
        if byte != ord("\n"):
            if len(self.buffer) < _LONGEST_LINE:
                self.buffer.append(byte)
            return None
        line = bytes(self.buffer)
        self.buffer.clear()
        if line[:2] == _START:
            self._message = b""
        elif line[:2] != _CONTINUE or not self._message:
            return None
        try:
            self._message += base64.b64decode(line[2:], validate=True)
        except binascii.Error:
            self._message = b""
        return self._whole()

    def _whole(self) -> bytes | None:
        found = self._message
        if len(found) > BUFFER:
            self._message = b""
            return None
        if len(found) < 2 or len(found) - 2 < int.from_bytes(found[:2], "big"):
            return None
        self._message = b""
        body = found[2:]
        return body[:-2] if len(body) > _HEADER.size and binascii.crc_hqx(body, 0) == 0 else None


class Bootloader:
    """Answers messages. What it holds is in a file, from its first byte to its last: a cut upload leaves no application."""

    def __init__(self, path: Path, faults: Faults) -> None:
        self._path = path
        self._fault = faults.flash
        self._data = bytearray(path.read_bytes() if path.exists() else b"")
        self._size = len(self._data)
        self._struck = False
        self.reset = False  # whether it was told to start the application
        self.unplugged = False  # whether the cable is pulled now

    def answer(self, message: bytes) -> bytes:
        """The lines that answer; nothing where the answer gets lost."""
        operation, _, _, group, sequence, command = _HEADER.unpack_from(message)
        try:
            said = cbor2.loads(message[_HEADER.size :]) if len(message) > _HEADER.size else {}
        except cbor2.CBORDecodeError:
            return b""
        told = self._told(operation & 7, (group, command), said if isinstance(said, dict) else {})
        if told is None:
            return b""
        body = cbor2.dumps(told)
        return _lines(_HEADER.pack((operation & 7) + 1, 0, len(body), group, sequence, command) + body)

    def _told(self, operation: int, request: tuple[int, int], said: dict[str, Any]) -> dict[str, Any] | None:
        if request == _LIST and operation == _READ:
            return {"images": self._images()}
        if request == _UPLOAD and operation == _WRITE:
            return self._upload(said)
        if request == _PARAMETERS and self._fault != "old":
            return {"buf_size": BUFFER, "buf_count": 1}
        if request == _RESET:
            self.reset = True
            return {"rc": 0}
        return {"rc": _ENOTSUP}

    def _images(self) -> list[dict[str, Any]]:
        found = _parse(bytes(self._data))
        if found is None:
            return []
        version, digest = found
        return [{"slot": 0, "version": version, **({} if self._fault == "old" else {"hash": digest})}]

    def _upload(self, said: dict[str, Any]) -> dict[str, Any] | None:
        offset, data = said.get("off"), said.get("data")
        if not isinstance(offset, int) or not isinstance(data, bytes):
            return {"rc": _EINVAL}
        if offset == 0:
            size = said.get("len")
            if not isinstance(size, int) or size > SLOT:
                return {"rc": _EINVAL}
            self._data.clear()
            self._size = size
            self._path.unlink(missing_ok=True)
        if offset != len(self._data) or (self._fault == "stuck" and offset):
            return {"rc": 0, "off": len(self._data)}
        if offset + len(data) > self._size:
            return {"rc": _EINVAL}
        self._data += data
        if len(self._data) == self._size:
            if self._fault == "damaged":
                self._data[self._size // 2] ^= 1
            files.replace(self._path, bytes(self._data), mode=files.SECRET)
        return None if self._strikes() else {"rc": 0, "off": len(self._data)}

    def _strikes(self) -> bool:
        """Whether this answer does not come: half of the image is there, once."""
        if self._struck or self._fault not in {"unplug", "lost-answer"} or len(self._data) < self._size // 2:
            return False
        self._struck = True
        self.unplugged = self._fault == "unplug"
        return True


def _lines(message: bytes) -> bytes:
    checked = message + binascii.crc_hqx(message, 0).to_bytes(2, "big")
    text = base64.b64encode(len(checked).to_bytes(2, "big") + checked)
    parts = [text[at : at + _PER_LINE] for at in range(0, len(text), _PER_LINE)]
    return b"".join((_CONTINUE if at else _START) + part + b"\n" for at, part in enumerate(parts))


def _parse(data: bytes) -> tuple[str, bytes] | None:
    """Version and digest of an image that it would start. Its signature is not looked at: there is no key here."""
    if len(data) < _IMAGE_HEADER.size:
        return None
    magic, _, header, protected, size, _, major, minor, revision, build = _IMAGE_HEADER.unpack_from(data)
    end = header + size + protected
    place = data.find(_SHA256.to_bytes(2, "little") + b"\x20\x00", end)
    digest = data[place + 4 : place + 36]
    if magic != _MAGIC or place < 0 or hashlib.sha256(data[:end]).digest() != digest:
        return None
    return f"{major}.{minor}.{revision}" + (f".{build}" if build else ""), digest
