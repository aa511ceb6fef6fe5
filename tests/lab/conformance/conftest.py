"""What several exercises look at, made once; and no devices left behind."""

from collections.abc import Iterator

import pytest
from azure.iot.hub.models import Twin

from tests.lab.clients import Lab


@pytest.fixture(scope="package", autouse=True)
def _no_devices_left(lab: Lab) -> Iterator[None]:
    yield
    for device in lab.registry.get_devices(1000):
        lab.registry.delete_device(device.device_id)


@pytest.fixture(scope="package")
def places(lab: Lab) -> Lab:
    """A lab with three devices to ask for: two in the US, the second of them disabled, and one in the EU."""
    for number, region in enumerate(("US", "US", "EU")):
        device_id = f"conf-query-{number}"
        lab.register(device_id, status="disabled" if number == 1 else "enabled")
        tags = {"conf": {"region": region, "group": number}}
        lab.registry.update_twin(device_id, Twin(tags=tags, properties={"desired": {"interval": 60 + number}}))
    return lab
