"""The order of writes, syncs and renames over a whole run, as the kernel saw it: a power loss anywhere loses nothing.

A rename may reach the disk before the file's content does, and a directory's entry long after: so each file is synced
before its rename, its folder after it, and the next step begins only then.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

CALLS = (
    "openat,write,pwrite64,fsync,fdatasync,syncfs,link,linkat,rename,renameat,renameat2,unlink,unlinkat,mkdir,execve"
)
BY_HAND = "../devices/one.pem"  # revoked without a transaction: the ledger has to be told when the index is emptied
SERIES = 25  # enough for the whole file system to be synced at once
PROGRAM = """
import sys
from pathlib import Path
from tests.pki import forks
from thingmint import config
from thingmint.console import Console
from thingmint.ids import DeviceId
from thingmint.pki import bench
from thingmint.pki.authority import family
from thingmint.pki.device import series
from thingmint.pki.store.database import Database
from thingmint.pki.wish import Wish
from thingmint.session import make_session
session = make_session(Path(sys.argv[1]), config.load({"THINGMINT_PKI_KEY": "ec:P-256"}), Console(quiet=True))
forks.make_authorities(session)
forks.make_device(session, "one")
forks.renew_one(session)
forks.make_crl(session)
signer = family.signer(session.workspace)
series.make(session, signer, [[DeviceId(f"s{n}") for n in range(SERIES)]], Wish(), done=[].append)
with bench.locked(session) as locked:
    locked.openssl("ca", "-config", "subca.cnf", "-revoke", "../devices/one.pem")
    Database(signer).sync(longest=0)
