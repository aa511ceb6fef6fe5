"""One planted fault at a time, and what the task does that meets it: gets over it, or names it and is done when run again."""

import itertools
from collections.abc import Iterator

import pytest

from tests.commands.conftest import CommandLine
from thingmint import config
from thingmint.lab.chaos import Chaos
from thingmint.lab.cloud.faults.kinds import Kind, Point
from thingmint.lab.cloud.faults.seeded import Seeded
from thingmint.lab.state import Role
from thingmint.target import PROVISIONING_DEVICES

ROLE = Role.of(config.load({}).settings)
CAS = (
    f"GET /subscriptions/{ROLE.subscription_id}/resourceGroups/{ROLE.resource_group}"
    f"/providers/Microsoft.Devices/IotHubs/{ROLE.hub}/certificates"
)
QUERY, TOKEN = "POST /devices/query", f"POST /{ROLE.tenant_id}/oauth2/v2.0/token"
RARE = 0.0005
"""So that hardly anything happens in a task but the fault that was looked for."""


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """`one` is registered on the hub, `other` may come in by the provisioning service."""
    line = CommandLine(tmp_path_factory.mktemp("ready") / "ws")
    line.ok(
        "rootca", "subca", "verify", "enroll", "device", "--imei", "one", "device", "--imei", "other", "--no-register"
    )
    yield line
    line.end()


def begin(line: CommandLine, point: Point, who: str, kind: Kind) -> None:
    """A lab of whose draws at that point the first is that fault: a short one, or hidden from as many reads as may be."""
    every = ((one, Seeded(one).draw(point, who)) for one in (Chaos(seed, RARE) for seed in itertools.count()))
    chaos = next(
        one for one, fault in every
        if fault and fault.kind is kind and (fault.amount > 2.5 if kind is Kind.HIDDEN else fault.amount < 1.1)
    )  # fmt: skip
    line.end()
    (line.workspace / "lab/lab.log").unlink()
    line.ok("lab-up", "--chaos", str(chaos))


def planted(line: CommandLine) -> list[str]:
    """The log's lines about faults, without what tells the seed."""
    log = (line.workspace / "lab/lab.log").read_text()
    return [text.partition(", seed=")[0] for line in log.splitlines() if (text := line.partition(" chaos: ")[2])]


@pytest.mark.parametrize(
    ("words", "point", "who", "kind"),
    [
        (("cas",), Point.READ, CAS, Kind.THROTTLED),
        (("cas",), Point.READ, CAS, Kind.HALF_CLOSED),
        (("devices",), Point.CHANGE, QUERY, Kind.FAILED),
        (("devices",), Point.CHANGE, QUERY, Kind.UNAVAILABLE),
        (("devices",), Point.CHANGE, QUERY, Kind.CUT_SHORT),
        (("devices",), Point.CHANGE, TOKEN, Kind.THROTTLED_UNNAMED),
        (("devices",), Point.CHANGE, TOKEN, Kind.UNAVAILABLE),
        (("device", "--imei", "late", "connect", "--imei", "late"), Point.CREATE, "PUT /devices/late", Kind.HIDDEN),
        (("ca-delete", "--name", "cert-0xacc5-subca", "--yes", "verify", "connect", "--imei", "one"), Point.CREATE,
         CAS.replace("GET", "PUT") + "/cert-0xacc5-subca", Kind.HIDDEN),
        (("connect", "--imei", "one"), Point.CONNACK, "one", Kind.REFUSED),
        (("connect", "--imei", "one"), Point.PUBACK, "one", Kind.SILENT),
        (("connect", "--imei", "one"), Point.DEVICE_HANDSHAKE, ROLE.hub_host, Kind.RESET),
        (("connect", "--imei", "other", "--dps"), Point.REGISTRATION, "other", Kind.THROTTLED),
    ],
)  # fmt: skip
def test_a_task_gets_over_it(words: tuple[str, ...], point: Point, who: str, kind: Kind, ready: CommandLine) -> None:
    begin(ready, point, who, kind)
    done = ready.ok(*words)
    assert planted(ready)[0] == f"{kind.value}: {who}"
    if words[0] == "connect" and point is not Point.REGISTRATION:  # to which the SDK itself asks again
        assert " Again in " in done.stderr


@pytest.mark.parametrize(
    ("words", "point", "who", "kind", "says"),
    [
        (("cas",), Point.READ, CAS, Kind.THROTTLED_UNNAMED, "is throttling: too many requests"),
        (("connect", "--imei", "one"), Point.DEVICE_HANDSHAKE, ROLE.hub_host, Kind.EXPIRED,
         "the server's certificate is not trusted, so nothing was sent"),
        (("connect", "--imei", "other", "--dps"), Point.DEVICE_HANDSHAKE, PROVISIONING_DEVICES, Kind.OTHER_CA,
         "the server's certificate is not trusted, so nothing was sent"),
    ],
)  # fmt: skip
def test_a_task_that_does_not_names_it_alone(
    words: tuple[str, ...], point: Point, who: str, kind: Kind, says: str, ready: CommandLine
) -> None:
    begin(ready, point, who, kind)
    done = ready(*words)
    assert done.returncode == 5
    assert says in done.stderr
    things = [one for one in done.stderr.splitlines() if one.startswith("  - ")]
    assert len(things) == 1
    assert f"{kind.value}: {who}, seed=" in things[0]
    assert things[0].startswith("  - run this again: the lab misbehaves on purpose (--chaos ")
    ready.ok(*words)
