"""Bad days: the whole chain comes to the right end. `make soak` has a thousand of them."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.chain import Chain, make_base

SEEDS = range(1, 51)
AT_ONCE = 16
"""They wait most of the time: for what Retry-After says, for silence to end, between two questions of an SDK."""


@pytest.mark.timeout(600)
def test_the_whole_chain_comes_to_the_right_end(tmp_path: Path) -> None:
    base = make_base(tmp_path)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        done = list(threads.map(lambda seed: Chain(base, seed, 0.2).run(), SEEDS))
    astray = [f"seed {one.seed}: {one.astray}" for one in done if one.astray]
    assert not astray, "\n\n".join(astray)
    runs = sum(one.runs.total() for one in done)
    assert runs > 1.2 * len(SEEDS) * len(done[0].runs), "hardly anything went wrong"
