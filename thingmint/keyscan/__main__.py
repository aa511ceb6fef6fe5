"""`python -m thingmint.keyscan [--staged]`: exit code 4 where git holds, or is about to hold, a private key."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from thingmint.console import Console
from thingmint.errors import CheckError, ThingmintError
from thingmint.keyscan import repository
from thingmint.keyscan.material import Finding
from thingmint.shell import Shell, quote

_BURNT = "a key that was ever pushed is burnt: replace it (a device's: invoke device --imei ID --renew)"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m thingmint.keyscan", description="No private key is ever tracked.")
    parser.add_argument("--staged", action="store_true", help="only what a commit would add or change")
    staged = parser.parse_args().staged
    console, folder = Console(), Path.cwd()
    shell = Shell(console)
    try:
        entries = repository.staged(shell, folder) if staged else repository.tracked(shell, folder)
        found = list(repository.scan(shell, folder, entries))
        if found:
            raise _refusal(found, staged=staged)
    except ThingmintError as error:
        console.say(error.render())
        return error.exit_code
    if not staged:
        console.say(f"no private key in {len(entries)} tracked files")
    return 0


def _refusal(found: Sequence[tuple[str, Finding]], *, staged: bool) -> CheckError:
    names = list(dict.fromkeys(name for name, _ in found))
    detail = "\n".join(f"{_printable(name)}:{finding.line}: {finding.what}" for name, finding in found)
    undo = ["git", "restore", "--staged", "--"] if staged else ["git", "rm", "--cached", "--"]
    return CheckError(
        "a private key must not be committed." if staged else "git tracks a private key.",
        detail=detail,
        things_to_try=[
            f"{'unstage' if staged else 'untrack'} it: {quote([*undo, *map(_printable, names)])}",
            "keep it where git ignores it: in ca/ or devices/, or as *.key",
            _BURNT,
        ],
    )


def _printable(name: str) -> str:
    """A file's name, also one that would move the cursor."""
    return name if name.isprintable() else ascii(name)[1:-1]


if __name__ == "__main__":
    sys.exit(main())
