"""What a build left: the files that go into a device, each with its digest."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from thingmint.errors import CheckError
from thingmint.firmware.editions import UPDATES, Edition


@dataclass(frozen=True)
class Artefact:
    """One file that can be written to a device."""

    kind: str
    path: Path
    sha256: str


def find(folder: Path, app: str, edition: Edition) -> tuple[Artefact, ...]:
    """Those that are there. Raises CheckError where there are none."""
    named = {kind: folder / path.format(app=app) for kind, path in edition.outputs.items()}
    found = tuple(Artefact(kind, path, digest(path)) for kind, path in named.items() if path.is_file())
    if not found:
        raise CheckError(
            f"the build left no image in {folder}.",
            detail="\n".join(f"{kind}: no {path}" for kind, path in named.items()),
            things_to_try=["choose the board of the application's non-secure world: it ends in ns"],
        )
    return found


def update(found: Sequence[Artefact]) -> Artefact | None:
    """What goes into the device over MCUboot; None where the board's build made nothing of the kind."""
    return next((one for one in found if one.kind in UPDATES), None)


def digest(path: Path) -> str:
    """SHA-256, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
