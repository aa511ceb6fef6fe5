"""A C header for firmware that has its certificates compiled in: server roots, the device's certificate, its chain.

Never a private key: whoever has the image has what is in it.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from thingmint.errors import InputError
from thingmint.ids import DeviceId
from thingmint.pki import inspect

LONGEST = 4095
"""Characters of a string literal that every C compiler takes (C99 5.2.4.1); of an AT command, too."""


@dataclass(frozen=True)
class Source:
    """One file's content, and what to call it in an error."""

    where: str
    pem: bytes


@dataclass(frozen=True)
class _Part:
    macro: str
    what: str
    goes: str
    source: Source


def c_header(device: DeviceId, roots: Sequence[Source], certificate: Source, chain: Source) -> str:
    """The header as text; `roots` are two at most. The macros give the PEM of the sources back to the byte.

    Raises InputError where a source holds a private key, ToolError where it holds no certificate.
    """
    parts = [
        *(
            _Part(macro, "Server root", f"sec tag {tag}, type 0 (root CA)", root)
            for (macro, tag), root in zip((("SERVER_ROOT_CA", 10), ("SERVER_ROOT_CA_SECONDARY", 11)), roots, strict=False)
        ),
        _Part("DEVICE_CERTIFICATE", "Device", "sec tag 10, type 1 (client certificate)", certificate),
        _Part("DEVICE_CERTIFICATE_CHAIN", "Device with its authorities", "in its place, for a hub that has the root alone", chain),
    ]  # fmt: skip
    guard = f"DEVICE_{re.sub('[^A-Z0-9]', '_', device.text.upper())}_H"
    lines = [f"/* The certificates of {device}. No private key: that belongs into the modem, not into firmware. */"]
    lines += [f"#ifndef {guard}", f"#define {guard}"]
    for part in parts:
        lines += ["", *_definition(part)]
    return "\n".join([*lines, "", f"#endif /* {guard} */"])


def _definition(part: _Part) -> Iterator[str]:
    if b"PRIVATE KEY" in part.source.pem:
        raise InputError(
            f"{part.source.where} holds a private key, which is not printed: firmware would give it to whoever has the image.",
            things_to_try=["take the key out of that file: a certificate alone belongs there"],
        )
    held = inspect.parse_chain(part.source.pem, where=part.source.where)
    pem = b"".join(one.pem for one in held)
    names = ", ".join(re.sub(r"[^A-Za-z0-9 ._-]", "?", one.common_name) for one in held)
    yield "/*"
    yield f" * {part.what}: {names}; until {min(one.not_after for one in held):%Y-%m-%d}"
    yield f" * SHA-256 of these {len(pem)} bytes, as AT%CMNG=1 lists it: {hashlib.sha256(pem).hexdigest().upper()}"
    yield f" * Suggested: {part.goes}"
    if len(pem) > LONGEST:
        yield f" * Left out: C promises no string literal of more than {LONGEST} characters."
        yield " */"
        return
    yield " */"
    yield f"#define {part.macro} \\"
    literals = [f'\t"{line}\\n"' for line in pem.decode("ascii").splitlines()]
    yield " \\\n".join(literals)
