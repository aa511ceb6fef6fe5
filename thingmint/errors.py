"""Every error a user can cause: one root, one subclass per outside world, each with its exit code.

An error says what is wrong and where, then what to try. Below tasks.py nothing exits and nothing prints an error: it
is raised, and the one boundary in tasks.py turns it into text and an exit code.
"""

import errno
import os
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar


class ThingmintError(Exception):
    """The root. `message` is one or more plain sentences; `detail` is a tool's own output, shown indented."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, detail: str = "", things_to_try: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.things_to_try = tuple(things_to_try)

    def render(self) -> str:
        lines = [f"error: {self.message}"]
        lines += [f"    {line}" for line in self.detail.rstrip().splitlines()]
        if self.things_to_try:
            lines.append("Things to try:")
            lines += [f"  - {thing}" for thing in self.things_to_try]
        return "\n".join(lines)


class InputError(ThingmintError):
    """A value on the command line, in a file or in the environment is invalid, or a precondition is not met."""

    exit_code = 2


class ConfigError(InputError):
    """The configuration file or its environment variables are invalid; the message names file and key."""


class ToolError(ThingmintError):
    """A program that thingmint drives failed, is missing or is too old; or the file system refused."""

    exit_code = 3


class CheckError(ThingmintError):
    """A proof did not hold: what a tool or the hub reported as done is not what was asked for."""

    exit_code = 4


class HubError(ThingmintError):
    """The hub refused or could not be reached. `status` is the HTTP status, `code` the service's own error code."""

    exit_code = 5

    def __init__(
        self,
        message: str,
        *,
        detail: str = "",
        things_to_try: Iterable[str] = (),
        status: int | None = None,
        code: str = "",
    ) -> None:
        super().__init__(message, detail=detail, things_to_try=things_to_try)
        self.status = status
        self.code = code


class PassingError(HubError):
    """A fault of the service's own, or of the way to it, that is likely over in a moment. Nothing is wrong with what was asked."""


class UntrustedError(HubError):
    """Who answered showed a certificate that is not to be trusted; nothing was sent."""


class ModemError(ThingmintError):
    """The modem refused, answered nonsense, or did not answer. `code` is its +CME ERROR code, where it gave one."""

    exit_code = 6

    def __init__(
        self, message: str, *, detail: str = "", things_to_try: Iterable[str] = (), code: int | None = None
    ) -> None:
        super().__init__(message, detail=detail, things_to_try=things_to_try)
        self.code = code


INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it: 128 + SIGINT."""


def explain_os_error(error: OSError) -> ToolError:
    """What no part below expected of the file system or a socket, still without a traceback."""
    if isinstance(error, PermissionError) and (path := _refusing(error)):
        return _refused(path)
    where = f" ({_place(error)})" if error.filename else ""
    return ToolError(f"the system refused: {error.strerror or error}{where}.", things_to_try=[cure(error)])


def cure(error: OSError) -> str:
    """What a user can do about it."""
    where = _place(error) if error.filename else "that path"
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return "free some space, then run this again: nothing was lost"
        case errno.EISDIR | errno.EEXIST | errno.ENOTDIR | errno.ENOTEMPTY:
            return f"something else stands in the way: move it away from {where}"
        case errno.ENOENT:
            return f"bring back {where}"
        case errno.EROFS:
            return "use a workspace that can be written (THINGMINT_WORKSPACE)"
    return f"check owner and mode of {where}"


def _place(error: OSError) -> str:
    """Of a rename, the name that was to be taken: the other is a temporary one of ours."""
    return str(error.filename2 or error.filename)


def may_use(path: Path) -> bool:
    """Whether this user may read and change it: a folder's entries, a file's content."""
    return os.access(path, os.R_OK | os.W_OK | (os.X_OK if path.is_dir() else 0))


def _refusing(error: PermissionError) -> Path | None:
    """Which path refused: one that was named, or the folder that keeps this user away from it. None: no mode did."""
    paths = [Path(os.fsdecode(name)) for name in (error.filename, error.filename2) if isinstance(name, (str, bytes))]
    for path in paths:
        there = next(one for one in (path, *path.absolute().parents) if os.access(one, os.F_OK))
        if not may_use(there):
            return there
        if not may_use(there.parent):  # to make, rename or remove a file is to write its folder
            return there.parent
    return None


def _refused(path: Path) -> ToolError:
    if sys.platform == "win32":
        return ToolError(
            f"{path} may not be read or written by this user.",
            things_to_try=["close the programs that have it open", "see its Properties, Security"],
        )
    found, me = path.stat(), os.geteuid()
    what = f"{path} belongs to {_user(found.st_uid)} (mode {found.st_mode & 0o777:o})"
    if found.st_uid == me:
        mode = "u+rwx" if path.is_dir() else "u+rw"
        cures = [f"chmod {mode} {shlex.quote(str(path))}"]
    elif not _in_workspace(path.absolute()):
        cures = [f"name a place that {_user(me)} may use, or ask {_user(found.st_uid)} for this one"]
    else:
        cures = [
            f"give it to {_user(me)}: sudo chown -R {_user(me)} {shlex.quote(str(path))}",
            "if `sudo invoke` made it: do the same for all of ca/, devices/ and lab/, and run invoke without sudo",
        ]
    return ToolError(f"{what}, and {_user(me)} may not read or write it.", things_to_try=cures)


def _in_workspace(path: Path) -> bool:
    """Whether it is a workspace's ca/, devices/ or lab/, or in one: `sudo chown -R` of anything else could be a disaster."""
    state = (one for one in (path, *path.parents) if one.name in {"ca", "devices", "lab"})
    return any(os.access(one.parent / "ca", os.F_OK) for one in state)


def _user(uid: int) -> str:
    """The name; the number where nobody has one, as in containers. chown takes both."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
