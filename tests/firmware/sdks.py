"""Stand-ins of the SDK for the tests; see thingmint/lab/sdk/."""

from pathlib import Path

from thingmint.console import Console
from thingmint.lab.sdk import workspace
from thingmint.shell import Shell


def make(root: Path, version: str) -> Path:
    return workspace.make(root, version, Shell(Console(quiet=True)))
