"""The lab's MQTT beside mosquitto's: connects a second, messages a second, memory a connection; the same client for both.

mosquitto keeps nothing here and forwards to nobody; the lab has each message in its database before it acknowledges it.
"""

import asyncio
import contextlib
import json
import os
import shutil
import socket
import sqlite3
import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from measure import P256, Result, invoke
from mqtt import BODY, IN_FLIGHT, Client, Server

CLIENTS = 8
MESSAGES = 10_000  # the lab keeps as many
CONNECTS = 200
HELD = 1_000
RUNS = 5


def benchmarks(folder: Path) -> Iterator[Result]:
    broker = shutil.which("mosquitto", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
    if broker is None:
        print("hub: skipped: mosquitto, which the lab is measured against, is not installed (apt install mosquitto)")
        return
    _allow_descriptors()
    ids = folder / "ids.txt"
    ids.write_text("".join(f"{_id(number)}\n" for number in range(HELD)))
    workspace = folder / "ws"
    invoke("rootca", "subca", "verify", "device", "--imei-file", str(ids), workspace=workspace, **P256)
    try:
        record = json.loads((workspace / "lab/lab.json").read_text())
        host = f"{record['role']['hub']}.azure-devices.net"
        lab = Server(record["mqtt_port"], record["pid"], host, workspace / "lab/ca.pem", workspace / "devices")
        with mosquitto(broker, workspace, host) as theirs:
            yield from compared(lab, theirs, workspace / "lab/lab.sqlite3")
    finally:
        invoke("lab-down", workspace=workspace)


def compared(lab: Server, theirs: Server, database: Path) -> Iterator[Result]:
    for what, measured, goal in (
        (f"connects a second, TLS and CONNECT, {CLIENTS} at once", connects, 0.1),
        (f"messages a second, QoS 1, {CLIENTS} clients, {IN_FLIGHT} in flight each", messages, 0.4),
    ):
        pairs = [(measured(lab), measured(theirs)) for _ in range(RUNS)]  # in turn: a slow moment meets both
        ours, others = (statistics.median(rates) for rates in zip(*pairs, strict=True))
        yield Result(what, f"{ours:,.0f}", f"{others:,.0f}", ours / others, goal, "x", at_least=True)
    before = newest(database)
    messages(lab)
    lost = missing(database, after=before)
    yield Result(f"of {MESSAGES:,} acknowledged messages, lost", str(lost), "-", lost, 0, "", at_least=False)
    ours, others = (memory(server) for server in (lab, theirs))
    told = f"memory a connection, of {HELD:,} idle ones"
    yield Result(told, f"{ours:.0f} kB", f"{others:.0f} kB", ours, 60, " kB", at_least=False)


def connects(server: Server) -> float:
    async def one_after_the_other(number: int) -> None:
        for _ in range(CONNECTS // CLIENTS):
            (await Client.connected(server, _id(number))).close()

    return asyncio.run(_rate(CONNECTS, lambda: _each(one_after_the_other)))


def messages(server: Server) -> float:
    async def measured() -> float:
        clients = [await Client.connected(server, _id(number)) for number in range(CLIENTS)]
        rate = await _rate(MESSAGES, lambda: _each(lambda number: clients[number].send(MESSAGES // CLIENTS)))
        for client in clients:
            client.close()
        return rate

    return asyncio.run(measured())


def newest(database: Path) -> int:
    with contextlib.closing(sqlite3.connect(database)) as opened:
        return int(opened.execute("SELECT coalesce(max(sequence), 0) FROM message").fetchone()[0])


def missing(database: Path, *, after: int) -> int:
    """Of the last run's messages, all of which were acknowledged; each run sends the same, hence `after`."""
    with contextlib.closing(sqlite3.connect(database)) as opened:
        rows = opened.execute("SELECT device_id, body FROM message WHERE sequence > ?", [after])
        kept = set(rows.fetchall())
    sent = {(_id(number), BODY % index) for number in range(CLIENTS) for index in range(MESSAGES // CLIENTS)}
    return len(sent - kept)


def memory(server: Server) -> float:
    """kB that the server's process grows by, for each connection that is held."""

    async def measured() -> float:
        before = resident(server.process)
        clients = [await Client.connected(server, _id(number)) for number in range(HELD)]
        grown = resident(server.process) - before
        for client in clients:
            client.close()
        return grown / HELD

    return asyncio.run(measured())


def resident(process: int) -> float:
    """kB; Linux tells."""
    status = Path(f"/proc/{process}/status").read_text()
    return float(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


@contextlib.contextmanager
def mosquitto(broker: str, workspace: Path, host: str) -> Iterator[Server]:
    """With TLS 1.2 and certificates as the lab has them; it trusts the root, since it cannot begin at an intermediate."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = workspace / "mosquitto.conf"
    settings.write_text(
        f"listener {port} 127.0.0.1\n"
        f"cafile {workspace / 'ca/rootca/rootca.pem'}\n"
        f"certfile {workspace / 'lab/server.pem'}\nkeyfile {workspace / 'lab/server.pem'}\n"
        "require_certificate true\nuse_identity_as_username true\ntls_version tlsv1.2\n"
        "allow_anonymous true\npersistence false\nmax_queued_messages 0\nuser root\nlog_type error\n"
    )
    with subprocess.Popen([broker, "-c", settings], stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 10
            while socket.socket().connect_ex(("127.0.0.1", port)):
                assert time.monotonic() < deadline, "mosquitto does not start"
                time.sleep(0.05)
            yield Server(port, process.pid, host, workspace / "lab/ca.pem", workspace / "devices")
        finally:
            process.terminate()


async def _each(work: Callable[[int], Awaitable[None]]) -> None:
    await asyncio.gather(*(work(number) for number in range(CLIENTS)))


async def _rate(number: int, work: Callable[[], Awaitable[None]]) -> float:
    began = time.perf_counter()
    await work()
    return number / (time.perf_counter() - began)


def _allow_descriptors() -> None:
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _id(number: int) -> str:
    return f"bench-{number}"
