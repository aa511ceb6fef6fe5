"""Simulated modems, each test's in a folder of its own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.thing.terminal import Terminal, opened
from thingmint.ids import DeviceId
from thingmint.lab.thing.faults import parse
from thingmint.lab.thing.port import Thing, plugged_in

IMEI = "352656100367872"
PlugIn = Callable[..., tuple[Thing, Terminal]]


@pytest.fixture
def plug_in(tmp_path: Path) -> Iterator[PlugIn]:
    """plug_in("drop=10", …) gives a modem and a terminal on it; the line is instant unless `real`."""
    with ExitStack() as held:

        def plug(*faults: str, imei: str = IMEI, real: bool = False) -> tuple[Thing, Terminal]:
            wanted = parse([*faults, *([] if real else ["instant"])])
            thing = held.enter_context(plugged_in(tmp_path / "modems", DeviceId(imei), wanted))
            return thing, held.enter_context(opened(thing.port, settle=0.15 if real else 0.03))

        yield plug
