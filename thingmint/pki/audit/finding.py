"""Findings of the audit: one broken invariant each, and who mends it."""

from dataclasses import dataclass
from pathlib import Path

from thingmint.errors import ThingmintError, explain_os_error

RESTORE = "restore it from a backup"


@dataclass(frozen=True)
class Finding:
    """`by_itself`: the next run that signs with this authority does what `cure` says; otherwise a person has to."""

    where: Path
    what: str
    cure: str
    by_itself: bool = False


def unreadable(where: Path, error: ThingmintError | OSError) -> Finding:
    """What could not be looked at, and why."""
    known = explain_os_error(error) if isinstance(error, OSError) else error
    return Finding(where, known.message, known.things_to_try[0] if known.things_to_try else RESTORE)
