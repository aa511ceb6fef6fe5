"""One command line: what listing the tasks costs, and one device against the article's four commands."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from measure import INVOKE, P256, ROOT, Result, invoke, side_by_side, timed

RUNS = 9
EXTENSIONS = (
    "basicConstraints = critical,CA:false", "keyUsage = critical,digitalSignature", "extendedKeyUsage = clientAuth",
)  # fmt: skip


def benchmarks(folder: Path) -> Iterator[Result]:
    yield listing(folder)
    yield one_device(folder)


def listing(folder: Path) -> Result:
    """`invoke --list` against the same with an empty tasks.py: what our imports cost at each Tab."""
    empty = folder / "empty"
    empty.mkdir()
    (empty / "tasks.py").write_text("from invoke import task\n\n\n@task\ndef nothing(context):\n    pass\n")
    ours, theirs = side_by_side(
        lambda _: timed([INVOKE, "--list"], cwd=ROOT), lambda _: timed([INVOKE, "--list"], cwd=empty), runs=RUNS
    )
    name = "invoke --list against an empty tasks.py"
    return Result(name, f"{ours:.3f} s", f"{theirs:.3f} s", ours / theirs, 1.5, "x", at_least=False)


def one_device(folder: Path) -> Result:
    """`device --no-register` with P-256 against the article's four commands for a device, typed literally."""
    workspace = folder / "ws"
    invoke("rootca", "subca", workspace=workspace, **P256)
    ca = literal_folder(workspace, folder / "literal")

    def ours(number: int) -> float:
        return invoke("device", "--imei", f"bench{number}", "--no-register", workspace=workspace, **P256)

    mine, literally = side_by_side(ours, lambda number: literal(ca, f"bench{number}", "ec:P-256"), runs=RUNS)
    name = "device --no-register (P-256) against the article's four commands"
    return Result(name, f"{mine:.3f} s", f"{literally:.3f} s", mine - literally, 0.45, " s more", at_least=False)


def literal_folder(workspace: Path, target: Path) -> Path:
    """A copy of the authority, for openssl typed by hand."""
    shutil.copytree(workspace / "ca", target)
    (target / "devices").mkdir()
    return target


def literal(ca: Path, name: str, key: str) -> float:
    """The article's four lines for one device, one after the other; seconds."""
    stem = f"devices/{name}"
    kind = ["rsa:2048"] if key == "rsa:2048" else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    addext = [word for one in EXTENSIONS for word in ("-addext", one)]
    lines = (
        ["req", "-config", "subca.cnf", "-newkey", *kind, "-nodes", "-keyout", f"{stem}.key", "-out", f"{stem}.csr",
         "-subj", f"/CN={name}", *addext],
        ["req", "-text", "-in", f"{stem}.csr", "-noout"],
        ["ca", "-config", "subca.cnf", "-batch", "-in", f"{stem}.csr", "-out", f"{stem}.pem"],
        ["x509", "-in", f"{stem}.pem", "-text"],
    )  # fmt: skip
    return sum(timed(["openssl", *line], cwd=ca) for line in lines)
