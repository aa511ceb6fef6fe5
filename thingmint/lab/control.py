"""The lab from outside: start, find, stop it, and read back what its hub heard."""

import contextlib
import dataclasses
import datetime as dt
import json
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
from thingmint.errors import HubError, InputError, ToolError
from thingmint.lab import holdings, state
from thingmint.lab.chaos import Chaos
from thingmint.lab.state import LabFolder, LabRecord, LabSecrets, Role
from thingmint.session import Session
from thingmint.target import ServicePrincipal, Target

START_SECONDS = 20.0
STOP_SECONDS = 15.0
_REQUEST_SECONDS = 5.0
_LOOK_SECONDS = 0.25


@dataclass(frozen=True)
class Heard:
    """One message that the lab's hub received and kept."""

    sequence: int
    device_id: str
    received_at: dt.datetime
    body: str
    properties: dict[str, str]


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

    @property
    def page(self) -> str:
        """For a browser on this machine."""
        return f"http://localhost:{self.page_port}/"

    def target(self, settings: Settings) -> Target:
        """Where the lab's hub answers, for the same client code that runs against Azure."""
        lab = LabFolder(self.folder)
        secrets = _secrets(lab)
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

    def telemetry(self, device_id: str, *, after: int = 0, newest: bool = False) -> list[Heard]:
        """What the hub heard from this device (from all, where it is empty) with a higher sequence than `after`, oldest
        first; or the newest alone."""
        from urllib.parse import urlencode

        lab = LabFolder(self.folder)
        query = urlencode({"device": device_id, "after": after, **({"newest": 1} if newest else {})})
        try:
            messages = _request(lab, self.https_port, _secrets(lab), "GET", f"/lab/telemetry?{query}")["messages"]
        except (OSError, ValueError) as error:
            raise HubError(
                f"the lab in {self.folder} does not answer: {error}.",
                things_to_try=["start it again: invoke lab-up", f"read {lab.log}"],
            ) from None
        return [
            Heard(
                message["sequence"],
                message["deviceId"],
                dt.datetime.fromisoformat(message["receivedAt"]),
                message["body"],
                message["properties"],
            )
            for message in messages
        ]

    def follow(self, device_id: str, tell: Callable[[str, dt.datetime, str, dict[str, str]], None]) -> None:
        """What the hub hears from now on, of one device or (where `device_id` is empty) of all; until interrupted."""
        after = self.telemetry(device_id, newest=True)
        last = after[-1].sequence if after else 0
        while True:
            for heard in self.telemetry(device_id, after=last):
                last = heard.sequence
                tell(heard.device_id, heard.received_at, heard.body, heard.properties)
            time.sleep(_LOOK_SECONDS)


def running(session: Session) -> RunningLab | None:
    """The lab of this workspace, if one answers. A record that a killed lab left behind does not count."""
    lab = LabFolder(session.workspace.lab)
    record = _answering(lab)
    return _running(lab, record) if record else None


def start(session: Session, *, empty: bool = False, chaos: Chaos | None = None) -> RunningLab:
    """The lab of this workspace, started if need be. Returns once it answers.

    With `empty` its account holds nothing yet; raises InputError if this workspace's lab holds something. With `chaos`
    it misbehaves; raises InputError if one runs that does not, or does otherwise.
    """
    lab = LabFolder(session.workspace.lab)
    wanted = _role(session, lab, empty=empty, chaos=chaos)
    lab.make(session.shell)

    def on_wait() -> None:
        session.console.say("waiting for another run that is starting the lab")

    with files.lock(lab.start_lock, wait_seconds=START_SECONDS + STOP_SECONDS, on_wait=on_wait):
        record = _answering(lab)
        if record is None:
            return _running(lab, _launch(session, lab, wanted))
    if not record.role.same_hub(wanted):
        raise InputError(
            f"the lab in {lab.path} plays another hub than the configuration names.",
            detail=f"running:    {record.role}\nconfigured: {wanted}",
            things_to_try=[
                "invoke lab-down, then run this again (each hub name starts from the same stored state)",
                "use a workspace of its own for the other hub: THINGMINT_WORKSPACE=FOLDER",
            ],
        )
    if chaos and record.role.chaos != chaos:
        now = f"--chaos {record.role.chaos}" if record.role.chaos else "no --chaos"
        raise InputError(
            f"the lab in {lab.path} runs already, with {now}.",
            things_to_try=[f"invoke lab-down lab-up --chaos {chaos}"],
        )
    return _running(lab, record)


