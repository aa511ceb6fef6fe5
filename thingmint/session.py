"""Session: what every verb is handed, made once for a command line, so that chained tasks share it."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from thingmint.console import Console
from thingmint.passphrase import Passphrases
from thingmint.shell import Shell
from thingmint.workspace import REPOSITORY, Workspace

if TYPE_CHECKING:
    from thingmint.config import Loaded, Settings  # a series' workers need no session, and import this all the same


@dataclass(frozen=True)
class Session:
    """The values in force, the folder they work in, the gate to processes, the voice, and where passphrases come from."""

    loaded: "Loaded"
    workspace: Workspace
    shell: Shell
    console: Console
    passphrases: Passphrases

    @property
    def settings(self) -> "Settings":
        return self.loaded.settings

    @property
    def dry(self) -> bool:
        return self.shell.dry


def make_session(root: Path, loaded: "Loaded", console: Console, *, echo: bool = False, dry: bool = False) -> Session:
    """A session in the workspace `root`."""
    shell = Shell(console, echo=echo, dry=dry)
    passphrases = Passphrases(loaded.settings.pki.passphrase, console)
    return Session(loaded, Workspace(root, shell=shell, console=console), shell, console, passphrases)


def open_session(*, echo: bool, dry: bool) -> Session:
    """The command line's: workspace and configuration as the environment says. Raises ConfigError."""
    from thingmint import config

    root = Path(os.environ.get("THINGMINT_WORKSPACE") or REPOSITORY).absolute()
    return make_session(root, config.load(), Console(), echo=echo, dry=dry)
