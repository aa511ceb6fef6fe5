"""PEM as the modem takes it: blocks alone, LF line ends, one newline at the end."""

import base64
import binascii
import codecs
import re

from thingmint.errors import InputError

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\n((?:[A-Za-z0-9+/=]+\n)+)-----END \1-----\n")


def canonical(content: bytes, what: str) -> bytes:
    """The same blocks, so that the modem's digest equals `sha256sum` of a file in this form. Raises InputError."""
    try:
        text = content.removeprefix(codecs.BOM_UTF8).decode("ascii")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{what} is no PEM: byte {error.start} is not ASCII.",
            things_to_try=["a DER file? Convert it: openssl x509 -inform DER -in FILE -out FILE.pem"],
        ) from None
    kept = "".join(f"{line.strip()}\n" for line in text.splitlines() if line.strip())
    if '"' in kept:
        raise InputError(f"{what} contains a quote, which would end the AT command.", things_to_try=[_PLAIN])
    if "ENCRYPTED" in kept:
        raise InputError(
            f"{what} is an encrypted key, and the modem has no passphrase for it.",
            things_to_try=["the device's own key is never encrypted: devices/ID.key"],
        )
    blocks = list(_BLOCK.finditer(kept))
    outside = _BLOCK.sub("", kept).strip()
    if not blocks or outside.startswith("-----"):
        raise InputError(f"{what} is no PEM, or not all of it.", things_to_try=["it begins with -----BEGIN …-----"])
    if outside:
        plain = _PLAIN_KEY if "PRIVATE KEY" in blocks[0][1] else _PLAIN
        raise InputError(f"{what} has text beside its PEM, which the modem would store.", things_to_try=[plain])
    for block in blocks:
        try:
            base64.b64decode(block[2].replace("\n", ""), validate=True)
        except binascii.Error:
            raise InputError(
                f"{what} is no PEM: its {block[1].lower()} is not base64.", things_to_try=["bring back the file"]
            ) from None
    return kept.encode("ascii")


_PLAIN_KEY = "write it without the dump: openssl pkey -in FILE -out FILE.key"
_PLAIN = "write it without the dump: openssl x509 -in FILE -out FILE.pem"
