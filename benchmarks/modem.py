"""A whole provisioning against the time that the line itself needs for those bytes at 115200 baud."""

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from measure import Result

from thingmint import config
from thingmint.console import Console
from thingmint.ids import DeviceId
from thingmint.lab import control
from thingmint.modem.link import BAUD, Link
from thingmint.session import Session, make_session
from thingmint.workflows.authority import authorities
from thingmint.workflows.device import devices
from thingmint.workflows.lab import simulated
from thingmint.workflows.modem import provisioning

RUNS = 7
KINDS = ("ec:P-256", "rsa:2048")
_BITS = 10


class Traffic(Link):
    """Counts what passes, and from when to when."""

    passed = 0
    first = last = 0.0

    def transmit(self, data: bytes) -> None:
        Traffic.first = Traffic.first or time.perf_counter()
        super().transmit(data)
        Traffic.passed += len(data)

    def read_nonblocking(self, size: int = 1, timeout: float | None = None) -> bytes:
        data = super().read_nonblocking(size, timeout)
        Traffic.passed += len(data)
        Traffic.last = time.perf_counter()
        return data


def benchmarks(folder: Path) -> Iterator[Result]:
    from thingmint.modem import link

    link.Link = Traffic  # type: ignore[misc]
    for kind in KINDS:
        session = make_session(folder / kind[:2], config.load({"THINGMINT_PKI_KEY": kind}), Console(quiet=True))
        try:
            yield provisioned(session, kind)
        finally:
            control.stop(session)


def provisioned(session: Session, kind: str) -> Result:
    authorities.rootca(session)
    authorities.subca(session)
    authorities.verify(session)
    runs = [conversation(session, f"bench-{number}") for number in range(RUNS)]
    took = statistics.median(seconds for seconds, _ in runs)
    line = statistics.median(passed for _, passed in runs) * _BITS / BAUD
    name = f"provision ({kind}, {line * BAUD / _BITS:.0f} bytes both ways) against the line's own time for them"
    return Result(name, f"{took:.3f} s", f"{line:.3f} s", took / line, 1.15, "x", at_least=False)


def conversation(session: Session, device: str) -> tuple[float, int]:
    """Seconds from the first byte to the last, and how many passed."""
    devices.device(session, imei=device)
    with simulated.plugged_in(session, DeviceId(device)) as port:
        Traffic.passed, Traffic.first = 0, 0.0
        provisioning.provision(session, imei=device, port=port)
    return Traffic.last - Traffic.first, Traffic.passed
