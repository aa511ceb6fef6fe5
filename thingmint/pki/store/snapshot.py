"""The database's snapshot: `openssl ca` updates its files by several renames, and a kill between them loses one.

A folder db/snapshot is the mark of a transaction under way: renamed into place complete, renamed away to commit. Found
at a start, it says that a run was cut off, and holds what to put back.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from thingmint import files

TRACKED = ("index.txt", "index.txt.attr", "serial.txt", "crlnumber.txt")


def take(db: Path) -> None:
    """Copy the files, durably, then mark the transaction as begun."""
    building = db / "snapshot.new"
    shutil.rmtree(building, ignore_errors=True)
    files.make_private_directory(building, new=True)
    for name in TRACKED:
        if (db / name).exists():
            files.create(building / name, (db / name).read_bytes())
    files.sync_directory(building)
    files.rename(building, db / "snapshot")


def pending(db: Path) -> bool:
    """Whether a transaction was begun and neither committed nor put back."""
    return (db / "snapshot").is_dir()


def commit(db: Path) -> None:
    """What openssl wrote is kept: durable first, then the mark goes by one rename; deleting it file by file would not do."""
    for name in TRACKED:
        if (db / name).exists():
            files.sync(db / name)
    files.sync_directory(db)
    _close(db)


def put_back(db: Path, set_aside: Callable[[Path], Path]) -> None:
    """Restore the files; what has no saved one is set aside. Can itself be cut off and repeated at any point."""
    for name in TRACKED:
        saved = db / "snapshot" / name
        if saved.exists():
            files.replace(db / name, saved.read_bytes(), mode=files.SECRET)
        elif (db / name).exists():
            set_aside(db / name)
        (db / f"{name}.new").unlink(missing_ok=True)
    files.sync_directory(db)
    _close(db)


def sweep(db: Path) -> None:
    """What a run left that was cut off before its transaction began or after it ended."""
    for name in ("snapshot.new", "snapshot.done"):
        shutil.rmtree(db / name, ignore_errors=True)


def _close(db: Path) -> None:
    done = db / "snapshot.done"
    shutil.rmtree(done, ignore_errors=True)
    files.rename(db / "snapshot", done)
    shutil.rmtree(done, ignore_errors=True)
