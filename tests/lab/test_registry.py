"""Device identities through the real azure-iot-hub, by token and by shared access signature."""

from collections.abc import Iterator
from typing import Any

import pytest
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import QuerySpecification
from azure.iot.hub.protocol.models import ExportImportDevice
from msrest.exceptions import HttpOperationError

from tests.lab.clients import Lab


@pytest.fixture
def registry(lab: Lab) -> Iterator[Any]:
    """With no devices before and after."""
    yield lab.registry
    for device in lab.registry.get_devices(1000):
        lab.registry.delete_device(device.device_id)


def by_key(lab: Lab, policy: str, *, key: str | None = None) -> Any:
    found = lab.arm.iot_hub_resource.get_keys_for_key_name(lab.target.resource_group, lab.target.hub, policy)
    manager = IoTHubRegistryManager.from_connection_string(
        f"HostName={lab.target.registry_host};SharedAccessKeyName={policy};SharedAccessKey={key or found.primary_key}"
    )
    manager.protocol.config.connection.verify = str(lab.target.ca_file)
    return manager


def refused(error: pytest.ExceptionInfo[HttpOperationError]) -> tuple[int, str]:
    return error.value.response.status_code, error.value.response.headers["iothub-errorcode"]


def test_create_read_update_delete(registry: Any) -> None:
    made = registry.create_device_with_certificate_authority("Thing-1", "enabled")
    assert made.authentication.type == "certificateAuthority"
    assert made.connection_state == "Disconnected"
    assert registry.get_device("Thing-1").etag == made.etag
    changed = registry.update_device_with_certificate_authority("Thing-1", made.etag, "disabled")
    assert changed.status == "disabled"
    assert changed.etag != made.etag
    assert changed.generation_id == made.generation_id
    with pytest.raises(HttpOperationError) as error:
        registry.update_device_with_certificate_authority("Thing-1", made.etag, "enabled")
    assert refused(error) == (412, "PreconditionFailed")
    registry.delete_device("Thing-1")
    with pytest.raises(HttpOperationError) as error:
        registry.get_device("Thing-1")
    assert refused(error) == (404, "DeviceNotFound")


def test_an_existing_id_is_refused_and_case_counts(registry: Any) -> None:
    registry.create_device_with_certificate_authority("twice", "enabled")
    with pytest.raises(HttpOperationError) as error:
        registry.create_device_with_certificate_authority("twice", "enabled")
    assert refused(error) == (409, "DeviceAlreadyExists")
    assert "A device with ID 'twice' is already registered" in error.value.response.text
    registry.create_device_with_certificate_authority("TWICE", "enabled")


def test_other_kinds_of_authentication(registry: Any) -> None:
    keyed = registry.create_device_with_sas("keyed", "", "", "enabled")
    assert keyed.authentication.type == "sas"
    assert keyed.authentication.symmetric_key.primary_key
    pinned = registry.create_device_with_x509("pinned", "a" * 40, "b" * 40, "enabled")
    assert pinned.authentication.type == "selfSigned"
    assert pinned.authentication.x509_thumbprint.primary_thumbprint == "A" * 40


@pytest.mark.parametrize("device_id", ["x" * 129, "a b", "ä", "a&b"])
def test_ids_outside_the_rule(registry: Any, device_id: str) -> None:
    with pytest.raises(HttpOperationError) as error:
        registry.create_device_with_certificate_authority(device_id, "enabled")
    assert refused(error) == (400, "ArgumentInvalid")


def test_every_character_of_the_rule(registry: Any) -> None:
    device_id = "-:.+%_#*?!(),=@;$'0aZ"
    registry.create_device_with_certificate_authority(device_id, "enabled")
    assert registry.get_device(device_id).device_id == device_id


def test_bulk_list_and_query(lab: Lab, registry: Any) -> None:
    ids = [f"bulk-{number:03}" for number in range(100)]

    def items(mode: str) -> list[ExportImportDevice]:
        return [
            ExportImportDevice(
                id=one, import_mode=mode, status="enabled", authentication={"type": "certificateAuthority"}
            )
            for one in ids
        ]

    assert registry.bulk_create_or_update_devices(items("create")).is_successful
    assert len(registry.get_devices(1000)) == 100
    assert len(registry.get_devices(7)) == 7
    again = registry.bulk_create_or_update_devices(items("create"))
    assert not again.is_successful
    assert {error.device_id for error in again.errors} == set(ids)
    found: list[str] = []
    page = registry.query_iot_hub(QuerySpecification(query="SELECT * FROM devices"), None, 40)
    while True:
        found += [twin.device_id for twin in page.items]
        if not page.continuation_token:
            break
        page = registry.query_iot_hub(QuerySpecification(query="SELECT * FROM devices"), page.continuation_token, 40)
    assert found == ids
    too_many = [{"id": f"bulk-{number}", "importMode": "update"} for number in range(101)]
    headers = lab.bearer("https://iothubs.azure.net")
    assert lab.request("POST", "/devices?api-version=2021-04-12", body=too_many, headers=headers)[0] == 400
    assert registry.bulk_create_or_update_devices(items("delete")).is_successful
    assert registry.get_devices(10) == []


@pytest.mark.parametrize("device_id", ["it's", "a';DROP-TABLE-device", "$'(*)", "%_"])
def test_a_device_is_found_by_its_id_whatever_stands_in_it(registry: Any, device_id: str) -> None:
    for one in (device_id, "another"):
        registry.create_device_with_certificate_authority(one, "enabled")
    escaped = device_id.replace("'", "\\'")
    text = f"SELECT * FROM devices WHERE deviceId = '{escaped}'"  # noqa: S608 - no SQL
    assert [twin.device_id for twin in registry.query_iot_hub(QuerySpecification(query=text)).items] == [device_id]


def test_shared_access_signatures(lab: Lab, registry: Any) -> None:
    by_key(lab, "iothubowner").create_device_with_certificate_authority("by-key", "enabled")
    assert by_key(lab, "registryRead").get_device("by-key").device_id == "by-key"
    with pytest.raises(HttpOperationError) as error:
        by_key(lab, "registryRead").delete_device("by-key")
    assert refused(error) == (401, "IotHubUnauthorizedAccess")
    with pytest.raises(HttpOperationError) as error:
        by_key(lab, "iothubowner", key="AAAA").get_device("by-key")
    assert refused(error) == (401, "IotHubUnauthorizedAccess")


def test_deleting_needs_if_match(lab: Lab, registry: Any) -> None:
    registry.create_device_with_certificate_authority("kept", "enabled")
    headers = lab.bearer("https://iothubs.azure.net")
    assert lab.request("DELETE", "/devices/kept?api-version=2021-04-12", headers=headers)[0] == 412
    assert registry.get_device("kept")
