"""Requests to the endpoints that a lab has for its owner: by its token, over its own CA, and through no proxy."""

import json
from typing import Any

from thingmint.errors import HubError, ToolError
from thingmint.lab import state
from thingmint.lab.state import LabFolder, LabRecord, LabSecrets

_SECONDS = 5.0


def request(lab: LabFolder, port: int, secrets: LabSecrets, method: str, path: str) -> Any:
    """Raises OSError (HTTPError is one) where it does not answer, or refuses, and ValueError for an answer that is no JSON."""
    import http.client
    import ssl
    import urllib.error
    import urllib.request

    asked = urllib.request.Request(
        f"https://127.0.0.1:{port}{path}",  # "localhost" would try ::1 first, which costs Windows two seconds
        method=method,
        headers={"Authorization": f"Bearer {secrets.control_token}"},
    )
    # Only the lab's own CA is trusted, so the token goes to nobody who merely sits on its port.
    context = ssl.create_default_context(cafile=str(lab.ca))
    # An empty ProxyHandler: loopback never goes through a proxy, whatever HTTPS_PROXY says.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(asked, timeout=_SECONDS) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        error.close()
        raise
    except http.client.HTTPException as error:  # cut off in the middle
        raise ConnectionError(f"no whole answer: {error}") from None


def answering(lab: LabFolder) -> LabRecord | None:
    """The record of a lab that runs; None for one that a killed lab left behind."""
    record, secrets = state.read_record(lab), state.read_secrets(lab)
    if record is None or secrets is None:
        return None
    try:
        health = request(lab, record.https_port, secrets, "GET", "/lab/health")
    except (OSError, ValueError):
        return None
    # Another lab may have taken the port of a dead one.
    return record if health.get("folder") == lab.identity else None


def secrets_of(lab: LabFolder) -> LabSecrets:
    secrets = state.read_secrets(lab)
    if secrets is None:
        raise ToolError(f"{lab.secrets} is missing or damaged.", things_to_try=["invoke lab-down, then invoke lab-up"])
    return secrets


def gone(lab: LabFolder, error: Exception) -> HubError:
    """For whoever was in the middle of something, and got no answer any more."""
    if answering(lab) is None:
        return HubError(
            f"the lab in {lab.path} was stopped.",
            things_to_try=["start it again: invoke lab-up", f"where nobody stopped it, read {lab.log}"],
        )
    return HubError(
        f"the lab in {lab.path} does not answer: {error}.", things_to_try=["run this again", f"read {lab.log}"]
    )
