"""A device's log of 1 GB: read, shown and concluded, against `grep -c` of one line of it; and what that takes of memory."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from measure import INVOKE, ROOT, Result, side_by_side, timed

SIZE = 2**30
RUNS = 5
GOAL = 10
WORST = 60  # where nothing can be passed over: each line is read by itself
_SENT = "Event was successfully sent"
_START = """\
*** Booting Zephyr OS build v3.2.99-ncs2 ***
[00:00:00.460,540] <inf> azure_iot_hub_sample: Connecting to LTE network
[00:00:03.120,117] <inf> azure_iot_hub_sample: Network registration status: Connected - home network
[00:00:04.396,423] <dbg> mqtt_helper: broker_init: Resolving IP address for hub.azure-devices.net
[00:00:04.595,703] <dbg> mqtt_helper: broker_init: IPv6 Address found 2001:8004:11d0:4e2a::d46:4ac3 (AF_INET6)
[00:00:08.191,101] <inf> azure_iot_hub_sample: AZURE_IOT_HUB_EVT_CONNECTED
"""
_LINES = """\
[{clock},{n:03}] <inf> azure_iot_hub_sample: Sending event:{{"temperature":2{n}.1,"timestamp":{n}49101}}
[{clock},{n:03}] <dbg> mqtt_helper: mqtt_helper_poll_loop: Polling on socket fd: {n}
[{clock},{n:03}] <dbg> azure_iot_hub: on_publish: Topic: devices/350457791791735879/messages/events/
[{clock},{n:03}] <inf> azure_iot_hub_sample: Event was successfully sent
[{clock},{n:03}] <dbg> app_sensor: sample: battery 3{n} mV, rsrp -{n} dBm
"""
_FAILURE = """\
[{clock},{n:03}] <inf> azure_iot_hub_sample: AZURE_IOT_HUB_EVT_CONNECTING
[{clock},{n:03}] <err> mqtt_helper: mqtt_connect, error: -116
[{clock},{n:03}] <err> azure_iot_hub: mqtt_helper_connect failed, error: -116
[{clock},{n:03}] <inf> azure_iot_hub_sample: AZURE_IOT_HUB_EVT_CONNECTION_FAILED
"""


def benchmarks(folder: Path) -> Iterator[Result]:
    log = folder / "device.log"
    write(log, _LINES)
    yield against_grep(log, "a log of months, concluded (--json)", "--json")
    yield against_grep(log, "the same, its lines shown, too (grep -c prints none)")
    yield memory(log, folder)
    write(log, _FAILURE)
    yield against_grep(log, "a log in which every line tells of a failure (--json)", "--json", goal=WORST)


def write(path: Path, lines: str, size: int = SIZE) -> None:
    """It begins and ends connected: the exit code is 0."""
    part = "".join(lines.format(clock=f"00:{n // 60:02}:{n % 60:02}.460", n=n) for n in range(1000))
    block = part.replace("\n", "\r\n").encode() * 10
    with path.open("wb") as file:
        file.write(_START.encode())
        while file.tell() < size:
            file.write(block)
        file.write(_START.encode())


def monitor(log: Path, *words: str) -> float:
    began = time.perf_counter()
    # Thrown away: to keep a gigabyte would cost more than to read it.
    subprocess.run([INVOKE, "monitor", "--file", log, *words], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def against_grep(log: Path, what: str, *words: str, goal: float = GOAL) -> Result:
    def grep(_: int) -> float:
        pattern = _SENT if "every" not in what else "mqtt_connect, error"
        return timed(["grep", "-c", pattern, log], cwd=ROOT)

    grep(-1)  # the file is in memory for both
    ours, theirs = side_by_side(lambda _: monitor(log, *words), grep, runs=RUNS)
    return Result(
        f"monitor: {what}, against grep -c",
        f"{ours:.2f} s",
        f"{theirs:.2f} s",
        ours / theirs,
        goal,
        "x",
        at_least=False,
    )


def memory(log: Path, folder: Path) -> Result:
    small, endless = folder / "small.log", folder / "endless.log"
    write(small, _LINES, 2**20)
    with endless.open("wb") as file:
        file.truncate(SIZE)  # one line of zeros
    peaks = [peak(path) for path in (small, log, endless)]
    told = ", ".join(f"{size / 1024:.0f} MB" for size in peaks)
    return Result(
        f"monitor: memory at its peak, for 1 MB, 1 GB, and 1 GB without a line's end: {told}",
        "the largest", "the first", max(peaks) / peaks[0], 1.1, "x", at_least=False,
    )  # fmt: skip


def peak(log: Path) -> float:
    program = (
        "import resource, runpy, sys; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)"
    )
    done = subprocess.run(
        [INVOKE.with_name("python"), "-c", program, INVOKE, "monitor", "--file", log], cwd=ROOT, check=False,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    return float(done.stderr.split()[-1])
