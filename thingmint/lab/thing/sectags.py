"""What a simulated modem holds: its identity, and the credentials in its security tags. One JSON file a modem."""

import hashlib
import json
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thingmint import files
from thingmint.errors import ToolError
from thingmint.ids import DeviceId
from thingmint.lab.thing import attest

ROOT_CA, CLIENT_CERTIFICATE, CLIENT_KEY, PSK, PSK_IDENTITY, PUBLIC_KEY, IDENTITY_KEY = range(7)
HIGHEST = 2_147_483_647
"""The highest tag that a user may write; the modem's own are above."""

# The modem's own, as the listings of real ones have them, in their order.
_IDENTITY_TAG = 4_294_967_294
OWNED = ((4_294_967_293, 10), (_IDENTITY_TAG, IDENTITY_KEY), (4_294_967_292, 11))


@dataclass(frozen=True)
class Entry:
    """One credential. The content is exactly what stood between the quotes."""

    tag: int
    kind: int
    content: bytes = field(repr=False)

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest().upper()


class SecTags:
    """A modem's memory. Each change is on disk, whole, before it is answered."""

    def __init__(self, path: Path, imei: str, uuid_text: str, identity: str, entries: list[Entry]) -> None:
        self.path = path
        self.imei = imei
        self.uuid = uuid_text
        self.identity_key = identity  # PEM; what signs its attestations
        self._entries = {(entry.tag, entry.kind): entry for entry in entries}

    @property
    def image(self) -> Path:
        """The application that was flashed; it need not exist."""
        return self.path.with_suffix(".bin")

    def __repr__(self) -> str:
        return f"SecTags({str(self.path)!r})"  # never what it holds

    @classmethod
    def open(cls, folder: Path, device: DeviceId) -> "SecTags":
        """This device's modem, made with a random identity the first time: on disk with the first change, or once it is
        to be kept. Raises ToolError where it is damaged."""
        if known := cls.known(folder, device):
            return known
        return cls(folder / f"{device}.json", imei_of(device), str(uuid.uuid4()), attest.new_key(), [])

    @classmethod
    def known(cls, folder: Path, device: DeviceId) -> "SecTags | None":
        """The same, for those who only look: None where there is none."""
        path = folder / f"{device}.json"
        try:
            values = json.loads(path.read_bytes())
            entries = [Entry(one["tag"], one["kind"], one["content"].encode("latin-1")) for one in values["entries"]]
            return cls(path, str(values["imei"]), str(values["uuid"]), str(values["identity_key"]), entries)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError, AttributeError):
            raise ToolError(
                f"{path} is damaged: it is no simulated modem's memory.",
                things_to_try=["move it away, then run this again: a new modem, with an empty memory, is made"],
            ) from None

    def read(self, tag: int, kind: int) -> bytes | None:
        """The exact bytes as stored; of a generated key, the PEM. For the device's own firmware: no command reads a key."""
        entry = self._entries.get((tag, kind))
        return entry.content if entry else None

    def listing(self, tag: int | None = None, kind: int | None = None) -> list[Entry]:
        """The user's by tag and type, then the modem's own."""
        everything = [self._entries[key] for key in sorted(self._entries)] + self._owned()
        return [one for one in everything if tag in {None, one.tag} and kind in {None, one.kind}]

    def write(self, tag: int, kind: int, content: bytes) -> None:
        self._entries = {**self._entries, (tag, kind): Entry(tag, kind, content)}
        self.keep()

    def delete(self, tag: int, kind: int) -> bool:
        """Whether there was such an entry."""
        if (tag, kind) not in self._entries:
            return False
        self._entries = {key: entry for key, entry in self._entries.items() if key != (tag, kind)}
        self.keep()
        return True

    def _owned(self) -> list[Entry]:
        public = attest.public_pem(self.identity_key)
        # Of the other two nobody outside Nordic has the content: their digests are made up, and this modem's own.
        return [
            Entry(tag, kind, public if tag == _IDENTITY_TAG else f"{self.uuid} {tag},{kind}".encode())
            for tag, kind in OWNED
        ]

    def keep(self) -> None:
        """All of it on disk, its identity too."""
        content: dict[str, Any] = {
            "imei": self.imei,
            "uuid": self.uuid,
            "identity_key": self.identity_key,
            # latin-1 keeps each byte, and a PEM readable
            "entries": [
                {"tag": one.tag, "kind": one.kind, "content": one.content.decode("latin-1")}
                for one in self._entries.values()
            ],
        }
        files.make_private_directory(self.path.parent)
        files.replace(self.path, json.dumps(content, indent=2).encode() + b"\n", mode=files.SECRET)


def image_of(folder: Path, device: DeviceId) -> Path:
    """The application that this device was flashed with; it need not exist."""
    return folder / f"{device}.bin"


def imei_of(device: DeviceId) -> str:
    """The id itself where it is all digits; else an IMEI made from it, always the same."""
    if device.text.isdigit():
        return device.text
    number = int.from_bytes(hashlib.sha256(device.key().encode()).digest(), "big")
    digits = f"35{number % 10**12:012}"
    doubled = [sum(divmod(int(digit) * (1 + place % 2), 10)) for place, digit in enumerate(digits)]
    return f"{digits}{-sum(doubled) % 10}"
