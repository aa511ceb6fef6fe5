"""Findings of the audit: one broken invariant each, and who mends it."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from thingmint import files
from thingmint.errors import ThingmintError, explain_os_error
from thingmint.pki import inspect
from thingmint.pki.inspect import Certificate

RESTORE = "restore it from a backup"
_SHOWN = 3
_VALUES = re.compile(r"'[^']*'|--imei \S+|\b[0-9A-F]{8,}\b|\d{4}-\d\d-\d\d")
"""What differs between two findings of one cause: names, ids, serial numbers, dates."""


@dataclass(frozen=True)
class Finding:
    """`by_itself`: the next run that signs with this authority does what `cure` says; otherwise a person has to."""

    where: Path
    what: str
    cure: str
    by_itself: bool = False

    @property
    def cause(self) -> tuple[Path, str, str, bool]:
        """What findings have in common that one break brought about."""
        return (self.where.parent, self._without_values(self.what), self._without_values(self.cure), self.by_itself)

    def _without_values(self, text: str) -> str:
        return _VALUES.sub("", text.replace(str(self.where), ""))


def summed_up(findings: Iterable[Finding]) -> Iterator[Finding]:
    """The same for people: of many findings of one cause the first few, then how many more there are."""
    groups: dict[tuple[Path, str, str, bool], list[Finding]] = {}
    for one in findings:
        groups.setdefault(one.cause, []).append(one)
    for group in groups.values():
        if len(group) <= _SHOWN + 1:
            yield from group
            continue
        yield from group[:_SHOWN]
        first, more = group[0], f"… and {len(group) - _SHOWN} more"
        same = all(one.cure == first.cure for one in group)
        yield Finding(first.where.parent, more, first.cure if same else "the same for each of them", first.by_itself)


def unreadable(where: Path, error: ThingmintError | OSError) -> Finding:
    """What could not be looked at, and why."""
    known = explain_os_error(error) if isinstance(error, OSError) else error
    return Finding(where, known.message, known.things_to_try[0] if known.things_to_try else RESTORE)


def of_key(path: Path, certificate: Certificate) -> Iterator[Finding]:
    """Whether it is the key of its certificate, and its owner's alone."""
    try:
        if inspect.read_key_digest(path) != certificate.public_key:
            yield Finding(path, "it is not the key of its certificate", "bring back the one that is")
    except ThingmintError as error:
        yield unreadable(path, error)
    yield from of_mode(path)


def of_mode(path: Path) -> Iterator[Finding]:
    """A key that others may read; of what is no file, its reader has said so."""
    if path.is_file() and files.open_to_others(path):
        yield Finding(path, f"others may read it (mode {path.stat().st_mode & 0o777:o})", f"chmod 600 {path}")
