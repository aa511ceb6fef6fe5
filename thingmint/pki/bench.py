"""The bench: the CA's folder while its lock is held. Every openssl line that changes something is run on it."""

import contextlib
import errno
import functools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from thingmint import files, openssl
from thingmint.errors import CheckError, ThingmintError, ToolError, explain_os_error
from thingmint.shell import Finished, Shell, shown
from thingmint.workspace import Workspace

if TYPE_CHECKING:  # the workers of a series import this module: the configuration would cost each of them 0.2 s
    from thingmint.session import Session


@dataclass(frozen=True)
class Bench:
    """Made by `locked` alone. `lock` is the descriptor that each openssl child inherits (see files.lock)."""

    session: "Session"
    lock: int

    @property
    def workspace(self) -> Workspace:
        return self.session.workspace

    @property
    def hardened(self) -> bool:
        return self.session.settings.pki.profile == "hardened"

    def openssl(
        self,
        *arguments: str,
        redirect: str = "",
        environment: Mapping[str, str] | None = None,
        batch: bool = False,
    ) -> Finished:
        """Run one line in ca/. Raises ToolError in plain words if it fails. A success is openssl's claim, no proof.

        A line that uses an authority's key is run through access.py, which knows what the key needs.
        """
        finished = self.session.shell.run(
            (self.session.settings.pki.openssl, *arguments),
            cwd=self.workspace.ca,
            keep=(self.lock,),
            redirect=redirect,
            environment=environment,
            batch=batch,
        )
        if finished.exit_code:
            raise failed(finished, self.workspace.ca)
        return finished


@contextlib.contextmanager
def locked(session: "Session") -> Iterator[Bench]:
    """Check openssl, make the folders, take the lock. Waits for other runs in this workspace."""
    require_openssl(session)
    session.workspace.prepare()
    with session.workspace.locked("ca") as descriptor:
        try:
            yield Bench(session, descriptor)
        except (ToolError, CheckError) as error:
            # openssl exits 0 on a full disk: what is seen then is an empty file, and the cause has to be told.
            left = files.nearly_full(session.workspace.ca)
            if left:
                error.things_to_try = (f"{left}: free some, then run this again",)  # what else is wrong shows then
            raise


def failed(finished: Finished, folder: Path) -> ThingmintError:
    """What a line that was run in `folder` ended with."""
    message = f"openssl failed with exit code {finished.exit_code}"
    refused = openssl.refused_path(finished.stderr)
    if not refused:
        return explained(ToolError, message, finished)
    known = explain_os_error(PermissionError(errno.EACCES, "", str(folder / refused)))
    return ToolError(
        f"{message}: {known.message}\n  {shown(finished.argv)}",
        detail=finished.stderr,
        things_to_try=known.things_to_try,
    )


def explained(kind: type[ThingmintError], message: str, finished: Finished) -> ThingmintError:
    """An error of `kind` with the command, openssl's words, and what they mean where that is known."""
    known = openssl.explain(finished.stderr)
    return kind(
        f"{message}{f': {known.message}' if known else ''}.\n  {shown(finished.argv)}",
        detail=finished.stderr,
        things_to_try=known.things_to_try if known else (),
    )


def require_openssl(session: "Session") -> None:
    """Raises ToolError unless `pki.openssl` is OpenSSL 3.0 or newer."""
    _check_version(session.settings.pki.openssl, session.shell, session.workspace.root)


@functools.cache
def _check_version(program: str, shell: Shell, root: Path) -> None:
    things_to_try = [
        "Debian, Ubuntu: apt install openssl",
        "macOS: brew install openssl@3, then set pki.openssl to $(brew --prefix openssl@3)/bin/openssl",
        "Windows: Git for Windows brings one: set pki.openssl to C:/Program Files/Git/mingw64/bin/openssl.exe",
    ]
    cwd = next(folder for folder in (root, *root.parents) if os.access(folder, os.X_OK))  # `version` needs none
    try:
        found = shell.read((program, "version"), cwd=cwd)
    except ToolError as error:
        raise ToolError(error.message, things_to_try=things_to_try) from None
    problem = openssl.unusable_version(found.stdout)
    if problem:
        raise ToolError(f"the program {program!r} cannot be used: {problem}.", things_to_try=things_to_try)
