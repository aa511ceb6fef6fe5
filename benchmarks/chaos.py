"""`make soak` and by itself: the whole chain against a lab that misbehaves, seed by seed.

Each seed has a workspace and a lab of its own; what fails stays, with the log that tells each fault.
"""

import argparse
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests import lines
from tests.chain import Astray, Chain
from tests.commands.conftest import run_invoke


def run(environment: dict[str, str], words: Sequence[str]) -> CompletedProcess[str]:
    # A series' workers import the program's own main module.
    return (run_invoke if "--imei-file" in words else lines.run)(words, environment)


def one(folder: Path, rate: float, seed: int) -> tuple[int, Chain, str]:
    """What went astray; empty where nothing did."""
    workspace = folder / f"seed-{seed}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("THINGMINT_")}
    environment |= {"THINGMINT_WORKSPACE": str(workspace), "THINGMINT_PKI_KEY": "ec:P-256"}
    chain = Chain(workspace, partial(run, environment), f"seed={seed},rate={rate}")
    try:
        chain.whole()
    except Astray as astray:
        lines.run(["lab-down"], environment)
        return seed, chain, str(astray)
    shutil.rmtree(workspace)
    return seed, chain, ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--rate", type=float, default=0.2)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    began = time.monotonic()
    runs: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    seconds: Counter[str] = Counter()
    failed = []
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    # Processes: where threads start children at once, one may read the end of another's, which then counts as 255.
    with ProcessPoolExecutor(arguments.workers, multiprocessing.get_context("spawn")) as pool:
        seeds = range(arguments.first, arguments.first + arguments.seeds)
        for done, (seed, chain, astray) in enumerate(pool.map(partial(one, folder, arguments.rate), seeds), 1):
            runs, errors, seconds = runs + chain.runs, errors + chain.errors, seconds + chain.seconds
            if astray:
                failed.append(seed)
                print(f"seed {seed} went astray (see {folder}): {astray}", flush=True)
            took = time.monotonic() - began
            print(f"seed {seed}: {chain.runs.total()} runs; {done} of {len(seeds)} seeds, {took:.0f} s", flush=True)
    for name, number in runs.items():
        print(f"{name}: {number} runs, {seconds[name]} s")
    for text, number in errors.most_common():
        print(f"{number:5} {text}")
    if failed:
        raise SystemExit(f"went astray: seeds {failed}; --first {failed[0]} --seeds 1 shows the first again")
    shutil.rmtree(folder)
    print(f"all {len(seeds)} seeds came to the right end: rate {arguments.rate}, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
