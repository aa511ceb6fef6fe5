"""Folders of keys: modes here, and Windows' access lists by their texts and by an icacls that keeps one list."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import MakeSession
from thingmint import private
from thingmint.console import Console
from thingmint.errors import CheckError, ToolError
from thingmint.lab.state import LabFolder
from thingmint.session import Session
from thingmint.shell import Shell

ME = "S-1-5-21-2146773085-903363285-719344707-1001"

# From Microsoft's blog on SDDL (a share with its administrators and users), and what CPython's own test of mkdir expects.
SHARE = (
    "D:AI(D;OICI;FA;;;BG)(A;;FA;;;BA)(A;OICIID;FA;;;BA)(A;OICIID;FA;;;SY)(A;OICIIOID;GA;;;CO)"
    "(A;OICIID;0x1200a9;;;BU)(A;CIID;LC;;;BU)(A;CIID;DC;;;BU)"
)
MKDIR_0700 = "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;OW)"
PROFILE = f"D:AI(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)(A;OICIID;FA;;;{ME})"
OURS = f"D:PAI(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;OICI;FA;;;{ME})"


def saved(line: str) -> bytes:
    """As `icacls FOLDER /save FILE` writes it."""
    return f"ca\r\n{line}\r\n".encode("utf-16-le")


@pytest.mark.parametrize(
    ("line", "others"),
    [
        (SHARE, {"CO", "BU"}),  # a denial lets nobody in
        (MKDIR_0700, set()),
        (PROFILE, {ME}),
        (OURS, {ME}),
        ("D:P", set()),
        ("D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;LA)", {"LA"}),
        ("D:(A;;FA;;;WD)", {"WD"}),
        ("D:NO_ACCESS_CONTROL", {"D:NO_ACCESS_CONTROL"}),
        ('D:AI(XA;;FX;;;S-1-1-0;(@User.Title=="PM"))', {'D:AI(XA;;FX;;;S-1-1-0;(@User.Title=="PM"))'}),
    ],
)
def test_a_list_says_who_else_is_let_in(line: str, others: set[str]) -> None:
    assert private.parse_others(saved(line)) == others
    assert private.parse_others(b"\xff\xfe" + saved(line)) == others
    assert private.parse_others(saved(line).decode("utf-16-le").encode()) == others


def test_a_file_without_a_list_is_none() -> None:
    assert private.parse_others(b"") is None
    assert private.parse_others("ü\r\n".encode("utf-16-le")) is None


def test_the_user_is_known_by_the_sid_in_any_language() -> None:
    assert private.parse_sid(f'"DOMAIN1\\jürgen S-1-5","{ME}"\r\n') == ME
    with pytest.raises(CheckError, match="SID"):
        private.parse_sid("ERROR: Unable to get user claims information.\r\n")
    assert private.names_of(ME) == {ME}
    assert "LA" in private.names_of("S-1-5-21-2146773085-903363285-719344707-500")


def test_the_lines_are_what_microsoft_documents() -> None:
    assert private.restrict_argv(Path("ca"), ME)[1:] == [
        "ca", "/inheritance:r", "/grant:r", f"*{ME}:(OI)(CI)F",
        "/grant:r", "*S-1-5-18:(OI)(CI)F", "/grant:r", "*S-1-5-32-544:(OI)(CI)F",
    ]  # fmt: skip
    assert private.save_argv(Path("ca"), Path("list"))[1:] == ["ca", "/save", "list", "/q"]
    assert private.sid_argv()[1:] == ["/user", "/fo", "csv", "/nh"]
    assert Path(private.sid_argv()[0]).parent.name == "System32"


# The interpreter's path may hold a space, which a #! line cannot have: sh reads the second line, Python takes it for text.
START = """#!/bin/sh
'''exec' "{python}" "$0" "$@"
' '''
"""
ICACLS = """
import pathlib, sys
here = pathlib.Path(__file__).parent
with (here / "calls").open("a") as calls:
    calls.write(" ".join(sys.argv[2:3]) + "\\n")
if sys.argv[2] == "/save":
    line = (here / "list").read_text()
    line and pathlib.Path(sys.argv[3]).write_bytes(("ca\\r\\n" + line + "\\r\\n").encode("utf-16-le"))
elif (here / "refuse").exists():
    sys.exit("ca: Access is denied.")
else:
    names = [word.split(":")[0].lstrip("*") for word in sys.argv if word.startswith("*")]
    (here / "list").write_text("D:PAI" + "".join(f"(A;OICI;FA;;;{{name}})" for name in names) + {left!r})
"""
WHOAMI = """
print('"HOST\\\\me","{me}"')
"""


class Windows:
    """Its two programs, and one folder's list."""

    def __init__(self, root: Path, line: str, *, left: str = "") -> None:
        self.system32 = root / "System32"
        self.system32.mkdir()
        (self.system32 / "list").write_text(line)
        for name, text in (("icacls.exe", ICACLS), ("whoami.exe", WHOAMI)):
            program = self.system32 / name
            program.write_text((START + text).format(python=sys.executable, left=left, me=ME))
            program.chmod(0o700)

    def calls(self) -> list[str]:
        return (self.system32 / "calls").read_text().split()


@pytest.fixture(autouse=True)
def _system_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYSTEMROOT", str(tmp_path))


@pytest.mark.parametrize("line", [MKDIR_0700, PROFILE, OURS])
def test_a_private_folder_is_only_looked_at_and_once(tmp_path: Path, line: str) -> None:
    windows, shell = Windows(tmp_path, line), Shell(Console())
    private.require_list(tmp_path, shell)
    private.require_list(tmp_path, shell)
    assert windows.calls() == ["/save"]


@pytest.mark.parametrize("line", [SHARE, "", "D:NO_ACCESS_CONTROL"])
def test_an_open_folder_is_closed_and_that_is_proven(
    tmp_path: Path, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    windows = Windows(tmp_path, line)
    private.require_list(tmp_path, Shell(Console(), echo=True))
    assert windows.calls() == ["/save", "/inheritance:r", "/save"]
    assert f"*{ME}:(OI)(CI)F" in capsys.readouterr().err
    private.require_list(tmp_path, Shell(Console()))
    assert windows.calls()[3:] == ["/save"]


def test_what_windows_refuses_is_told_with_things_to_try(tmp_path: Path) -> None:
    windows = Windows(tmp_path, SHARE)
    (windows.system32 / "refuse").touch()
    with pytest.raises(ToolError, match="away from other users") as caught:
        private.require_list(tmp_path, Shell(Console()))
    assert "Access is denied" in caught.value.render()
    assert "NTFS" in caught.value.render()
    assert "takeown" in caught.value.render()


def test_whom_somebody_let_in_on_purpose_is_named(tmp_path: Path) -> None:
    Windows(tmp_path, SHARE, left="(A;OICI;FA;;;WD)")
    with pytest.raises(CheckError, match="open to others: WD") as caught:
        private.require_list(tmp_path, Shell(Console()))
    assert "/reset" in caught.value.render()


@pytest.mark.skipif(sys.platform == "win32", reason="modes")
def test_elsewhere_modes_do_and_no_process_starts(
    session: Session, make_session_in: MakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a process started")

    workspace = session.workspace
    for folder in (workspace.ca, workspace.devices, workspace.lab):
        folder.mkdir(mode=0o755, parents=True)
    monkeypatch.setattr(subprocess, "Popen", refuse)
    workspace.prepare()
    LabFolder(workspace.lab).make(session.shell)
    for folder in (workspace.ca, workspace.devices, workspace.lab):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
