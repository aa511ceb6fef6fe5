"""Images as imgtool makes them, small and unsigned."""

import hashlib
import struct
from pathlib import Path

STACK, RESET = 0x20010000, 0xC401
AT_CLIENT, SAMPLE = b"The AT host sample started", b"Azure IoT Hub sample started"


def made(
    text: bytes = SAMPLE,
    *,
    size: int = 8_000,
    stack: int = STACK,
    reset: int = RESET,
    flags: int = 0,
    protected: bytes = b"",
    version: tuple[int, int, int, int] = (1, 2, 3, 4),
) -> bytes:
    """Header, vector table, `text` and noise, protected TLVs, and the digest of all that."""
    body = struct.pack("<II", stack, reset) + text
    body += hashlib.shake_128(text).digest(size - len(body))
    area = struct.pack("<HH", 0x6908, 4 + len(protected)) + protected if protected else b""
    head = struct.pack("<IIHHIIBBHI4x", 0x96F3B83D, 0, 512, len(area), len(body), flags, *version)
    signed = head.ljust(512, b"\0") + body + area
    tlvs = struct.pack("<HH", 0x10, 32) + hashlib.sha256(signed).digest()
    return signed + struct.pack("<HH", 0x6907, 4 + len(tlvs)) + tlvs


def file(folder: Path, data: bytes | None = None, name: str = "app_update.bin") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(made() if data is None else data)
    return path
