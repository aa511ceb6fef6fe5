"""The whole chain against a lab that misbehaves: each task is run again until it is done, then the end is judged.

The judge is the same lab, started anew without chaos.
"""

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import CompletedProcess

ONE, BY_SERVICE, SERIES = "350457791791735879", "via-dps", ("series-1", "series-2", "series-3")
MOST_RUNS = 60
_CODES = {3, 4, 5}  # docs/reference/exit-codes.md: a tool, a proof that did not hold, the hub. 2 would blame the user
_SECRET = re.compile(r"PRIVATE KEY|SharedAccessKey=|eyJ[A-Za-z0-9_-]{20}|client_secret=")

Run = Callable[[Sequence[str]], CompletedProcess[str]]


class Astray(Exception):  # noqa: N818
    """A task did what no task may do, or the end is another than was asked for."""


class Chain:
    def __init__(self, workspace: Path, run: Run, chaos: str) -> None:
        self._workspace = workspace
        self._run = run
        self._chaos = chaos
        self.runs: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.seconds: Counter[str] = Counter()

    def whole(self) -> None:
        listed = self._workspace.parent / f"{self._workspace.name}-series.txt"
        listed.write_text("\n".join(SERIES))
        self.quietly("lab-up", "--empty", "--chaos", self._chaos)
        self.until_done("hub-create", "--yes")
        self.until_done("rootca")
        self.until_done("subca")
        self.until_done("verify")
        self.until_done("enroll")
        self.until_done("device", "--imei", ONE)
        self.until_done("device", "--imei", BY_SERVICE, "--no-register")
        self.until_done("device", "--imei-file", str(listed))
        self.until_done("connect", "--imei", ONE)
        self.until_done("connect", "--imei", ONE, "--websockets")
        self.until_done("connect", "--imei", BY_SERVICE, "--dps")
        self.until_done("device", "--imei", ONE, "--renew")
        self._judge(devices={ONE, BY_SERVICE, *SERIES}, disabled=set(), certificates=1, groups=1)
        self.quietly("lab-up", "--chaos", self._chaos)
        self.until_done("device-revoke", "--imei", ONE, "--yes")
        self.until_done("device-delete", "--imei", SERIES[0], "--yes")
        self._judge(devices={ONE, BY_SERVICE, *SERIES[1:]}, disabled={ONE}, certificates=1, groups=1)
        self.quietly("lab-up", "--chaos", self._chaos)
        self.until_done("ca-delete", "--name", "cert-0xacc5-subca", "--yes")
        self.until_done("enrollment-delete", "--group", "subca", "--yes")
        self._judge(devices={ONE, BY_SERVICE, *SERIES[1:]}, disabled={ONE}, certificates=0, groups=0)
        self.quietly("lab-down")

    def until_done(self, *words: str) -> None:
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

    def quietly(self, *words: str) -> str:
        """What no chaos may touch."""
        done = self._once(words)
        if done.returncode:
            raise Astray(f"{words} ended with {done.returncode}:\n{done.stderr}")
        return done.stdout

    def _once(self, words: Sequence[str]) -> CompletedProcess[str]:
        done = self._run(words)
        shown = done.stdout + done.stderr
        if "Traceback" in shown or _SECRET.search(shown):
            raise Astray(f"{words} shows a traceback or a secret:\n{shown}")
        return done

    def _judge(self, *, devices: set[str], disabled: set[str], certificates: int, groups: int) -> None:
        self.quietly("lab-down")
        self.quietly("lab-up")
        there = json.loads(self.quietly("devices", "--json"))
        found = {
            "devices": {one["deviceId"] for one in there},
            "disabled": {one["deviceId"] for one in there if one["status"] == "disabled"},
            "certificates": [one["isVerified"] for one in json.loads(self.quietly("cas", "--json"))],
            "groups": len(json.loads(self.quietly("enrollments", "--json"))["enrollmentGroups"]),
        }
        wanted = {
            "devices": devices, "disabled": disabled, "certificates": [True] * certificates, "groups": groups,
        }  # fmt: skip
        if found != wanted:
            raise Astray(f"the end is {found}, and not {wanted}")
        self.quietly("ca-check")
        self.quietly("lab-down")
