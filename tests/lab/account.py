"""An empty lab, and Microsoft's clients that fill it."""

from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.mgmt.iothubprovisioningservices import IotDpsClient
from azure.mgmt.resource.resources import ResourceManagementClient

from tests.lab.clients import connect_clients
from thingmint.lab import control
from thingmint.session import Session

PLACE = "westeurope"
HUB = {"location": PLACE, "sku": {"name": "F1", "capacity": 1}, "tags": {"for": "tests"}}
SERVICE = {"location": PLACE, "sku": {"name": "S1", "capacity": 1}, "properties": {}}


class Account:
    """An empty lab and the clients that fill it."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.lab = connect_clients(session, control.start(session, empty=True))
        target = self.lab.target
        self.group, self.hub, self.service = target.resource_group, target.hub, target.provisioning_service
        at: dict[str, Any] = {
            "base_url": target.arm_url,
            "credential_scopes": ["https://management.azure.com/.default"],
            "connection_verify": str(target.ca_file),
            "retry_total": 0,
        }
        self.resources: Any = ResourceManagementClient(self.lab.credential, target.subscription_id, **at)
        self.provisioning: Any = IotDpsClient(self.lab.credential, target.subscription_id, **at)

    @property
    def hubs(self) -> Any:
        return self.lab.arm.iot_hub_resource

    def make_group(self) -> None:
        self.resources.resource_groups.create_or_update(self.group, {"location": PLACE})

    def make_hub(self, **changes: Any) -> Any:
        return self.hubs.begin_create_or_update(self.group, self.hub, HUB | changes).result()

    def make_service(self, *links: dict[str, Any], **changes: Any) -> Any:
        body = SERVICE | {"properties": {"iotHubs": list(links)}} | changes
        return self.provisioning.iot_dps_resource.begin_create_or_update(self.group, self.service, body).result()

    def link(self) -> dict[str, Any]:
        key = self.hubs.get_keys_for_key_name(self.group, self.hub, "iothubowner").primary_key
        text = f"HostName={self.lab.target.hub_host};SharedAccessKeyName=iothubowner;SharedAccessKey={key}"
        return {"connectionString": text, "location": PLACE}


def refused(error: pytest.ExceptionInfo[HttpResponseError]) -> tuple[int | None, str]:
    response: Any = error.value.response
    body = response.json()
    return error.value.status_code, str(body.get("code") or body["error"]["code"])
