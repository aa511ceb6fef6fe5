"""`make soak` and by itself: the whole chain against a lab that misbehaves, seed by seed.

Each seed has a workspace and a lab of its own; what goes astray stays, with the log that tells each fault.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.chain import Chain, make_base


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--rate", type=float, default=0.2)
    parser.add_argument("--at-once", type=int, default=16)
    arguments = parser.parse_args()
    began = time.monotonic()
    runs: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    seconds: Counter[str] = Counter()
    failed = []
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    base = make_base(folder)
    with ThreadPoolExecutor(arguments.at_once) as threads:
        seeds = range(arguments.first, arguments.first + arguments.seeds)
        chains = threads.map(lambda seed: Chain(base, seed, arguments.rate).run(), seeds)
        for number, done in enumerate(chains, 1):
            runs, errors, seconds = runs + done.runs, errors + done.errors, seconds + done.seconds
            if done.astray:
                failed.append(done.seed)
                print(f"seed {done.seed} went astray (see {done.workspace}): {done.astray}", flush=True)
            took = time.monotonic() - began
            print(
                f"seed {done.seed}: {done.runs.total()} runs; {number} of {len(seeds)} seeds, {took:.0f} s", flush=True
            )
    for name, count in runs.items():
        print(f"{name}: {count} runs, {seconds[name]} s")
    for text, count in errors.most_common():
        print(f"{count:5} {text}")
    if failed:
        raise SystemExit(f"went astray: seeds {failed}; --first {failed[0]} --seeds 1 shows the first again")
    shutil.rmtree(folder)
    print(f"all {len(seeds)} seeds came to the right end: rate {arguments.rate}, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
