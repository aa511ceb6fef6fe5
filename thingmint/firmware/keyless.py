"""No private key in an application or in its build: whoever has an image would have the key."""

import os
from collections.abc import Iterator
from pathlib import Path

from thingmint.errors import InputError
from thingmint.keyscan import material

_COMPILED = {".o", ".obj", ".a", ".d", ".lst", ".map"}
"""What is in these is in the linked image as well, or tells of it."""
_DEBUG_KEY = "GENERATED_NON_SECURE_"
"""What the SDK calls the signing keys that it makes in a build by itself, for bootloaders that were given none."""
_PASSED_OVER = {".git", "build", "__pycache__"}


def require(folder: Path, what: str, *, built: bool = False, since: Path | None = None) -> None:
    """Raises InputError naming file and line; never any part of the key.

    `built`: a build's output, else sources. `since`: the log of the build before; of what that made itself nothing is
    kept, so only what came later is looked at.
    """
    before = since.stat().st_mtime if since and since.is_file() else 0.0
    for path in _files(folder, built=built):
        found_at = path.stat()
        # A copy may keep its time of change, but is itself made now; Windows calls just that ctime.
        if max(found_at.st_mtime, found_at.st_ctime) < before:
            continue
        with path.open("rb") as file:
            found = material.scan(file, found_at.st_size)
        if found:
            raise InputError(
                f"{what} holds a secret, {found[0].what.lower()}: {path}:{found[0].line}.",
                things_to_try=[
                    "move it out of there: keys go into the modem (invoke provision), never into firmware",
                    "certificates alone may be compiled in: invoke show --imei ID --header",
                    *(["build it anew, and give the images that hold it to nobody"] if built else []),
                ],
            )


def _files(folder: Path, *, built: bool) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        if not built:
            folders[:] = [name for name in folders if name not in _PASSED_OVER]
        for path in (Path(place) / name for name in sorted(names)):
            if built and (path.suffix in _COMPILED or path.name.startswith(_DEBUG_KEY)):
                continue
            if path.is_file():  # a link, too: a compiler follows it
                yield path
