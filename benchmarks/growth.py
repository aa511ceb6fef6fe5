"""What a device costs when the authority has issued a thousand, a hundred thousand, a million before.

The past is put into the ledger as rows, by its own code; the files of those certificates are not made.
"""

import os
import shutil
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path

from measure import INVOKE, P256, ROOT, Result, invoke

from thingmint.pki.store import ledger
from thingmint.pki.store.index import Row

SIZES = (1_000, 100_000, 1_000_000)
RUNS = 7
SERIES = 1500


def benchmarks(folder: Path) -> Iterator[Result]:
    first = folder / f"past-{SIZES[0]}"
    invoke("rootca", "subca", "device", "--imei", "warm", "--no-register", workspace=first, **P256)
    workspaces = [first, *(Path(shutil.copytree(first, folder / f"past-{size}")) for size in SIZES[1:])]
    for workspace, size in zip(workspaces, SIZES, strict=True):
        fill(workspace / "ca/subca/db/ledger.sqlite3", size)
    # In turn, so that a slow moment meets all of them.
    singles = [[single(workspace, run) for workspace in workspaces] for run in range(RUNS)]
    batches = [[many(workspace, run) for workspace in workspaces] for run in range(3)]
    memory = [peak(workspace) for workspace in workspaces]
    for what, runs, unit, scale in (("one device", singles, "ms", 1000.0), ("each of a series", batches, "ms", 1000.0)):
        cost = [statistics.median(run[place] for run in runs) for place in range(len(SIZES))]
        told = ", ".join(f"{seconds * scale:.2f} {unit} at {size:,}" for seconds, size in zip(cost, SIZES, strict=True))
        yield Result(f"{what}: {told}", "the last", "the first", cost[-1] / cost[0], 1.1, "x", at_least=False)
    told = ", ".join(f"{size / 1024:.0f} MB" for size in memory)
    yield Result(
        f"memory of a series, at its peak: {told}",
        "the last",
        "the first",
        memory[-1] / memory[0],
        1.1,
        "x",
        at_least=False,
    )


def fill(path: Path, size: int) -> None:
    with ledger.opened(path) as book:
        for start in range(0, size, 50_000):
            numbers = range(start, min(start + 50_000, size))
            rows = [Row("V", "20361121000000Z", "", f"{number:040X}", f"/CN=past-{number}") for number in numbers]
            book.record(rows, {row.serial: f"{number:064x}" for number, row in zip(numbers, rows, strict=True)})


def single(workspace: Path, run: int) -> float:
    return invoke("device", "--imei", f"one-{run}", "--no-register", workspace=workspace, **P256)


def many(workspace: Path, run: int) -> float:
    ids = workspace.with_suffix(".txt")
    ids.write_text("".join(f"many{run}-{n}\n" for n in range(SERIES)))
    return invoke("device", "--imei-file", str(ids), "--no-register", workspace=workspace, **P256) / SERIES


def peak(workspace: Path) -> float:
    """KiB of the main process, by the time program of the shell's; the workers have no part in the ledger."""
    ids = workspace.with_suffix(".txt")
    ids.write_text("".join(f"peak-{n}\n" for n in range(SERIES)))
    program = (
        "import resource, runpy, sys; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    argv = ["-c", program, str(INVOKE), "device", "--imei-file", str(ids), "--no-register"]
    done = subprocess.run(
        [INVOKE.with_name("python"), *argv], cwd=ROOT, check=True, capture_output=True, text=True,
        env={**os.environ, "THINGMINT_WORKSPACE": str(workspace), **P256},
    )  # fmt: skip
    return float(done.stdout.split()[-1])
