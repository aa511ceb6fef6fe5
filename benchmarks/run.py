"""`make bench`: every benchmark with its goal; exit code 4 where one is not met. Names of parts run these alone."""

import sys
import tempfile
from pathlib import Path

import building
import growth
import hub
import modem
import monitor
import series
import single

PARTS = {
    "single": single.benchmarks,
    "series": series.benchmarks,
    "growth": growth.benchmarks,
    "modem": modem.benchmarks,
    "monitor": monitor.benchmarks,
    "firmware": building.benchmarks,
    "hub": hub.benchmarks,
}


def main() -> int:
    wanted = sys.argv[1:] or list(PARTS)
    met = True
    with tempfile.TemporaryDirectory() as name:
        for part in wanted:
            folder = Path(name) / part
            folder.mkdir()
            for result in PARTS[part](folder):
                print(result, flush=True)
                met &= result.met
    return 0 if met else 4


if __name__ == "__main__":
    raise SystemExit(main())
