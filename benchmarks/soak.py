"""`make soak`: random kills, many writers, then an audit that has to find every invariant standing.

Each victim issues or renews a device, or makes a series, and is killed at a random moment: Python alone, openssl alone, or
the whole group. The seed is
printed and replays the same choices; moments depend on the machine, which is the point.
"""

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from thingmint import config
from thingmint.console import Console
from thingmint.pki import bench
from thingmint.pki.audit import audit
from thingmint.pki.authority import authority, family
from thingmint.pki.signing import transaction
from thingmint.pki.wish import Wish
from thingmint.session import Session, make_session

P256 = {"THINGMINT_PKI_KEY": "ec:P-256"}
VICTIM = """
import sys
from pathlib import Path
from thingmint import config
from thingmint.console import Console
from thingmint.session import make_session
from thingmint.workflows.device import devices, series
session = make_session(Path(sys.argv[1]), config.load({"THINGMINT_PKI_KEY": "ec:P-256"}), Console(quiet=True))
if sys.argv[3] == "series":
    series.devices(session, file=sys.argv[2], register=False)
else:
    devices.device(session, imei=sys.argv[2], renew=sys.argv[3] == "renew", register=False)
"""
DEVICES, LISTS, LENGTH = 50, 4, 60


def start(root: Path, what: str, verb: str) -> subprocess.Popen[bytes]:
    """`what`: a device, or the file with a series' ids."""
    return subprocess.Popen(
        [sys.executable, "-c", VICTIM, str(root), what, verb], start_new_session=True, stderr=subprocess.DEVNULL
    )


def openssl_children(pid: int) -> list[int]:
    """Linux: from /proc, the children of each thread. Elsewhere none is found, and the kill is Python's alone."""
    found = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            words = children.read_text().split()
            found += [int(word) for word in words if Path(f"/proc/{word}/comm").read_text() == "openssl\n"]
    return found


def kill(victim: subprocess.Popen[bytes], whom: str) -> bool:
    """Whether there was somebody to kill."""
    if victim.poll() is not None:
        return False
    try:
        if whom == "group":
            os.killpg(victim.pid, signal.SIGKILL)
        elif whom == "openssl":
            children = openssl_children(victim.pid)
            for child in children:
                os.kill(child, signal.SIGKILL)
            return bool(children)
        else:
            victim.kill()
    except ProcessLookupError:
        return False
    return True


def require_whole(session: Session, moment: str) -> audit.Report:
    with bench.locked(session) as locked:
        for signer in (family.root(session.workspace), family.signer(session.workspace)):
            transaction.recover(locked, signer)
        report = audit.audit(session.workspace)
    # Devices that were cut off are finished by their own next run, at the end; the authorities have to be whole now.
    if broken := [one for one in report.findings if session.workspace.ca in one.where.parents]:
        raise SystemExit(f"{moment}: {broken}")
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=2000)
    parser.add_argument("--writers", type=int, default=64)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}, {arguments.kills} kills, then {arguments.writers} writers", flush=True)
    chance = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "ws"
        session = make_session(root, config.load(P256), Console(quiet=True))
        with bench.locked(session) as locked:
            authority.make_root(locked, Wish())
            authority.make_intermediate(locked, Wish())
        lists = [Path(folder) / f"ids{number}.txt" for number in range(LISTS)]
        for path in lists:
            path.write_text("".join(f"{path.stem}-{number}\n" for number in range(LENGTH)))
        hits = rounds = 0
        began = time.monotonic()
        while hits < arguments.kills:
            rounds += 1
            verb = chance.choice(["make", "renew", "renew", "series"])
            what = str(chance.choice(lists)) if verb == "series" else f"d{chance.randrange(DEVICES)}"
            victim = start(root, what, verb)
            time.sleep(chance.uniform(0.15, 1.2 if verb == "series" else 0.5))
            hits += kill(victim, chance.choice(["python", "openssl", "group"]))
            victim.wait()
            if rounds % 50 == 0:
                require_whole(session, f"after {hits} kills")
                rate = hits / (time.monotonic() - began)
                minutes = (arguments.kills - hits) / rate / 60 if hits else 0
                print(f"{hits} kills in {rounds} runs, {rate:.1f}/s, {minutes:.0f} min to go", flush=True)
        writers = [start(root, f"w{n}", "make") for n in range(arguments.writers)]
        if failed := [writer.args for writer in writers if writer.wait()]:
            raise SystemExit(f"{len(failed)} of the writers failed")
        # Every victim's own next run finishes what was cut off.
        last = [(f"d{number}", "make") for number in range(DEVICES)] + [(str(path), "series") for path in lists]
        if failed := [one for one in last if start(root, *one).wait()]:
            raise SystemExit(f"running again did not finish {failed}")
        report = require_whole(session, "at the end")
        if report.findings:
            raise SystemExit(f"at the end: {report.findings}")
        print(f"whole: {report.certificates} certificates, {report.devices} devices, {hits} kills in {rounds} runs")


if __name__ == "__main__":
    main()