def stop(session: Session) -> bool:
    """End the lab and wait until its process is gone. False if none was running."""
    lab = LabFolder(session.workspace.lab)
    record = _answering(lab)
    if record is None:
        return False
    # It may end by itself between the two requests.
    with contextlib.suppress(OSError, ValueError):
        _request(lab, record.https_port, _secrets(lab), "POST", "/lab/stop")
    with files.lock(lab.life_lock, wait_seconds=STOP_SECONDS, on_wait=lambda: None):
        _reap(record.pid)
    return True


def serve(
    session: Session, ready: Callable[[RunningLab], None], *, empty: bool = False, chaos: Chaos | None = None
) -> None:
    """Be the lab, in the foreground, until Ctrl-C, a stop from elsewhere, or idleness."""
    from thingmint.lab.cloud.server import run

    lab = LabFolder(session.workspace.lab)
    role = _role(session, lab, empty=empty, chaos=chaos)
    lab.make(session.shell)
    run(
        lab,
        role,
        ready=lambda record: ready(_running(lab, record)),
        tell=session.console.say,
    )


def _role(session: Session, lab: LabFolder, *, empty: bool, chaos: Chaos | None) -> Role:
    if empty and holdings.in_use(lab):
        raise InputError(
            f"the lab in {lab.path} is in use: only a new one can be empty.",
            things_to_try=[
                "use a workspace of its own for it: THINGMINT_WORKSPACE=FOLDER",
                f"or, to lose what it holds: invoke lab-down, then remove {lab.database.name}* in that folder",
            ],
        )
    return dataclasses.replace(Role.of(session.settings), empty=empty, chaos=chaos)


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
            if state.read_record(lab) and (record := _answering(lab)):
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


def _answering(lab: LabFolder) -> LabRecord | None:
    record, secrets = state.read_record(lab), state.read_secrets(lab)
    if record is None or secrets is None:
        return None
    try:
        health = _request(lab, record.https_port, secrets, "GET", "/lab/health")
    except (OSError, ValueError):
        return None
    # Another lab may have taken the port of a dead one.
    return record if health.get("folder") == lab.identity else None


def _request(lab: LabFolder, port: int, secrets: LabSecrets, method: str, path: str) -> Any:
    import http.client
    import ssl
    import urllib.error
    import urllib.request

    request = urllib.request.Request(
        f"https://127.0.0.1:{port}{path}",  # "localhost" would try ::1 first, which costs Windows two seconds
        method=method,
        headers={"Authorization": f"Bearer {secrets.control_token}"},
    )
    # Only the lab's own CA is trusted, so the token goes to nobody who merely sits on its port.
    context = ssl.create_default_context(cafile=str(lab.ca))
    # An empty ProxyHandler: loopback never goes through a proxy, whatever HTTPS_PROXY says.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(request, timeout=_REQUEST_SECONDS) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        error.close()
        raise
    except http.client.HTTPException as error:  # cut off in the middle
        raise ConnectionError(f"no whole answer: {error}") from None


def _secrets(lab: LabFolder) -> LabSecrets:
    secrets = state.read_secrets(lab)
    if secrets is None:
        raise ToolError(f"{lab.secrets} is missing or damaged.", things_to_try=["invoke lab-down, then invoke lab-up"])
    return secrets


def _running(lab: LabFolder, record: LabRecord) -> RunningLab:
    ports = (record.https_port, record.mqtt_port, record.proxy_port, record.page_port)
    return RunningLab(lab.path, record.pid, *ports, record.role.chaos)


def _reap(pid: int) -> bool:
    """Whether this process's own child `pid` has ended; without this it stays behind as a zombie."""
    if os.name == "nt":
        return False
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return False