"""


@dataclass
class Disk:
    """What would be lost now: content that was not synced, and folders whose entries were not."""

    root: Path
    openssl: set[str] = field(default_factory=set)  # processes: their renames are judged at the commit
    begun: dict[str, str] = field(default_factory=dict)  # calls that another process came between
    content: set[Path] = field(default_factory=set)
    entries: set[Path] = field(default_factory=set)
    made: set[Path] = field(default_factory=set)  # folders that are not durable yet
    renamed: set[Path] = field(default_factory=set)  # folders of our renames that are not durable yet
    open: set[Path] = field(default_factory=set)  # the db/ folders whose transaction is under way
    untold: set[Path] = field(default_factory=set)  # those whose ledger does not know what openssl wrote last
    problems: list[str] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)

    def see(self, line: str) -> None:
        """One line of `strace -f -y`."""
        pid = line.split(maxsplit=1)[0]
        if line.endswith(" <unfinished ...>"):
            self.begun[pid] = line.removesuffix(" <unfinished ...>")
            return
        line = re.sub(r"^(\d+) +<\.\.\. \w+ resumed>", lambda _: self.begun.pop(pid), line)
        match = re.match(r"\d+ +(\w+)\((.*)\) += (-?\d+)", line)
        if match is None or match[3] == "-1":
            return
        call, arguments = match[1], match[2]
        names = [self._path(name) for name in re.findall(r'"((?:[^"\\]|\\.)*)"', arguments)]
        held = Path(found[1]) if (found := re.match(r"\d+<([^>]*)>", arguments)) else self.root
        if names and call != "execve" and not any(one.is_relative_to(self.root) for one in names):
            return
        if call == "execve":
            self._begin(pid, arguments)
        elif call == "openat" and re.search("O_EXCL|O_TRUNC", arguments):
            self.content.add(names[0])
            self.entries.add(names[0].parent)
        elif call in {"write", "pwrite64"}:
            self.content.add(held)
        elif call in {"fsync", "fdatasync"}:
            self.content.discard(held)
            self.entries.discard(held)
            self.renamed.discard(held)
            self.made = {one for one in self.made if one.parent != held}
            if held.name == "ledger.sqlite3":
                self.untold.discard(held.parent)
        elif call == "syncfs":
            self.content.clear()
            self.entries.clear()
            self.renamed.clear()
        elif call == "mkdir":
            self.made.add(names[0])
        elif call.startswith("rename"):
            self._rename(names[0], names[1], ours=pid not in self.openssl)
        elif call.startswith("link"):  # the other half of a rename that replaces nothing
            self._rename(names[0], names[1], ours=True)
        elif call.startswith("unlink"):
            self.content.discard(names[0] if call == "unlink" else held / names[0].name)

    def _path(self, name: str) -> Path:
        return Path(os.path.normpath(self.root / "ca" / name))  # openssl's own are relative to its folder

    def _begin(self, pid: str, arguments: str) -> None:
        """A program starts: what it builds on has to be durable."""
        words = re.findall(r'"([^"]*)"', arguments)
        if not words[0].endswith("openssl"):
            return
        self.openssl.add(pid)
        if words[2:3] == ["ca"]:
            self._require(len(self.open) == 1 or words[-1] == BY_HAND, "openssl ca started without a snapshot")
            self._require(not self.made, f"openssl ca started before the folders {self.made} were durable")
            self.steps.append("ca")
        self._require(not self.renamed, f"{words[:3]} started before the rename in {self.renamed} was durable")

    def _rename(self, source: Path, target: Path, *, ours: bool) -> None:
        lost = {one for one in self.content if one == source or source in one.parents}
        self.content = self.content - lost | {target for one in lost if one == source}
        if not ours:
            self.entries |= {source.parent, target.parent}
            self.untold |= {target.parent} if target.name == "index.txt" else set()
            return
        self._require(not lost, f"{target} was renamed before its content was durable")
        others = self.renamed - {source.parent, target.parent}  # a batch's files are renamed together
        self._require(not others, f"{target} was renamed before the rename in {others} was durable")
        self.renamed |= {source.parent, target.parent}
        db = source.parent
        if target.name == "snapshot":
            self.open.add(db)
        elif source.name == "snapshot":
            certs = db.parent / "certs"
            lost = {path for path in self.content if path.parent in {db, certs} and path.suffix != ".old"}
            self._require(not lost, f"committed before {lost} was durable")
            self._require(not self.entries & {db, certs}, "committed before the entries of db/ and certs/ were durable")
            self.open.discard(db)
            self.steps.append("commit")
        elif target.name == "index.txt" and self.steps:
            self._require(db in self.open or db not in self.untold, "the index was emptied before the ledger knew it")
            self.steps.append("index")
        elif target.suffix in {".pem", ".crl"} and target.parent.name != "retired":
            self._require(not self.open, f"{target} was published before the commit")
            self.steps.append("publish")

    def _require(self, holds: bool, problem: str) -> None:
        if not holds:
            self.problems.append(problem)


def test_a_power_loss_at_any_moment_of_a_run_loses_nothing(tmp_path: Path) -> None:
    """Authorities, a device, its renewal, a revocation list, a series, and the ledger told while the index is emptied."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed: nobody tells the order of system calls")
    root, trace = tmp_path / "ws", tmp_path / "trace"
    program = PROGRAM.replace("SERIES", str(SERIES))
    argv: list[str | Path] = ["strace", "-f", "-y", "-s", "200", "-e", f"trace={CALLS}", "-o", trace]
    argv += [sys.executable, "-c", program, root]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    if "ptrace" in done.stderr.lower() and "not permitted" in done.stderr.lower():
        pytest.skip(f"strace may not trace here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    disk = Disk(root)
    for line in trace.read_text().splitlines():
        disk.see(line)
    assert disk.problems == [], "\n".join(disk.problems)
    made = ["ca", "commit", "publish"]
    renewed, listed, archived = ["ca", *made], ["index", "ca", "index", "commit", "publish"], ["ca", "index"]
    found = [
        step for step, before in zip(disk.steps, ["", *disk.steps], strict=False) if (step, before) != ("publish",) * 2
    ]
    assert found == [*made, "index", *made, *made, *renewed, *listed, *made, *archived]
    assert disk.steps.count("publish") == 8 + 2 * SERIES  # certificates and chains
    assert disk.renamed == set()


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (['write(4</ws/a.new>, "x", 1) = 1', 'rename("/ws/a.new", "/ws/a") = 0'], "before its content was durable"),
        (['rename("/ws/a", "/ws/b") = 0', 'rename("/ws/x/c", "/ws/x/d") = 0'], "was renamed before the rename in"),
        (['execve("/usr/bin/openssl", ["openssl", "ca"], 0x0) = 0'], "without a snapshot"),
        (
            ['rename("/ws/db/snapshot.new", "/ws/db/snapshot") = 0', "fsync(3</ws/db>) = 0",
             'openat(AT_FDCWD</ws>, "/ws/certs/1.pem", O_WRONLY|O_CREAT|O_TRUNC) = 4</ws/certs/1.pem>',
             'rename("/ws/db/snapshot", "/ws/db/snapshot.done") = 0'],
            "committed before",
        ),
    ],
)  # fmt: skip
def test_the_judge_finds_what_is_in_the_wrong_order(lines: list[str], problem: str) -> None:
    disk = Disk(Path("/ws"))
    for line in lines:
        disk.see(f"1 {line}")
    assert any(problem in one for one in disk.problems), disk.problems
