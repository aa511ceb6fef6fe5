"""A bad day: the whole chain comes to the right end. `make soak` has a thousand of them."""

from functools import partial
from pathlib import Path

import pytest

from tests.chain import Chain
from tests.commands.conftest import CommandLine


@pytest.mark.parametrize("seed", [3])
def test_the_whole_chain_comes_to_the_right_end(seed: int, tmp_path: Path) -> None:
    line = CommandLine(tmp_path / "ws")
    chain = Chain(line.workspace, partial(line.run, environment=line.environment), f"seed={seed},rate=0.1")
    try:
        chain.whole()
    finally:
        line.end()
