"""`invoke firmware` against the bare `west build` of the same line: what finding, proving, hashing and scanning cost.

West is real; what it runs is the tests' stand-in, made to take as long as is said here, and to leave as many files.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from measure import ROOT, Result, invoke, side_by_side, timed

sys.path.insert(0, str(ROOT))

from tests.firmware import sdks

RUNS = 3
SECONDS = 10
MEGABYTES = 60
"""What the build leaves besides objects, half of it in a listing. (An estimate: no SDK was here to be measured.)"""


def benchmarks(folder: Path) -> Iterator[Result]:
    sdk = sdks.make(folder / "v2.4.0", "2.4.0")
    load = {"STANDIN_SECONDS": str(SECONDS), "STANDIN_MEGABYTES": str(MEGABYTES)}

    def ours(_: int) -> float:
        return invoke("firmware", "--app", "at_client", "--sdk", str(sdk), workspace=folder / "ws", **load)

    def bare(_: int) -> float:
        words = ["-p", "-c", "-b", "thingy91_nrf9160_ns", "-d", str(folder / "bare"), "nrf/samples/nrf9160/at_client"]
        return timed([sys.executable, "-m", "west", "build", *words], cwd=sdk, environment={**os.environ, **load})

    ours(-1), bare(-1)
    mine, west = side_by_side(ours, bare, runs=RUNS)
    name = f"invoke firmware beyond west build ({SECONDS} s, {MEGABYTES} MB), with 2 % of it taken off"
    yield Result(name, f"{mine:.2f} s", f"{west:.2f} s", mine - 1.02 * west, 1.0, " s", at_least=False)
