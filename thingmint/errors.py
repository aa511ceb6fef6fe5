"""Every error a user can cause: one root, one subclass per outside world, each with its exit code.

An error says what is wrong and where, then what to try. Below tasks.py nothing exits and nothing prints an error: it
is raised, and the one boundary in tasks.py turns it into text and an exit code.
"""

import errno
from collections.abc import Iterable
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


INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it: 128 + SIGINT."""


def explain_os_error(error: OSError) -> ToolError:
    """What no part below expected of the file system or a socket, still without a traceback."""
    where = f" ({_place(error)})" if error.filename else ""
    return ToolError(f"the system refused: {error.strerror or error}{where}.", things_to_try=[cure(error)])


def cure(error: OSError) -> str:
    """What a user can do about it."""
    where = _place(error) if error.filename else "that path"
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return "free some space"
        case errno.EISDIR | errno.EEXIST | errno.ENOTDIR | errno.ENOTEMPTY:
            return f"something else stands in the way: move it away from {where}"
        case errno.ENOENT:
            return f"bring back {where}"
    return f"check owner and mode of {where}"


def _place(error: OSError) -> str:
    """Of a rename, the name that was to be taken: the other is a temporary one of ours."""
    return str(error.filename2 or error.filename)
