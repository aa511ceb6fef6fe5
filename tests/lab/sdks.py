"""Microsoft's device SDK, pointed at the lab by the real names, through its proxy."""

from pathlib import Path
from typing import Any

from azure.iot import device

import tests.hasty  # noqa: F401 - to be imported is all it does
from tests.lab.clients import Lab
from thingmint.target import PROVISIONING_DEVICES

sdk: Any = device  # it ships no types


def sdk_client(lab: Lab, device_id: str, files: tuple[Path, Path], *, websockets: bool = False) -> Any:
    return sdk.IoTHubDeviceClient.create_from_x509_certificate(
        hostname=lab.target.hub_host, device_id=device_id, connection_retry=False, **_way(lab, files, websockets)
    )


def provisioning_client(
    lab: Lab, id_scope: str, registration_id: str, files: tuple[Path, Path], *, websockets: bool = False
) -> Any:
    return sdk.ProvisioningDeviceClient.create_from_x509_certificate(
        provisioning_host=PROVISIONING_DEVICES,
        registration_id=registration_id,
        id_scope=id_scope,
        **_way(lab, files, websockets),
    )


def _way(lab: Lab, files: tuple[Path, Path], websockets: bool) -> dict[str, Any]:
    assert lab.target.mqtt_proxy
    assert lab.target.ca_file
    return {
        "x509": sdk.X509(str(files[0]), str(files[1])),
        "server_verification_cert": lab.target.ca_file.read_text(),
        "proxy_options": sdk.ProxyOptions("HTTP", *lab.target.mqtt_proxy),
        "websockets": websockets,
    }
