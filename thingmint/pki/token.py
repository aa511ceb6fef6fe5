"""A key that a token holds (an HSM or a smart card), named by its PKCS#11 URI (RFC 7512); the key itself never leaves it."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from thingmint.errors import InputError

SCHEME = "pkcs11:"
_NAMES = (
    *("token", "manufacturer", "model", "serial"),
    *("object", "id", "type"),
    *("library-manufacturer", "library-description", "library-version"),
    *("slot-id", "slot-manufacturer", "slot-description"),
)
_VALUE = re.compile(r"(?:[A-Za-z0-9._~:\[\]@!$'()*+,=&-]|%[0-9A-Fa-f]{2})+", re.ASCII)
_EXAMPLE = "e.g. pkcs11:token=thingmint;object=rootca (p11tool --list-all shows what there is)"


@dataclass(frozen=True)
class TokenKey:
    """The URI of a private key, without any PIN: nothing in it is secret."""

    attributes: tuple[tuple[str, str], ...]  # values still percent-encoded

    @classmethod
    def parse(cls, text: str, where: str) -> "TokenKey":
        """`where` is what holds the text: an option or a file. Raises InputError, which never repeats a PIN."""
        if re.search(r"pin-(value|source)", unquote(text), re.IGNORECASE):
            raise InputError(
                f"{where} holds a PIN, or a place for one: it does not belong into a URI, which others can see.",
                things_to_try=["leave pin-value and pin-source out: the PIN is asked for, as pki.passphrase says"],
            )
        problem = ""
        pairs = [pair.partition("=") for pair in text.removeprefix(SCHEME).split(";")]
        attributes = {name: value for name, _, value in pairs}
        if not text.startswith(SCHEME):
            problem = f"it does not begin with {SCHEME}"
        elif "?" in text:
            problem = "what follows ? is not used here; PKCS11_MODULE_PATH names the token's module"
        elif unknown := [name for name in attributes if name not in _NAMES]:
            problem = f"{unknown[0]!r} is none of its attributes"
        elif len(attributes) != len(pairs):
            problem = "an attribute stands twice"
        elif odd := [name for name, value in attributes.items() if not _VALUE.fullmatch(value)]:
            problem = f"the value of {odd[0]} is empty, or holds what has to be written as %20 and the like"
        elif attributes.pop("type", "private") != "private":
            problem = "its type is not private"
        elif not ({"token", "serial"} & set(attributes) and {"object", "id"} & set(attributes)):
            problem = "it has to name the token (or its serial) and the object (or its id)"
        if problem:
            raise InputError(f"{where} is no URI of a token's key: {problem}.", things_to_try=[_EXAMPLE])
        return cls(tuple(sorted(attributes.items(), key=lambda pair: _NAMES.index(pair[0]))))

    @property
    def token(self) -> str:
        """What people call the token."""
        named = dict(self.attributes)
        name = named.get("token") or named["serial"]
        return unquote(name) if unquote(name).isprintable() else name

    def __str__(self) -> str:
        return SCHEME + ";".join(f"{name}={value}" for name, value in (*self.attributes, ("type", "private")))
