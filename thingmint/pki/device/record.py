"""A device's files in devices/, and its record: what the other files do not say; nothing in that is secret."""

import json
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

from thingmint.errors import ToolError
from thingmint.ids import DeviceId
from thingmint.workspace import Workspace

KEYGEN = " --keygen --port PORT"
"""What a line says to have the key made in the modem."""


@dataclass(frozen=True)
class Credential:
    """One entry of a modem's store, as the modem listed it after it was written."""

    sec_tag: int
    kind: str  # "server root", "client certificate", "private key"
    sha256: str  # hex; of a key that the modem made, what it says of it
    name: str  # a common name, or what else it is


@dataclass(frozen=True)
class Loading:
    """Evidence: what was loaded into which modem, for which hub, when. The words about itself are the modem's own."""

    imei: str
    firmware: str
    hardware: str
    target: str  # the hub's host name
    when: str  # ISO 8601, UTC
    credentials: tuple[Credential, ...]


@dataclass(frozen=True)
class Begun:
    """A loading that was not finished yet: what those tags of that modem hold is this device's, whole or cut off."""

    imei: str
    sec_tags: tuple[int, ...]
    mode: int  # the functional mode (AT+CFUN) that the modem is to be put back into


@dataclass(frozen=True)
class MadeKey:
    """Where the private key is that a modem made, and the digest that the modem lists for it."""

    imei: str
    sec_tag: int
    sha256: str


@dataclass(frozen=True)
class Image:
    """One file that a build made: its name in the build folder, and its digest."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Firmware:
    """The last build for this device. No part of its certificate's story: a new certificate changes nothing about it."""

    app: str
    board: str
    sdk: str  # the version
    when: str  # ISO 8601, UTC
    images: tuple[Image, ...]


@dataclass(frozen=True)
class Record:
    """devices/ID.json. While a first key is being made in a modem there is no certificate: what tells of it is empty.

    The sec tags are what the firmware is built with, and outlive certificates. `modem` is of this certificate: a new one
    begins without. `keygen_begun` is written before the modem is asked, and
    gone once the certificate is there: so a run that was cut off is told from a key that somebody else has made.
    """

    device_id: str
    authority: str
    serial: str
    thumbprint: str
    not_after: str  # ISO 8601, UTC
    registered_on: str | None = None  # the hub's host name
    by_service: bool = False  # the provisioning service brought it there
    key_in_modem: bool = False  # made there, and never here
    made_key: MadeKey | None = None
    sec_tag: int | None = None
    secondary_tag: int | None = None
    modem: Loading | None = None
    keygen_begun: int | None = None  # the sec tag
    loading_begun: Begun | None = None
    firmware: Firmware | None = None

    @classmethod
    def read(cls, path: Path) -> "Record | None":
        """None where there is no record. Raises ToolError where it is damaged."""
        try:
            return cls._of(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise ToolError(
                f"the device's record {path} is damaged: {error}.",
                things_to_try=[
                    "restore it from a backup: if the key is in its modem, nothing else says so",
                    "if the key is in devices/: move the record away, and it is written anew from the certificate",
                ],
            ) from None

    @classmethod
    def _of(cls, values: dict[str, Any]) -> "Record":
        if not isinstance(values, dict):
            raise ValueError("it is no JSON object")  # noqa: TRY004 - as of JSON that is none
        loaded = values.get("modem")
        if loaded is not None:
            entries = (Credential(**{**one, "sec_tag": int(one["sec_tag"])}) for one in loaded["credentials"])
            loaded = Loading(**{**loaded, "credentials": tuple(entries)})
        begun = values.get("loading_begun")
        if begun is not None:
            begun = Begun(str(begun["imei"]), tuple(map(int, begun["sec_tags"])), int(begun["mode"]))
        key = values.get("made_key")
        if key is not None:
            key = MadeKey(str(key["imei"]), int(key["sec_tag"]), str(key["sha256"]))
        built = values.get("firmware")
        if built is not None:
            built = Firmware(**{**built, "images": tuple(Image(**one) for one in built["images"])})
        made = cls(**{**values, "modem": loaded, "loading_begun": begun, "made_key": key, "firmware": built})
        # Decisions hang on these; the rest is for reading.
        numbers = {type(made.keygen_begun), type(made.sec_tag), type(made.secondary_tag)}
        if not isinstance(made.key_in_modem, bool) or not numbers <= {int, type(None)}:
            raise TypeError("key_in_modem is no truth value, or a sec tag no number")
        return made

    def to_json(self) -> bytes:
        """Without what a device whose key is a file has no use for: an older thingmint reads it, too."""
        usual = {one.name: one.default for one in fields(self) if one.default is not MISSING}
        said = {
            name: value
            for name, value in asdict(self).items()
            if name == "registered_on" or name not in usual or value is not usual[name]
        }
        return (json.dumps(said, indent=2) + "\n").encode()


@dataclass(frozen=True)
class DeviceFiles:
    """The article's names in devices/, and the chain (the device's certificate, then its authorities', without the root)."""

    key: Path
    csr: Path
    certificate: Path
    chain: Path
    record: Path

    @classmethod
    def of(cls, workspace: Workspace, device: DeviceId) -> "DeviceFiles":
        return cls(
            key=workspace.device_file(device, ".key"),
            csr=workspace.device_file(device, ".csr"),
            certificate=workspace.device_file(device, ".pem"),
            chain=workspace.device_file(device, ".chain.pem"),
            record=workspace.device_file(device, ".json"),
        )

    @property
    def key_in_modem(self) -> bool:
        """Whether the private key was made in the modem: nothing but the record says so. Raises ToolError if damaged."""
        record = None if self.key.exists() else Record.read(self.record)
        return record is not None and record.key_in_modem

    @property
    def renewed_by(self) -> str:
        """The line that makes a new key and certificate, where the key is now; a guess where the record is damaged."""
        try:
            in_modem = self.key_in_modem
        except (ToolError, OSError):
            in_modem = False  # who needs the record says so
        return f"invoke device --imei {self.certificate.stem} --renew{KEYGEN if in_modem else ''}"
