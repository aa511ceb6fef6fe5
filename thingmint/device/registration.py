"""Register at the provisioning service as a device, and learn which hub it is for."""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thingmint.device import sdk
from thingmint.device.explanation import PROVISIONING, Attempt
from thingmint.target import PROVISIONING_DEVICES, Target


@dataclass(frozen=True)
class Assignment:
    """The hub that a device was assigned to, and what it is called there."""

    hub_host: str
    device_id: str


class NotAssignedError(Exception):
    """The service answered, and named no hub."""


def register(
    target: Target,
    id_scope: str,
    registration_id: str,
    *,
    certificate_chain: Path,
    key: Path,
    timeout: float = 60,
    websockets: bool = False,
) -> Assignment:
    """Register over MQTT 3.1.1 and TLS 1.2, and wait for the assignment.

    `registration_id` must be the certificate's CN. `timeout` is in seconds, for all of it. Raises InputError if
    certificate or key cannot be used, HubError if the service refuses or cannot be reached; `status` is then the
    service's, where it gave one (azure-iot-device 2.14, service api-version 2019-03-31).
    """
    found: list[Assignment] = []

    def opened() -> sdk.Speaker:
        from azure.iot import device

        made: Any = device  # its types are half there
        client = made.ProvisioningDeviceClient.create_from_x509_certificate(
            PROVISIONING_DEVICES,
            registration_id,
            id_scope,
            made.X509(cert_file=str(certificate_chain), key_file=str(key)),
            **sdk.options(target, timeout, websockets=websockets),
        )

        def speak() -> None:
            result = client.register()
            if result.status != "assigned":
                raise NotAssignedError(f"the registration is {result.status}")
            found.append(Assignment(result.registration_state.assigned_hub, result.registration_state.device_id))

        return sdk.Speaker(speak, lambda: _shut_down(client))

    attempt = Attempt(
        PROVISIONING,
        PROVISIONING_DEVICES,
        registration_id,
        certificate_chain,
        local=target.local,
        websockets=websockets,
        line=f"invoke connect --imei {registration_id} --dps",
    )
    sdk.run(attempt, opened, key=key, timeout=timeout)
    return found[0]


def _shut_down(client: Any) -> None:
    """The SDK does so itself after an assignment; after a refusal it stays connected, and has no public way to end that."""
    ended = threading.Event()
    client._pipeline.shutdown(callback=lambda **_: ended.set())  # noqa: SLF001
    ended.wait()
