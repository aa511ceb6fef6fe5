"""A simulated device that a lab tries: what its modem holds, and the device in operation."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from tests.lab.clients import wait_until
from tests.verified import Bench
from thingmint.lab.thing import manners, operation


@dataclass(frozen=True)
class Tags:
    """What `provision` loads: the lab's two roots, the device's certificate and key."""

    bench: Bench
    chain: bytes
    key: bytes

    def read(self, tag: int, kind: int) -> bytes | None:
        folder = self.bench.lab.folder
        roots = {10: folder / "ca.pem", 11: folder / "ca-second.pem"}
        return roots[tag].read_bytes() if kind == 0 else {1: self.chain, 2: self.key}[kind]


def tags(bench: Bench) -> Tags:
    paper = bench.subca.issue("dev-1")
    return Tags(bench, paper.chain, paper.key_pem)


@contextlib.contextmanager
def operating(bench: Bench, faults: list[str]) -> Iterator[None]:
    """The device, once it is connected."""
    with operation.operating(bench.target, "dev-1", tags(bench), (10, 11), manners.parse(faults)):
        wait_until(lambda: (found := bench.devices.get("dev-1")) and found.connection_state == "Connected")
        yield
