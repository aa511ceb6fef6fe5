"""Folders that hold keys are their owner's alone: mode 0700, and on Windows an access list, kept by `icacls`.

Windows' list names the user, SYSTEM and Administrators: backups run as SYSTEM, and an administrator can take any
folder anyway. The user is named as such and not as OWNER RIGHTS: what an elevated prompt makes belongs to the group
Administrators, and the same user without elevation would be locked out. Lists are read as SDDL, since `icacls FOLDER`
prints the names of groups in the language of the system.
"""

import functools
import os
import re
import tempfile
from pathlib import Path

from thingmint import files
from thingmint.errors import CheckError
from thingmint.shell import Shell, check, quote

_SYSTEM = "S-1-5-18"
_ADMINISTRATORS = "S-1-5-32-544"
_OWNER_RIGHTS = "S-1-3-4"  # mkdir(mode=0o700) of newer Pythons names it

# SDDL's abbreviations for accounts that a folder may belong to; any other stands for a group.
_ABBREVIATED = {"SY": _SYSTEM, "BA": _ADMINISTRATORS, "OW": _OWNER_RIGHTS, "LS": "S-1-5-19", "NS": "S-1-5-20"}
_LOCAL_ADMINISTRATOR = "LA"  # the account; its SID ends in -500

_LIST = re.compile(r"^D:.*$", re.MULTILINE)
_ENTRIES = re.compile(r"D:(?:P|AR|AI)*((?:\([^()]*\))*)")
_DENIES = {"D", "OD", "XD"}


def require_private(folder: Path, shell: Shell) -> None:
    """Take a folder that holds keys away from everybody else. Raises ToolError or CheckError where Windows refuses."""
    if os.name == "nt":
        require_list(folder, shell)
    elif files.open_to_others(folder):
        folder.chmod(files.PRIVATE_DIR)


@functools.cache
def require_list(folder: Path, shell: Shell) -> None:
    """Windows' part, once a command line, since each look is a process.

    The list is read first: writing it costs time for each file in the folder.
    """
    others = _others(folder, shell)
    if others == set():
        return
    sid = parse_sid(check(shell.read(sid_argv(), cwd=folder), what="asking Windows who you are").stdout)
    if others is not None and others <= names_of(sid):
        return
    check(
        shell.run(restrict_argv(folder, sid), cwd=folder),
        what=f"taking {folder} away from other users",
        things_to_try=[
            "FAT and exFAT keep no access lists: name a folder on NTFS in THINGMINT_WORKSPACE",
            f"if it belongs to somebody else, in an elevated prompt: {quote(['takeown', '/f', str(folder), '/r'])}",
        ],
    )
    # Nothing where the list cannot be read back: icacls says that it is done.
    if others := (_others(folder, shell) or set()) - names_of(sid):
        raise CheckError(
            f"{folder} holds keys and is open to others: {', '.join(sorted(others))}.",
            things_to_try=[
                f"take all that was granted off its list, then run this again: {quote(['icacls', str(folder), '/reset'])}",
                "name another folder in THINGMINT_WORKSPACE",
            ],
        )


def _others(folder: Path, shell: Shell) -> set[str] | None:
    with tempfile.TemporaryDirectory() as temporary:
        saved = Path(temporary) / "list"
        shell.read(save_argv(folder, saved), cwd=folder)
        return parse_others(saved.read_bytes()) if saved.exists() else None


def save_argv(folder: Path, saved: Path) -> list[str]:
    """Writes the folder's list, as SDDL, to a file."""
    return [_system32("icacls.exe"), str(folder), "/save", str(saved), "/q"]


def restrict_argv(folder: Path, sid: str) -> list[str]:
    """Nothing from above, everything for these three, here and below."""
    grants = [("/grant:r", f"*{one}:(OI)(CI)F") for one in (sid, _SYSTEM, _ADMINISTRATORS)]
    return [_system32("icacls.exe"), str(folder), "/inheritance:r", *(word for grant in grants for word in grant)]


def sid_argv() -> list[str]:
    return [_system32("whoami.exe"), "/user", "/fo", "csv", "/nh"]


def parse_sid(text: str) -> str:
    """The SID out of `"MACHINE\\user","S-1-5-21-…"`. Raises CheckError where there is none."""
    if not (found := re.search(r'"(S-1-[0-9-]+)"\s*$', text)):
        raise CheckError("Windows did not tell the user's SID.", detail=text)
    return found[1]


def names_of(sid: str) -> set[str]:
    """How SDDL may name that account."""
    return {sid, _LOCAL_ADMINISTRATOR} if sid.endswith("-500") else {sid}


def parse_others(saved: bytes) -> set[str] | None:
    """Who is let in besides SYSTEM and Administrators, by a file of `icacls /save`; None where it holds no list.

    The file has the folder's name in one line and the list in the next, in UTF-16. A list is ASCII: without the NULs it
    can be read whatever the encoding. One that is not of the plain form is returned as a whole: nobody knows whom it
    lets in.
    """
    text = saved.replace(b"\0", b"").replace(b"\r", b"").decode("ascii", errors="replace")
    if not (line := _LIST.search(text)):
        return None
    if not (found := _ENTRIES.fullmatch(line[0].rstrip())):
        return {line[0]}
    entries = [entry.split(";") for entry in re.findall(r"\(([^()]*)\)", found[1])]
    named = {entry[-1] for entry in entries if entry[0] not in _DENIES}
    return {_ABBREVIATED.get(name, name) for name in named} - {_SYSTEM, _ADMINISTRATORS, _OWNER_RIGHTS}


def _system32(program: str) -> str:
    """By its full path: the current folder, which Windows searches too, may hold anybody's icacls.exe."""
    return str(Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32" / program)
