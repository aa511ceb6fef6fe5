"""A firmware image as MCUboot takes it: taken apart, and its own digest proven, before anything is sent.

The format is MCUboot's (docs/design.md): a header, the body, protected TLVs, then TLVs, of which one is the SHA-256 of
all before them.
"""

import hashlib
import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from thingmint.errors import InputError

_MAGIC = 0x96F3B83D
_HEADER = struct.Struct("<IIHHIIBBHI4x")  # magic, load address, sizes of header, protected TLVs, body; flags, version
_INFO = struct.Struct("<HH")  # magic, size of the TLVs with this
_TLV = struct.Struct("<HH")  # type, length
_TLV_MAGIC, _PROTECTED_MAGIC = 0x6907, 0x6908
_SHA256 = 0x10
_ENCRYPTED = 0x04 | 0x08
_TRAILER = bytes.fromhex("77c295f360d2ef7f3552500f2cb67980")  # ends a slot that `imgtool sign --pad` filled
_PAGE = 4096
_LARGEST = 16 * 2**20  # of a file; a .hex has nearly three characters a byte
_WIDEST = 2**20  # between a .hex file's parts: UICR and other chips are far away
_RAM = 0x20000000

TAKE = "take app_update.bin, or (newer SDKs) zephyr.signed.bin, from the build folder"


@dataclass(frozen=True)
class Image:
    """One that is whole. `sha256` is MCUboot's own digest of it, which a bootloader lists: not that of the file."""

    path: Path
    data: bytes = field(repr=False)
    version: str
    sha256: str
    stack: int  # the first two words of the vector table
    reset: int


@dataclass(frozen=True)
class Chip:
    """What an image can tell of the chip that it was linked for."""

    name: str
    flash: int
    ram: int


NRF91 = Chip("nRF9160", flash=2**20, ram=2**18)


def read(path: Path) -> Image:
    """The image in a .bin or .hex file. Raises InputError, naming what else it is where that can be seen."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise InputError(f"the image {path} cannot be read: {error.strerror}.", things_to_try=[TAKE]) from None
    if len(content) > _LARGEST:
        raise InputError(f"{path} is too large for an image of this device.", things_to_try=[TAKE])
    data = _from_hex(path, content) if path.suffix.lower() == ".hex" else content
    return _parse(path, data)


def require_chip(image: Image, chip: Chip) -> None:
    """Raises InputError where the image was linked for another chip, or is larger than all of this one's flash."""
    if len(image.data) > chip.flash:
        raise InputError(
            f"{image.path} has {len(image.data)} bytes, and all of the {chip.name}'s flash has {chip.flash}.",
            things_to_try=[f"build it for this device's board; {TAKE}"],
        )
    if not (_RAM <= image.stack <= _RAM + chip.ram and image.reset < chip.flash):
        raise InputError(
            f"{image.path} was built for another chip: it starts at {image.reset:#x} with its stack at "
            f"{image.stack:#x}, where the {chip.name} has neither flash nor RAM.",
            things_to_try=["build it for this device's board: thingy91_nrf9160_ns, or thingy91/nrf9160/ns"],
        )


def _parse(path: Path, data: bytes) -> Image:
    if data[:4] != _MAGIC.to_bytes(4, "little"):
        raise _no_image(path, data)
    if len(data) < _HEADER.size:
        raise _cut_off(path)
    _, _, header, protected, size, flags, major, minor, revision, build = _HEADER.unpack_from(data)
    signed = header + size + protected
    if header < _HEADER.size or size < 2 * 4 or len(data) < signed + _INFO.size:
        raise _cut_off(path)
    if flags & _ENCRYPTED:
        raise InputError(
            f"{path} is encrypted: what is in it cannot be proven here.", things_to_try=["take the one that is not"]
        )
    magic, total = _INFO.unpack_from(data, signed)
    if magic != _TLV_MAGIC or len(data) < signed + total:
        raise _cut_off(path)
    told = next((value for kind, value in _tlvs(data[signed + _INFO.size : signed + total]) if kind == _SHA256), None)
    if told is None:
        raise InputError(f"{path} holds no SHA-256 of itself: no bootloader of this device takes it.")
    if hashlib.sha256(data[:signed]).digest() != told:
        raise InputError(
            f"{path} is damaged: the SHA-256 in it is not that of its content.",
            things_to_try=["copy it again, or build it again"],
        )
    _require_padding(path, data[signed + total :])
    stack, reset = struct.unpack_from("<II", data, header)
    return Image(path, data[: signed + total], f"{major}.{minor}.{revision}+{build}", told.hex(), stack, reset)


def _tlvs(area: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + _TLV.size <= len(area):
        kind, length = _TLV.unpack_from(area, at)
        at += _TLV.size
        yield kind, area[at : at + length]
        at += length


def _require_padding(path: Path, rest: bytes) -> None:
    """What fills the slot behind an image is not sent; more than that is no image of ours."""
    if rest.strip(b"\xff") and not rest.endswith(_TRAILER):
        raise InputError(f"{path} goes on behind its image: it holds more than one.", things_to_try=[TAKE])


def _from_hex(path: Path, content: bytes) -> bytes:
    """A .hex file's bytes from its first address on. Raises InputError where it holds more than an image."""
    from intelhex import IntelHex, IntelHexError

    found = IntelHex()
    found.padding = 0xFF
    try:
        found.loadhex(io.StringIO(content.decode("ascii")))
    except (IntelHexError, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"{path} is no Intel HEX file: {error}.", things_to_try=[TAKE]) from None
    segments = found.segments()
    if not segments:
        raise InputError(f"{path} holds nothing.", things_to_try=[TAKE])
    starts = [found.tobinstr(start=start, size=4) == _MAGIC.to_bytes(4, "little") for start, _ in segments]
    first, last = segments[0][0], segments[-1][1]
    if any(starts) and (not starts[0] or last - first > _WIDEST):
        raise _merged(path)
    return bytes(found.tobinstr(start=first, end=min(last, first + _WIDEST) - 1))


def _no_image(path: Path, data: bytes) -> InputError:
    if not data:
        return InputError(f"{path} is empty.", things_to_try=[TAKE])
    if data.startswith(b"\x7fELF"):
        return InputError(f"{path} is an ELF file, for a debugger.", things_to_try=[TAKE])
    if data.startswith(b"PK"):
        return InputError(f"{path} is a zip archive (dfu_application.zip?).", things_to_try=[TAKE])
    if data.startswith(b":") and path.suffix.lower() != ".hex":
        return InputError(f"{path} looks like an Intel HEX file.", things_to_try=["give it the ending .hex"])
    magic = _MAGIC.to_bytes(4, "little")
    if any(data[at : at + 4] == magic for at in range(0, len(data), _PAGE)):
        return _merged(path)
    return InputError(
        f"{path} is no MCUboot image: it starts with {data[:4].hex()}, not with {magic.hex()}.",
        things_to_try=[TAKE, "without MCUboot, use a debugger: nrfutil device program"],
    )


def _merged(path: Path) -> InputError:
    return InputError(
        f"{path} holds a bootloader beside the application (merged.hex?), and a bootloader does not write itself.",
        things_to_try=[TAKE, f"or write all of it with a debugger: nrfutil device program --firmware {path}"],
    )


def _cut_off(path: Path) -> InputError:
    return InputError(
        f"{path} is cut off: its header tells of more than there is.",
        things_to_try=["copy it again, or build it again"],
    )
