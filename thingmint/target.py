"""Target: where a hub's services answer and how to trust them. The one thing that differs between Azure and the lab."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

PROVISIONING_DEVICES = "global.azure-devices-provisioning.net"
"""Where devices of every provisioning service register; the id scope tells the services apart."""


@dataclass(frozen=True)
class ServicePrincipal:
    """An application's sign-in at a token endpoint of its own: the lab's."""

    authority: str  # https://localhost:PORT
    tenant_id: str
    client_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Target:
    """One hub. The same client code runs against each: only these values differ."""

    kind: Literal["lab", "azure"]
    subscription_id: str
    resource_group: str
    hub: str
    hub_host: str  # iot-hub001-0xacc5-dev.azure-devices.net: what devices connect to, and the server certificate's name
    arm_url: str  # https://management.azure.com, or https://localhost:PORT
    registry_host: str  # host[:port] of the device registry's REST
    provisioning_service: str
    provisioning_host: str  # host[:port] of the provisioning service's REST
    tenant_id: str | None = None
    login: ServicePrincipal | None = None  # None: DefaultAzureCredential
    ca_file: Path | None = None  # the only trusted root, PEM; None: the usual public roots
    mqtt_proxy: tuple[str, int] | None = None  # HTTP CONNECT proxy for devices: azure-iot-device fixes the port
    connection_string: str | None = field(default=None, repr=False)  # opt-in, registry only

    @property
    def local(self) -> bool:
        """Loopback: never through a proxy, whatever HTTPS_PROXY says."""
        return self.kind == "lab"
