"""Session: what every verb is handed, made once for a command line, so that chained tasks share it."""

from dataclasses import dataclass

from thingmint.config import Loaded, Settings
from thingmint.console import Console
from thingmint.shell import Shell
from thingmint.workspace import Workspace


@dataclass(frozen=True)
class Session:
    loaded: Loaded
    workspace: Workspace
    shell: Shell
    console: Console

    @property
    def settings(self) -> Settings:
        return self.loaded.settings

    @property
    def dry(self) -> bool:
        return self.shell.dry
