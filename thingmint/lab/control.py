"""The lab from outside: start, find and stop it, and where it answers."""

import contextlib
import dataclasses
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thingmint import files
from thingmint.config import Settings
from thingmint.errors import InputError, ToolError
from thingmint.lab import heard, holdings, state
from thingmint.lab.chaos import Chaos
from thingmint.lab.heard import Follower, Heard
from thingmint.lab.listen import Listen
from thingmint.lab.requests import answering, request, secrets_of
from thingmint.lab.state import LabFolder, LabRecord, Role
from thingmint.session import Session
from thingmint.target import ServicePrincipal, Target

START_SECONDS = 20.0
STOP_SECONDS = 15.0


@dataclass(frozen=True)
class RunningLab:
    """A lab that answers."""

    folder: Path
    pid: int
    https_port: int
    mqtt_port: int
    proxy_port: int
    page_port: int
    chaos: Chaos | None
    listen: Listen | None
    outside_port: int
    """Where devices of the network that `listen` names reach it; 0 without one."""

    @property
    def page(self) -> str:
        """For a browser on this machine."""
        return f"http://localhost:{self.page_port}/"

    def target(self, settings: Settings) -> Target:
        """Where the lab's hub answers, for the same client code that runs against Azure."""
        lab = LabFolder(self.folder)
        secrets = secrets_of(lab)
        role = Role.of(settings)
        arm_url = f"https://localhost:{self.https_port}"
        return Target(
            kind="lab",
            subscription_id=role.subscription_id,
            resource_group=role.resource_group,
            hub=role.hub,
            hub_host=role.hub_host,
            arm_url=arm_url,
            registry_host=f"localhost:{self.https_port}",
            provisioning_service=role.provisioning_service,
            provisioning_host=f"localhost:{self.https_port}",
            tenant_id=role.tenant_id,
            login=ServicePrincipal(arm_url, role.tenant_id, secrets.client_id, secrets.client_secret),
            ca_file=lab.ca,
            mqtt_proxy=("127.0.0.1", self.proxy_port),
        )

    def ask(self, method: str, path: str) -> Any:
        """The lab's own endpoints, by its control token. Raises OSError or ValueError where it does not answer."""
        lab = LabFolder(self.folder)
        return request(lab, self.https_port, secrets_of(lab), method, path)

    def telemetry(self, device_id: str, *, after: int = 0, newest: bool = False) -> list[Heard]:
        """What the hub heard from this device (from all, where it is empty) with a higher sequence than `after`, oldest
        first; or the newest alone."""
        return heard.telemetry(LabFolder(self.folder), self.https_port, device_id, after=after, newest=newest)

    def follow(self, device_id: str, follower: Follower) -> None:
        """What the hub hears from now on, of one device or (where `device_id` is empty) of all; until interrupted."""
        heard.follow(LabFolder(self.folder), self.https_port, device_id, follower)


def running(session: Session) -> RunningLab | None:
    """The lab of this workspace, if one answers. A record that a killed lab left behind does not count."""
    lab = LabFolder(session.workspace.lab)
    record = answering(lab)
    return _running(lab, record) if record else None


def found(session: Session) -> RunningLab | None:
    """The same, for who uses it. Raises InputError if it plays another hub than the configuration names."""
    lab = LabFolder(session.workspace.lab)
    record = answering(lab)
    if record is None:
        return None
    _require_same_hub(lab, record, Role.of(session.settings))
    return _running(lab, record)


def start(
    session: Session, *, empty: bool = False, chaos: Chaos | None = None, listen: Listen | None = None
) -> RunningLab:
    """The lab of this workspace, started if need be. Returns once it answers.

    With `empty` its account holds nothing yet; raises InputError if this workspace's lab holds something. With `chaos`
    it misbehaves, with `listen` devices of a network reach it; raises InputError if one runs that does not, or does
    otherwise.
    """
    lab = LabFolder(session.workspace.lab)
    wanted = _role(session, lab, empty=empty, chaos=chaos, listen=listen)
    lab.make(session.shell)

    def on_wait() -> None:
        session.console.say("waiting for another run that is starting the lab")

    with files.lock(lab.start_lock, wait_seconds=START_SECONDS + STOP_SECONDS, on_wait=on_wait):
        record = answering(lab)
        if record is None:
            return _running(lab, _launch(session, lab, wanted))
    _require_same_hub(lab, record, wanted)
    again = f"invoke lab-down {_up(chaos or record.role.chaos, listen or record.role.listen)}"
    if chaos and record.role.chaos != chaos:
        now = f"--chaos {record.role.chaos}" if record.role.chaos else "no --chaos"
        raise InputError(
            f"the lab in {lab.path} runs already, with {now}.", things_to_try=[f"end it, and start anew: {again}"]
        )
    if listen and record.role.listen != listen:
        now = f"on {record.role.listen}" if record.role.listen else "to this machine alone"
        raise InputError(
            f"the lab in {lab.path} runs already, and listens {now}.",
            things_to_try=[f"end it, and start anew: {again}"],
        )
    return _running(lab, record)


def _up(chaos: Chaos | None, listen: Listen | None) -> str:
    """The task with its options."""
    return "lab-up" + (f" --chaos {chaos}" if chaos else "") + (f" --listen {listen.host}" if listen else "")


