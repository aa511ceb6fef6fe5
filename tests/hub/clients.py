"""The hub's clients as the tests open them, and a target that is answered by the tests' own server."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from thingmint.hub.identity import Registry
from thingmint.hub.registry_rest import RestRegistry
from thingmint.target import Target

KINDS = ["sdk", "rest"]
TOKEN = "eyJhbGciOiJub25lIn0.eyJ1cG4iOiJzb21lYm9keSJ9.c2lnbmF0dXJl"
SUBSCRIPTION = "0123abcd-0000-0000-0000-000000000000"


def open_kind(kind: str, target: Target, credential: Any) -> Registry:
    if kind == "rest":
        return RestRegistry(target, credential)
    pytest.importorskip("uamqp", reason="azure-iot-hub needs uamqp, which has wheels for x86_64 only")
    from thingmint.hub.registry_sdk import SdkRegistry

    return SdkRegistry(target, credential)


class Credential:
    """A sign-in that succeeded."""

    def get_token(self, *_scopes: str, **_options: Any) -> SimpleNamespace:
        return SimpleNamespace(token=TOKEN, expires_on=int(time.time()) + 3600)


def at(host: str, ca_file: Path) -> Target:
    """As a hub on Azure would be configured, but answered at `host`."""
    return Target(
        kind="azure",
        subscription_id=SUBSCRIPTION,
        resource_group="rg-iotcore-dev-001",
        hub="iot-hub001-0x0123-dev",
        hub_host="iot-hub001-0x0123-dev.azure-devices.net",
        arm_url=f"https://{host}",
        registry_host=host,
        ca_file=ca_file,
    )
