"""What git holds, read from git itself: the working tree may differ from what is staged."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from thingmint.errors import ToolError
from thingmint.keyscan import material
from thingmint.keyscan.material import Finding
from thingmint.shell import Shell, check

_SUBMODULE = "160000"  # a commit of another repository, no blob of this one


class Entry(NamedTuple):
    """A file in the index: its blob, and its name from the repository's top."""

    blob: str
    name: str


def tracked(shell: Shell, folder: Path) -> list[Entry]:
    """Every file in the index; in a fresh clone that is every file of the commit."""
    # MODE BLOB STAGE<tab>NAME
    listing = _git(shell, folder, "ls-files", "--stage", "--full-name", "-z", ":/")
    fields = (line.partition("\t") for line in listing)
    return [Entry(head.split()[1], name) for head, _, name in fields if not head.startswith(_SUBMODULE)]


def staged(shell: Shell, folder: Path) -> list[Entry]:
    """The files that a commit would add or change."""
    # :OLD_MODE NEW_MODE OLD_BLOB NEW_BLOB STATUS, then NAME, by turns
    listing = _git(
        shell, folder, "diff", "--cached", "--raw", "--no-renames", "--no-abbrev", "--no-relative",
        "--diff-filter=AMT", "-z",
    )  # fmt: skip
    heads = (head.split() for head in listing[::2])
    return [Entry(head[3], name) for head, name in zip(heads, listing[1::2], strict=True) if head[1] != _SUBMODULE]


def scan(shell: Shell, folder: Path, entries: Iterable[Entry]) -> Iterator[tuple[str, Finding]]:
    """Name and finding for each key, read by one `git cat-file`, each blob once."""
    names: dict[str, list[str]] = {}
    for entry in entries:
        names.setdefault(entry.blob, []).append(entry.name)
    wanted = "".join(f"{blob}\n" for blob in names).encode()
    with shell.stream(["git", "cat-file", "--batch", "--buffer"], cwd=folder, stdin=wanted) as answers:
        for files in names.values():
            # BLOB TYPE SIZE, the content, a line feed; or BLOB missing
            head = answers.readline().decode().split()
            if len(head) != 3:
                raise ToolError(
                    f"git does not have the content of {', '.join(files)}.",
                    detail=" ".join(head),
                    things_to_try=["git fsck", "clone again, without --filter"],
                )
            findings = material.scan(answers, int(head[2]))
            answers.read(1)
            yield from ((name, finding) for name in files for finding in findings)


def _git(shell: Shell, folder: Path, *arguments: str) -> list[str]:
    finished = check(shell.read(["git", *arguments], cwd=folder), what="git")
    return finished.stdout.split("\0")[:-1]
