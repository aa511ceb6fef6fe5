"""What says that a build went through: written last, gone before the next one begins. An image without it is nobody's."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from thingmint import files

_NAME = "thingmint.json"


@dataclass(frozen=True)
class Stamp:
    """`source` is the application's own folder; empty for a sample of the SDK's. `device` is the id that is built in."""

    app: str
    source: str
    board: str  # as a file name
    device: str | None

    @classmethod
    def read(cls, folder: Path) -> "Stamp | None":
        """None where no build went through, or the file is damaged."""
        try:
            return cls(**json.loads((folder / _NAME).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, folder: Path) -> None:
        files.replace(folder / _NAME, json.dumps(asdict(self)).encode())


def remove(folder: Path) -> None:
    (folder / _NAME).unlink(missing_ok=True)


def folder_name(app: str, source: str, board: str) -> str:
    """Two applications may have folders of one name: each of the team's own is told apart by where it is."""
    which = f"-{hashlib.sha256(source.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}" if source else ""
    return f"{app}{which}-{board}"
