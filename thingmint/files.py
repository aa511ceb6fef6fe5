"""What a file needs to survive: modes at creation, temp file + fsync + rename, and a lock that children share.

Knows nothing of thingmint's folders; workspace.py does. Every rename of the product passes `rename`.
"""

import contextlib
import errno
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from thingmint.errors import ToolError

SECRET = 0o600
PUBLIC = 0o644
PRIVATE_DIR = 0o700
_ENOUGH = 256 * 1024


def create(path: Path, data: bytes = b"", *, mode: int = SECRET, durable: bool = True) -> None:
    """A new file, with its mode from its first moment. Raises FileExistsError rather than touch an existing one.

    On a full disk nothing is left of it, and the OSError names it. Not `durable`: the caller makes many so at once
    (`rename_all`).
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
    except OSError as error:
        path.unlink()
        error.filename = str(path)
        raise


def replace(path: Path, data: bytes, *, mode: int = PUBLIC) -> None:
    """Old content or new content, never half of it, whatever happens in between."""
    # The pid keeps two writers apart; what a killed writer leaves behind is an unreferenced temp file.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        create(temporary, data, mode=mode)
        rename(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def rename(source: Path, target: Path) -> None:
    """Atomic, and durable once it returns."""
    os.replace(source, target)
    sync_directory(target.parent)
    if source.parent != target.parent:
        sync_directory(source.parent)


def sync(path: Path) -> None:
    """fsync of a file that another program wrote."""
    # Windows flushes what is open for writing only; elsewhere a read-only file is synced as well.
    with path.open("rb+" if os.name == "nt" else "rb") as file:
        os.fsync(file.fileno())


def sync_all(paths: Sequence[Path]) -> None:
    """fsync of many files that others wrote, and of their folders' entries. All stand on one file system.

    Linux can flush a whole file system at once (syncfs(2)): measured for 500 small files, 20 ms instead of 1300.
    """
    if len(paths) >= _MANY and _sync_file_system(paths[0].parent):
        return
    for path in paths:
        sync(path)
    for folder in {path.parent for path in paths}:
        sync_directory(folder)


_MANY = 20


def _sync_file_system(folder: Path) -> bool:
    """Whether it was done: Python has no syncfs, and elsewhere than on Linux there is none."""
    if sys.platform != "linux":
        return False
    import ctypes

    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:
        return False
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        return bool(syncfs(descriptor) == 0)
    finally:
        os.close(descriptor)


def rename_all(moves: Sequence[tuple[Path, Path]], *, over: bool = True) -> None:
    """Give many files their names: durable before, durable after. Each rename is atomic, all of them are not.

    `over`: what stands at a name is replaced; otherwise FileExistsError is raised rather than touch it.
    """
    if not moves:
        return
    sync_all([source for source, _ in moves])
    for source, target in moves:
        if over:
            os.replace(source, target)
        else:
            _rename_new(source, target)
    for folder in {target.parent for _, target in moves}:
        sync_directory(folder)


def _rename_new(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links (FAT, some network drives)
        if target.exists():
            raise FileExistsError(errno.EEXIST, "exists", str(target)) from None
        os.rename(source, target)  # noqa: PTH104 - on Windows it refuses to overwrite
        return
    source.unlink()


def sync_directory(folder: Path) -> None:
    # Windows has no fsync for directories: opening one fails there, and NTFS journals the rename itself.
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_private_directory(folder: Path, *, new: bool = False) -> None:
    """Owner only; durable, with the parents that it lacked. An existing folder keeps its mode.

    `new`: raises FileExistsError rather than share a folder.
    """
    # On Windows some Pythons take 0700 for an access list of the owner's, and what an elevated prompt makes is owned by
    # Administrators. There a folder inherits its list, in the end from one that private.py looks after.
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(mode=0o777 if os.name == "nt" else PRIVATE_DIR, parents=True, exist_ok=not new)
    for one in missing:
        sync_directory(one.parent)


def open_to_others(path: Path) -> bool:
    """Whether group or others may read it. Windows answers 0666 for every file: there the folder's ACL counts."""
    return os.name != "nt" and bool(path.stat().st_mode & 0o077)


def nearly_full(folder: Path) -> str:
    """What little is left on the disk of `folder`, as a sentence; empty where there is enough."""
    if not folder.is_dir():
        return ""
    free = shutil.disk_usage(folder).free
    if free < _ENOUGH:
        return f"the disk of {folder} has only {free // 1024} KiB left"
    if sys.platform != "win32":
        found = os.statvfs(folder)
        if found.f_files and found.f_favail < 16:  # 0 files in all: a file system that does not count them
            return f"the disk of {folder} has room for only {found.f_favail} more files"
    return ""


@contextlib.contextmanager
def lock(path: Path, *, wait_seconds: float, on_wait: Callable[[], None]) -> Iterator[int]:
    """Hold an exclusive lock on `path`; yields the descriptor.

    The lock dies with the last process that holds the descriptor. Hand it to a child (`Shell.run(keep=…)`), and
    killing this process alone does not free the lock while the child still writes. On Windows the lock belongs to this
    process only. Raises ToolError after `wait_seconds`; calls `on_wait` once, after a second of waiting.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, SECRET)
    try:
        started = time.monotonic()
        told = False
        while not _try_lock(descriptor):
            waited = time.monotonic() - started
            if waited > wait_seconds:
                raise ToolError(
                    f"{path} is still locked by another run after {wait_seconds:.0f} s.",
                    things_to_try=[
                        "wait for the other run to end, then run this again",
                        f"see who holds it: lsof {path}" if os.name != "nt" else "see who holds it: Process Explorer",
                    ],
                )
            if waited > 1 and not told:
                told = True
                on_wait()
            time.sleep(0.02)
        yield descriptor
    finally:
        os.close(descriptor)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    # flock belongs to the open file, so that a child which inherits the descriptor shares it; fcntl.lockf would not.
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
