"""Connect to the hub as a device, and send telemetry."""

from pathlib import Path
from typing import Any

from thingmint.device import sdk
from thingmint.device.explanation import HUB, Attempt
from thingmint.target import Target


def send_telemetry(
    target: Target,
    device_id: str,
    *,
    certificate_chain: Path,
    key: Path,
    body: str,
    timeout: float = 60,
    websockets: bool = False,
    dps: bool = False,
) -> None:
    """Connect as `device_id` over MQTT 3.1.1 and TLS 1.2, send `body` (JSON text) once, and disconnect.

    With `websockets` through port 443, which networks that block 8883 leave open.

    Returns when the hub has acknowledged the message (QoS 1). `timeout` is in seconds, for all of it. `dps`: the device
    registered before, as what is suggested to try then does again. Raises InputError if certificate or key cannot be
    used, HubError if the hub refuses or cannot be reached (azure-iot-device 2.14, service api-version 2019-10-01).
    """

    def opened() -> sdk.Speaker:
        from azure.iot import device

        made: Any = device  # its types are half there
        client = made.IoTHubDeviceClient.create_from_x509_certificate(
            made.X509(cert_file=str(certificate_chain), key_file=str(key)),
            target.hub_host,
            device_id,
            connection_retry=False,
            **sdk.options(target, timeout, websockets=websockets),
        )

        def speak() -> None:
            message = made.Message(body, content_encoding="utf-8", content_type="application/json")
            client.connect()
            client.send_message(message)

        return sdk.Speaker(speak, client.shutdown)

    attempt = Attempt(
        HUB,
        target.hub_host,
        device_id,
        certificate_chain,
        local=target.local,
        websockets=websockets,
        line=f"invoke connect --imei {device_id}" + (" --dps" if dps else ""),
    )
    sdk.run(attempt, opened, key=key, timeout=timeout)