def _require_same_hub(lab: LabFolder, record: LabRecord, wanted: Role) -> None:
    if not record.role.same_hub(wanted):
        raise InputError(
            f"the lab in {lab.path} plays another hub than the configuration names.",
            detail=f"running:    {record.role}\nconfigured: {wanted}",
            things_to_try=[
                "invoke lab-down, then run this again (each hub name starts from the same stored state)",
                "use a workspace of its own for the other hub: THINGMINT_WORKSPACE=FOLDER",
            ],
        )


def stop(session: Session) -> bool:
    """End the lab and wait until its process is gone. False if none was running."""
    lab = LabFolder(session.workspace.lab)
    record = answering(lab)
    if record is None:
        return _require_none(lab)
    # It may end by itself between the two requests.
    with contextlib.suppress(OSError, ValueError):
        request(lab, record.https_port, secrets_of(lab), "POST", "/lab/stop")
    if not _ended(lab, STOP_SECONDS):
        raise _deaf(lab, record)
    _reap(record.pid)
    return True


def _require_none(lab: LabFolder) -> bool:
    """False: no lab runs. Raises ToolError if one does, and does not answer."""
    record = state.read_record(lab)
    if record and not _ended(lab, 0):
        raise _deaf(lab, record)
    return False


def _ended(lab: LabFolder, seconds: float) -> bool:
    """Whether nobody is the lab of this folder, or ceases to be within so long."""
    try:
        with files.lock(lab.life_lock, wait_seconds=seconds, on_wait=lambda: None):
            return True
    except ToolError:
        return False


def _deaf(lab: LabFolder, record: LabRecord) -> ToolError:
    kill = f"taskkill /F /PID {record.pid}" if os.name == "nt" else f"kill {record.pid}  (or kill -9, if it is stopped)"
    return ToolError(
        f"the lab in {lab.path} runs and takes no requests.",
        things_to_try=[
            "wait a minute and run this again: it may be busy",
            f"end its process, which loses nothing that it acknowledged: {kill}",
            f"read {lab.log}",
        ],
    )


def serve(
    session: Session,
    ready: Callable[[RunningLab], None],
    *,
    empty: bool = False,
    chaos: Chaos | None = None,
    listen: Listen | None = None,
) -> None:
    """Be the lab, in the foreground, until Ctrl-C, a stop from elsewhere, or idleness."""
    from thingmint.lab.cloud.server import run

    lab = LabFolder(session.workspace.lab)
    role = _role(session, lab, empty=empty, chaos=chaos, listen=listen)
    lab.make(session.shell)
    run(
        lab,
        role,
        ready=lambda record: ready(_running(lab, record)),
        tell=session.console.say,
    )


def _role(session: Session, lab: LabFolder, *, empty: bool, chaos: Chaos | None, listen: Listen | None) -> Role:
    if empty and holdings.in_use(lab):
        raise InputError(
            f"the lab in {lab.path} is in use: only a new one can be empty.",
            things_to_try=[
                "use a workspace of its own for it: THINGMINT_WORKSPACE=FOLDER",
                f"or, to lose what it holds: invoke lab-down, then remove {lab.database.name}* in that folder",
            ],
        )
    return dataclasses.replace(Role.of(session.settings), empty=empty, chaos=chaos, listen=listen)


def _launch(session: Session, lab: LabFolder, role: Role) -> LabRecord:
    state.bound_log(lab)
    state.write(lab.role, role)
    lab.record.unlink(missing_ok=True)
    lab.failure.unlink(missing_ok=True)
    package_parent = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(part for part in (package_parent, os.environ.get("PYTHONPATH", "")) if part)
    with open(state.open_log(lab), "ab") as log:  # noqa: PTH123 - a descriptor
        pid = session.shell.spawn(
            [sys.executable, "-m", "thingmint.lab", str(session.workspace.root)],
            cwd=lab.path,
            log=log,
            environment={"PYTHONPATH": path},
        )
    deadline = time.monotonic() + START_SECONDS
    try:
        while time.monotonic() < deadline:
            if state.read_record(lab) and (record := answering(lab)):
                return record
            if _reap(pid):
                break
            time.sleep(0.03)
    except KeyboardInterrupt:
        os.kill(pid, signal.SIGTERM)  # it cannot be asked yet, and nobody else would know of it
        raise
    if failure := state.read_failure(lab):
        raise failure.as_error()
    raise ToolError(
        f"the lab did not start within {START_SECONDS:.0f} s; the end of {lab.log}:",
        detail=lab.log_tail(),
        things_to_try=[
            "run it in front to watch it: invoke lab",
            f"end a lab that hangs: its process id stands in {lab.log}",
        ],
    )


def _running(lab: LabFolder, record: LabRecord) -> RunningLab:
    ports = (record.https_port, record.mqtt_port, record.proxy_port, record.page_port)
    role = record.role
    return RunningLab(lab.path, record.pid, *ports, role.chaos, role.listen, record.outside_port)


def _reap(pid: int) -> bool:
    """Whether this process's own child `pid` has ended; without this it stays behind as a zombie."""
    if os.name == "nt":
        return False
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return False
