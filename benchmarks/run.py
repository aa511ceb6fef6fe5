"""The benchmarks of `make bench`: whole processes, in turn with what they are compared to, medians and ratios.

Absolute times depend on the machine and its mood; the ratio and the difference, measured side by side, are the point.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INVOKE = Path(sys.executable).with_name("invoke")
RUNS = 9


def timed(argv: list[str], *, cwd: Path, environment: dict[str, str] | None = None) -> float:
    began = time.perf_counter()
    subprocess.run(argv, cwd=cwd, env={**os.environ, **(environment or {})}, check=True, capture_output=True)
    return time.perf_counter() - began


def side_by_side(ours: Callable[[int], float], theirs: Callable[[int], float]) -> tuple[float, float]:
    """Medians of both, run in turn after one uncounted round, so that a slow moment meets both."""
    ours(-1), theirs(-1)
    pairs = [(ours(n), theirs(n)) for n in range(RUNS)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def report(name: str, ours: float, theirs: float, figure: float, goal: float, unit: str) -> bool:
    met = figure <= goal
    print(f"{name}\n  ours {ours:.3f} s   theirs {theirs:.3f} s   {figure:.2f}{unit}   goal {goal}{unit}: {met}")
    return met


def listing(folder: Path) -> bool:
    """`invoke --list` against the same with an empty tasks.py: what our imports cost at each Tab."""
    empty = folder / "empty"
    empty.mkdir()
    (empty / "tasks.py").write_text("from invoke import task\n\n\n@task\ndef nothing(context):\n    pass\n")
    ours, theirs = side_by_side(
        lambda _: timed([str(INVOKE), "--list"], cwd=ROOT), lambda _: timed([str(INVOKE), "--list"], cwd=empty)
    )
    return report("invoke --list against an empty tasks.py", ours, theirs, ours / theirs, 1.5, "x")


def one_device(folder: Path) -> bool:
    """`device --no-register` with P-256 against the article's four commands for a device, typed literally."""
    environment = {"THINGMINT_WORKSPACE": str(folder / "ws"), "THINGMINT_PKI_KEY": "ec:P-256"}
    timed([str(INVOKE), "rootca", "subca"], cwd=ROOT, environment=environment)
    literal = folder / "literal"
    shutil.copytree(folder / "ws" / "ca", literal)
    (literal / "devices").mkdir()

    def ours(n: int) -> float:
        argv = [str(INVOKE), "device", "--imei", f"bench{n}", "--no-register"]
        return timed(argv, cwd=ROOT, environment=environment)

    def theirs(n: int) -> float:
        stem = f"devices/bench{n}"
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{stem}.key"]
        extensions = ["basicConstraints = critical,CA:false", "keyUsage = critical,digitalSignature"]
        addext = [word for one in (*extensions, "extendedKeyUsage = clientAuth") for word in ("-addext", one)]
        return sum(
            timed(["openssl", *arguments], cwd=literal)
            for arguments in (
                ["req", "-config", "subca.cnf", *key, "-out", f"{stem}.csr", "-subj", f"/CN=bench{n}", *addext],
                ["req", "-text", "-in", f"{stem}.csr", "-noout"],
                ["ca", "-config", "subca.cnf", "-batch", "-in", f"{stem}.csr", "-out", f"{stem}.pem"],
                ["x509", "-in", f"{stem}.pem", "-text"],
            )
        )

    mine, literally = side_by_side(ours, theirs)
    return report(
        "device --no-register (P-256) against the four commands", mine, literally, mine - literally, 0.45, " s more"
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        results = [listing(folder), one_device(folder)]
    raise SystemExit(0 if all(results) else 4)
