"""Asking a lab as its owner, and whether it lives at all."""

import json
import os
from typing import Any

from thingmint import files
from thingmint.errors import ToolError
from thingmint.lab import state
from thingmint.lab.state import LabFolder, LabRecord, LabSecrets

_REQUEST_SECONDS = 5.0


def answering(lab: LabFolder) -> LabRecord | None:
    record, kept = state.read_record(lab), state.read_secrets(lab)
    if record is None or kept is None:
        return None
    try:
        health = request(lab, record.https_port, kept, "GET", "/lab/health")
    except (OSError, ValueError):
        return None
    # Another lab may have taken the port of a dead one.
    return record if health.get("folder") == lab.identity else None


def request(lab: LabFolder, port: int, its: LabSecrets, method: str, path: str) -> Any:
    import http.client
    import ssl
    import urllib.error
    import urllib.request

    asked = urllib.request.Request(
        f"https://127.0.0.1:{port}{path}",  # "localhost" would try ::1 first, which costs Windows two seconds
        method=method,
        headers={"Authorization": f"Bearer {its.control_token}"},
    )
    # Only the lab's own CA is trusted, so the token goes to nobody who merely sits on its port.
    context = ssl.create_default_context(cafile=str(lab.ca))
    # An empty ProxyHandler: loopback never goes through a proxy, whatever HTTPS_PROXY says.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(asked, timeout=_REQUEST_SECONDS) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        error.close()
        raise
    except http.client.HTTPException as error:  # cut off in the middle
        raise ConnectionError(f"no whole answer: {error}") from None


def secrets(lab: LabFolder) -> LabSecrets:
    kept = state.read_secrets(lab)
    if kept is None:
        raise ToolError(f"{lab.secrets} is missing or damaged.", things_to_try=["invoke lab-down, then invoke lab-up"])
    return kept


def require_none(lab: LabFolder) -> bool:
    """False: no lab runs. Raises ToolError if one does, and does not answer."""
    record = state.read_record(lab)
    if record and not ended(lab, 0):
        raise deaf(lab, record)
    return False


def ended(lab: LabFolder, seconds: float) -> bool:
    """Whether nobody is the lab of this folder, or ceases to be within so long."""
    try:
        with files.lock(lab.life_lock, wait_seconds=seconds, on_wait=lambda: None):
            return True
    except ToolError:
        return False


def deaf(lab: LabFolder, record: LabRecord) -> ToolError:
    kill = f"taskkill /F /PID {record.pid}" if os.name == "nt" else f"kill {record.pid}  (or kill -9, if it is stopped)"
    return ToolError(
        f"the lab in {lab.path} runs and takes no requests.",
        things_to_try=[
            "wait a minute and run this again: it may be busy",
            f"end its process, which loses nothing that it acknowledged: {kill}",
            f"read {lab.log}",
        ],
    )
