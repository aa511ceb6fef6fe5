"""One fault at one step of a task, by a seed that has no other: the task is done all the same, the first time."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.commands.conftest import ROOT, CommandLine
from thingmint.lab.chaos import Chaos
from thingmint.lab.cloud.faults.kinds import Kind, Point
from thingmint.lab.cloud.faults.seeded import Seeded

RATE = 0.004
PROVIDER = (
    "/subscriptions/acc50000-1ab0-4000-8000-000000000001/resourceGroups/rg-iotcore-dev-001/providers/Microsoft.Devices"
)
TENANT = "/acc50000-1ab0-4000-8000-000000000002"
HUB, SERVICE = f"{PROVIDER}/IotHubs/iot-hub001-0xacc5-dev", f"{PROVIDER}/provisioningServices/provs-iotcore-0xacc5-dev"


def seed_of(kind: Kind, point: Point, who: str) -> int:
    """One whose first draw there is of this kind."""
    for seed in range(100_000):
        fault = Seeded(Chaos(seed, RATE)).draw(point, who)
        if fault and fault.kind is kind:
            return seed
    raise AssertionError("no such seed")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """A device of a verified CA, and one without an identity."""
    line = CommandLine(tmp_path_factory.mktemp("made") / "ws")
    line.ok("rootca", "subca", "verify", "enroll", "device", "--imei", "d1", "device", "--imei", "d2", "--no-register")
    yield line
    line.end()


@pytest.mark.parametrize(
    ("kind", "point", "who", "task"),
    [
        (Kind.FAILED, Point.READ, f"GET {TENANT}/v2.0/.well-known/openid-configuration", "devices"),
        (Kind.LOST, Point.CHANGE, f"POST {TENANT}/oauth2/v2.0/token", "devices"),
        (Kind.LOST, Point.CREATE, f"PUT {HUB}/certificates/c1", "verify --name c1"),
        (Kind.HIDDEN, Point.CREATE, f"PUT {HUB}/certificates/c2", "verify --name c2"),
        (Kind.LOST, Point.MATCH, f"POST {HUB}/certificates/c3/generateVerificationCode", "verify --name c3"),
        (Kind.STALE, Point.MATCH, f"POST {HUB}/certificates/c4/generateVerificationCode", "verify --name c4"),
        (Kind.LOST, Point.MATCH, f"POST {HUB}/certificates/c5/verify", "verify --name c5"),
        (Kind.CUT_SHORT, Point.MATCH, f"POST {SERVICE}/certificates/c6/verify", "enroll --name c6 --group g6"),
        (Kind.LOST, Point.CREATE, "PUT /enrollmentGroups/g7", "enroll --group g7"),
        (Kind.LOST, Point.CREATE, "PUT /devices/d2", "device --imei d2"),
        (Kind.HIDDEN, Point.CREATE, "PUT /devices/d3", "device --imei d3 connect --imei d3"),
        (Kind.LOST, Point.CHANGE, "POST /devices", "device --imei-file"),
        (Kind.FAILED, Point.READ, "GET /devices/d1", "connect --imei d1"),
        (Kind.LOST, Point.MATCH, "PUT /devices/d1", "device-revoke --imei d1 --yes"),
        (Kind.LOST, Point.CHANGE, "DELETE /devices/d2", "device-delete --imei d2 --yes"),
        (Kind.HIDDEN, Point.CREATE, "PUT /devices/d4", "device --imei d4 device-delete --imei d4 --yes"),
        (Kind.LOST, Point.MATCH, "DELETE /enrollmentGroups/g7", "enrollment-delete --group g7 --yes"),
        (Kind.LOST, Point.MATCH, f"DELETE {HUB}/certificates/c1", "ca-delete --name c1 --yes"),
    ],
)  # fmt: skip
def test_one_fault_is_no_reason_to_fail(made: CommandLine, kind: Kind, point: Point, who: str, task: str) -> None:
    words = task.split()
    if words[-1] == "--imei-file":
        listed = made.workspace.parent / "ids.txt"
        listed.write_text("s1\ns2\n")
        words.append(str(listed))
    chaos = f"seed={seed_of(kind, point, who)},rate={RATE}"
    made.ok("lab-down", "lab-up", "--chaos", chaos)
    made.ok(*words)
    log = (made.workspace / "lab/lab.log").read_text().rpartition("ready: ")[2]
    assert f"chaos: {kind.value}: {who}, seed=" in log


IMPATIENT = """
from invoke.main import program
from thingmint.workflows import targets
targets.ANSWER_SECONDS["lab"] = 1.0
program.run()
"""


def test_a_device_that_gets_no_answer_says_so_and_nothing_else(made: CommandLine) -> None:
    chaos = f"seed={seed_of(Kind.SILENT, Point.REGISTRATION, 'd2')},rate={RATE}"
    made.ok("lab-down", "lab-up", "--chaos", chaos)
    words = [sys.executable, "-c", IMPATIENT, "connect", "--imei", "d2", "--dps"]
    began = time.monotonic()
    silent = subprocess.run(
        words, cwd=ROOT, env=made.environment, check=False, capture_output=True, text=True, timeout=60
    )
    assert time.monotonic() - began < 9  # it does not wait again for what did not come
    assert silent.returncode == 5
    assert "no answer in time" in silent.stderr
    assert "Traceback" not in silent.stderr  # of a timer that the SDK left behind


def test_after_all_of_that_everything_is_as_it_was_asked_for(made: CommandLine) -> None:
    made.ok("lab-down")
    certificates = json.loads(made.ok("cas", "--json").stdout)
    assert [one["name"] for one in certificates] == ["c2", "c3", "c4", "c5", "cert-0xacc5-subca"]
    assert all(one["isVerified"] for one in certificates)
    devices = {one["deviceId"]: one["status"] for one in json.loads(made.ok("devices", "--json").stdout)}
    assert devices == {"d1": "disabled", "d3": "enabled", "s1": "enabled", "s2": "enabled"}
    groups = json.loads(made.ok("enrollments", "--json").stdout)["enrollmentGroups"]
    assert [one["enrollmentGroupId"] for one in groups] == ["g6", "subca"]
    made.ok("ca-check")
