"""The management client and both registries, and one changing request through each."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.paper import make
from thingmint.errors import HubError
from thingmint.hub.certificates import HubCertificates
from thingmint.hub.identity import Registry
from thingmint.hub.registry_rest import RestRegistry
from thingmint.target import Target

TOKEN = "eyJhbGciOiJub25lIn0.eyJ1cG4iOiJzb21lYm9keSJ9.c2lnbmF0dXJl"
SUBSCRIPTION = "0123abcd-0000-0000-0000-000000000000"
SCOPE = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-iotcore-dev-001"
    "/providers/Microsoft.Devices/IotHubs/iot-hub001-0x0123-dev"
)
KINDS = ["sdk", "rest"]
CLIENTS = ["management", "sdk", "rest"]


class Credential:
    """A sign-in that succeeded."""

    def get_token(self, *_scopes: str, **_options: Any) -> SimpleNamespace:
        return SimpleNamespace(token=TOKEN, expires_on=int(time.time()) + 3600)


def at(host: str, ca_file: Path) -> Target:
    return Target(
        kind="azure",
        subscription_id=SUBSCRIPTION,
        resource_group="rg-iotcore-dev-001",
        hub="iot-hub001-0x0123-dev",
        hub_host="iot-hub001-0x0123-dev.azure-devices.net",
        arm_url=f"https://{host}",
        registry_host=host,
        provisioning_service="provs-iotcore-0x0123-dev",
        provisioning_host=host,
        ca_file=ca_file,
    )


def open_kind(kind: str, target: Target, credential: Any) -> Registry:
    if kind == "rest":
        return RestRegistry(target, credential)
    pytest.importorskip("uamqp", reason="azure-iot-hub needs uamqp, which has wheels for x86_64 only")
    from thingmint.hub.registry_sdk import SdkRegistry

    return SdkRegistry(target, credential)


def write(client: str, target: Target) -> None:
    """One changing request through this client."""
    if client == "management":
        certificates = HubCertificates(target, Credential())  # type: ignore[arg-type]
        try:
            certificates.upload("cert-x", make("CA").pem, etag=None)
        finally:
            certificates.close()
    else:
        devices = open_kind(client, target, Credential())
        try:
            devices.create("dev-1")
        finally:
            devices.close()


def refused(client: str, target: Target) -> HubError:
    with pytest.raises(HubError) as caught:
        write(client, target)
    error = caught.value
    assert error.message.startswith(
        "uploading cert-x failed: " if client == "management" else "registering dev-1 failed: "
    )
    assert TOKEN not in error.render()
    assert "Bearer" not in error.render()
    assert error.exit_code == 5
    return error


def body(client: str, code: str, number: int, words: str) -> dict[str, Any]:
    """An error body as this service writes them."""
    if client == "management":
        return {"error": {"code": code, "message": words}}
    return {"Message": f"ErrorCode:{code};{words}", "ExceptionMessage": f"Tracking ID:{number}"}
