"""The whole chain against a lab that misbehaves: each task is run again until it is done, then the end is judged.

The judge reads the lab's own database, to which every answer was committed before it was given, or lost on the way.
"""

import contextlib
import os
import re
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from subprocess import CompletedProcess

from tests import lines

ONE, BY_SERVICE, SERIES = "350457791791735879", "via-dps", ("series-1", "series-2", "series-3")
MOST_RUNS = 60
_CODES = {3, 4, 5}  # docs/reference/exit-codes.md: a tool, a proof that did not hold, the hub. 2 would blame the user
_SECRET = re.compile(r"PRIVATE KEY|SharedAccessKey=|eyJ[A-Za-z0-9_-]{20}|client_secret=")
_START_SECONDS = 30


class Astray(Exception):  # noqa: N818
    """A task did what no task may do, or the end is another than was asked for."""


def make_base(folder: Path) -> Path:
    """A workspace with what no hub is asked for, and so no chaos can touch: each chain begins with a copy of it."""
    workspace = folder / "base"
    listed = _list_in(workspace)
    listed.parent.mkdir(parents=True)
    listed.write_text("\n".join(SERIES))
    for words in (
        ("rootca", "subca", "device", "--imei", BY_SERVICE, "--no-register"),
        ("device", "--imei-file", str(listed), "--no-register"),
    ):
        done = lines.run(words, _environment(workspace))
        if done.returncode:
            raise Astray(done.stderr)
    return workspace


def _list_in(workspace: Path) -> Path:
    return workspace / "series.txt"


def _environment(workspace: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("THINGMINT_")}
    return kept | {"THINGMINT_WORKSPACE": str(workspace), "THINGMINT_PKI_KEY": "ec:P-256"}


class Chain:
    """In a workspace and with a lab of its own. `astray` tells why it did not come to the right end."""

    def __init__(self, base: Path, seed: int, rate: float) -> None:
        self.seed = seed
        self.workspace = base.with_name(f"seed-{seed}")
        self.astray = ""
        self.runs: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.seconds: Counter[str] = Counter()
        self._chaos = f"seed={seed},rate={rate}"
        self._environment = _environment(self.workspace)
        shutil.copytree(base, self.workspace)

    def run(self) -> "Chain":
        try:
            with self._lab():
                self._whole()
            self._quietly("ca-check")
        except Astray as astray:
            self.astray = str(astray)
        else:
            shutil.rmtree(self.workspace)
        return self

    def _whole(self) -> None:
        self._until_done("hub-create", "--yes")
        self._until_done("verify")
        self._until_done("enroll")
        self._until_done("device", "--imei", ONE)
        self._until_done("device", "--imei-file", str(_list_in(self.workspace)))
        self._until_done("connect", "--imei", ONE)
        self._until_done("connect", "--imei", ONE, "--websockets")
        self._until_done("connect", "--imei", BY_SERVICE, "--dps")
        self._until_done("device", "--imei", ONE, "--renew")
        self._judge(devices={ONE, BY_SERVICE, *SERIES}, disabled=set(), certificates=2, groups=1)
        self._until_done("device-revoke", "--imei", ONE, "--yes")
        self._until_done("device-delete", "--imei", SERIES[0], "--yes")
        self._judge(devices={ONE, BY_SERVICE, *SERIES[1:]}, disabled={ONE}, certificates=2, groups=1)
        self._until_done("ca-delete", "--name", "cert-0xacc5-subca", "--yes")
        self._until_done("enrollment-delete", "--group", "subca", "--yes")
        self._judge(devices={ONE, BY_SERVICE, *SERIES[1:]}, disabled={ONE}, certificates=1, groups=0)

    @contextlib.contextmanager
    def _lab(self) -> Iterator[None]:
        """The lab in front, in a process of its own as any line of `invoke`; in the end it is stopped."""
        folder = self.workspace / "output"
        folder.mkdir()
        words = ("lab", "--empty", "--chaos", self._chaos)
        process = lines.begin(words, self._environment, folder)
        try:
            until = time.monotonic() + _START_SECONDS
            while not (self.workspace / "lab/lab.json").exists():
                if time.monotonic() > until or not process.is_alive():
                    raise Astray(f"the lab did not start: {(folder / 'stderr').read_text()}")
                time.sleep(0.05)
            yield
            self._quietly("lab-down")
        except Astray:
            process.kill()
            raise
        finally:
            lines.ended(process)

    def _until_done(self, *words: str) -> None:
        name = " ".join(word for word in words if word not in {ONE, "--yes", "--name", "--imei"} and "/" not in word)
        began = time.monotonic()
        for _ in range(MOST_RUNS):
            done = self._once(words)
            self.runs[name] += 1
            if done.returncode == 0:
                self.seconds[name] += round(time.monotonic() - began)
                return
            said = done.stderr.splitlines()
            at = next((number for number, line in enumerate(said) if line.startswith("error: ")), len(said))
            first = " | ".join(line.strip() for line in said[at : at + 2])
            if done.returncode not in _CODES or not first:
                raise Astray(f"{name} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
            self.errors[re.sub(r"localhost:\d+", "localhost", f"{done.returncode} {name}: {first[7:]}")] += 1
        raise Astray(f"{name} was not done in {MOST_RUNS} runs:\n{done.stderr}")

    def _quietly(self, *words: str) -> None:
        """What no chaos may touch."""
        done = self._once(words)
        if done.returncode:
            raise Astray(f"{words} ended with {done.returncode}:\n{done.stderr}")

    def _once(self, words: Sequence[str]) -> CompletedProcess[str]:
        done = lines.run(words, self._environment)
        shown = done.stdout + done.stderr
        if "Traceback" in shown or _SECRET.search(shown):
            raise Astray(f"{words} shows a traceback or a secret:\n{shown}")
        return done

    def _judge(self, *, devices: set[str], disabled: set[str], certificates: int, groups: int) -> None:
        database = self.workspace / "lab/lab.sqlite3"
        with contextlib.closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as store:
            status: dict[str, str] = dict(store.execute("SELECT device_id, status FROM device"))
            found = {
                "devices": set(status),
                "disabled": {one for one in status if status[one] == "disabled"},
                # The hub's, and the provisioning service's
                "certificates": [bool(one) for (one,) in store.execute("SELECT verified FROM certificate")],
                "groups": len(store.execute("SELECT 1 FROM enrollment WHERE kind = 'group'").fetchall()),
            }
        wanted = {
            "devices": devices, "disabled": disabled, "certificates": [True] * certificates, "groups": groups,
        }  # fmt: skip
        if found != wanted:
            raise Astray(f"the end is {found}, and not {wanted}")
