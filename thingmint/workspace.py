"""Where everything lives: each path, its mode, staged and atomic writes, locks. Knows --dry, so that callers need not."""

import contextlib
import errno
import functools
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from thingmint import files, private
from thingmint.console import Console
from thingmint.errors import InputError, explain_os_error, may_use
from thingmint.ids import DeviceId
from thingmint.shell import Shell

REPOSITORY = Path(__file__).resolve().parent.parent
LOCK_WAIT_SECONDS = 120.0


class Workspace:
    """A folder with ca/, devices/ and lab/: the repository itself, or the one that THINGMINT_WORKSPACE names."""

    def __init__(self, root: Path, *, shell: Shell, console: Console) -> None:
        self.root = root
        self._shell = shell
        self._console = console
        self._planned: dict[Path, bytes] = {}  # filled with --dry alone, as is the next
        self._gone: set[Path] = set()
        self._warned = False

    @property
    def ca(self) -> Path:
        """openssl's working directory: the cnf files' `home = $name` is relative to it."""
        return self.root / "ca"

    @property
    def devices(self) -> Path:
        return self.root / "devices"

    @property
    def lab(self) -> Path:
        return self.root / "lab"

    def device_file(self, device: DeviceId, suffix: str) -> Path:
        """`suffix` is one of .key, .csr, .pem, .chain.pem, .json."""
        return self.devices / f"{device}{suffix}"

    def from_ca(self, path: Path) -> str:
        """A path as the openssl lines have it: relative to ca/, with forward slashes on every system."""
        return f"{self._from_ca(path.parent)}/{path.name}".removeprefix("./")

    @functools.cache  # noqa: B019 - one workspace a command line; a series asks for the same folder each time
    def _from_ca(self, folder: Path) -> str:
        return Path(os.path.relpath(folder, self.ca)).as_posix()

    # --- looking -----------------------------------------------------------------------------------------------

    def exists(self, path: Path) -> bool:
        """Whether it is there, or would be: with --dry, what an earlier task would have made counts as made."""
        return path in self._planned or (path.exists() and path not in self._gone)

    def only_planned(self, path: Path) -> bool:
        """True where --dry says it would exist, but there is nothing to read."""
        return path in self._planned and (path in self._gone or not path.exists())

    def peek(self, path: Path) -> bytes:
        """What it holds, or would hold; nothing where there is no such file."""
        return path.read_bytes() if path.is_file() else self._planned.get(path, b"")

    # --- changing ----------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Make the folders. Raises InputError where the workspace cannot be written."""
        if self._shell.dry:
            for folder in (self.ca, self.devices):
                self.make_directory(folder)
            return
        try:
            files.make_private_directory(self.root)  # by itself: parents that mkdir makes are as open as the umask
            for folder in (self.ca, self.devices):
                self.make_directory(folder)
                private.require_private(folder, self._shell)  # a clone's folders are as open as the umask
                if not may_use(folder):
                    raise PermissionError(errno.EACCES, "", str(folder))
            ignored = self.root / ".gitignore"
            if self.root != REPOSITORY and not ignored.exists():
                # Keys must not slip into whatever repository surrounds a workspace elsewhere.
                files.replace(ignored, b"*\n", mode=files.PUBLIC)
        except OSError as error:
            known = explain_os_error(error)
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise known from None
            raise InputError(
                f"the workspace {self.root} cannot be written: {known.message}",
                things_to_try=[*known.things_to_try, "name another folder in THINGMINT_WORKSPACE"],
            ) from None
        self._warn_of_sudo()

    def _warn_of_sudo(self) -> None:
        """In somebody's folder, sudo leaves files behind that their owner cannot use. A container's root is no sudo."""
        if sys.platform == "win32" or self._warned or os.geteuid() != 0 or "SUDO_UID" not in os.environ:
            return
        self._warned = True
        if self.root.stat().st_uid != 0:
            self._console.warn(
                f"this runs by sudo: what it makes in {self.root} belongs to root, and its owner cannot use it afterwards"
            )

    def make_directory(self, folder: Path) -> None:
        if folder.is_dir() or folder in self._planned:
            return
        if folder != self.ca:  # the echo stands in ca/ itself
            self._shell.echo(["mkdir", "-p", self.from_ca(folder)], cwd=self.ca)
        if self._shell.dry:
            self._planned[folder] = b""
        else:
            files.make_private_directory(folder)

    def write(self, path: Path, data: bytes, *, mode: int = files.PUBLIC) -> None:
        """Atomic. Replaces what is there."""
        if self._shell.dry:
            self._planned[path] = data
        else:
            files.replace(path, data, mode=mode)

    @staticmethod
    def staged(final: Path) -> Path:
        """Where a file stands until it is whole and gets its name."""
        return final.with_name(final.name + ".new")

    def stage(self, final: Path, *, mode: int) -> Path:
        """An empty file beside `final`, for a tool to write into: openssl keeps the mode of a file that exists."""
        staged = self.staged(final)
        if not self._shell.dry:
            staged.unlink(missing_ok=True)  # an interrupted run's; callers hold the lock
            files.create(staged, mode=mode)
        return staged

    def publish(self, final: Path) -> None:
        """Give the staged file its name. The move is echoed, since it belongs to the lines a reader replays."""
        staged = self.staged(final)
        self._shell.echo(["mv", self.from_ca(staged), self.from_ca(final)], cwd=self.ca)
        if self._shell.dry:
            self._planned[final] = b""
        else:
            files.sync(staged)
            files.rename(staged, final)

    def move(self, source: Path, target: Path) -> None:
        """Rename what is whole already; echoed."""
        self._shell.echo(["mv", self.from_ca(source), self.from_ca(target)], cwd=self.ca)
        if not self._shell.dry:
            files.rename(source, target)

    def copy(self, source: Path, target: Path, *, mode: int) -> None:
        """Atomic, like `write`; echoed."""
        self._shell.echo(["cp", "-p", self.from_ca(source), self.from_ca(target)], cwd=self.ca)
        if not self._shell.dry:
            self.write(target, source.read_bytes(), mode=mode)

    def remove(self, path: Path) -> None:
        """For what is made to be thrown away (a proof's key); never for a device's or a CA's."""
        self._shell.echo(["rm", self.from_ca(path)], cwd=self.ca)
        if self._shell.dry:
            self._planned.pop(path, None)
            self._gone.add(path)
        else:
            path.unlink(missing_ok=True)
            files.sync_directory(path.parent)

    @contextlib.contextmanager
    def locked(self, name: str) -> Iterator[int]:
        """Hold the workspace's lock `name` ("ca": openssl's databases and device files; "hub": an upload under way).

        Yields the descriptor to hand to children. With --dry nothing is locked and the descriptor is -1.
        """
        if self._shell.dry:
            yield -1
            return

        def on_wait() -> None:
            self._console.say(f"waiting for another run in {self.root} to finish (up to {LOCK_WAIT_SECONDS:.0f} s)")

        with files.lock(self.ca / f".{name}.lock", wait_seconds=LOCK_WAIT_SECONDS, on_wait=on_wait) as descriptor:
            yield descriptor
