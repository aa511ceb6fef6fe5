"""Many identities in one call, through azure-iot-hub where it can send the call."""

from typing import Any

from azure.iot.hub.protocol.models import ExportImportDevice

from tests.lab.clients import Lab
from tests.lab.conformance.registry import ask
from tests.lab.conformance.rows import done


def item(device_id: str, mode: str, **more: Any) -> ExportImportDevice:
    return ExportImportDevice(id=device_id, import_mode=mode, authentication={"type": "certificateAuthority"}, **more)


def run(lab: Lab, *items: ExportImportDevice) -> list[tuple[str, int]]:
    """Id and code of each that failed."""
    result = lab.registry.bulk_create_or_update_devices(list(items))
    assert result.is_successful is not bool(result.errors)
    return [(error.device_id, int(error.error_code)) for error in result.errors]


@done("bulk-modes")
def modes(lab: Lab) -> None:
    assert run(lab, item("conf-bulk-1", "create"), item("conf-bulk-2", "createOrUpdate")) == []
    assert run(lab, item("conf-bulk-1", "update", status="disabled"), item("conf-bulk-2", "createOrUpdate")) == []
    assert lab.registry.get_device("conf-bulk-1").status == "disabled"
    etag = lab.registry.get_device("conf-bulk-1").etag
    assert run(lab, item("conf-bulk-1", "updateIfMatchETag", e_tag=etag)) == []
    assert run(lab, item("conf-bulk-1", "deleteIfMatchETag", e_tag=etag)) == [("conf-bulk-1", 412001)]
    either = "createOrUpdateIfMatchETag"
    assert run(lab, item("conf-bulk-1", either, e_tag=etag, status="enabled")) == [("conf-bulk-1", 412001)]
    etag = lab.registry.get_device("conf-bulk-1").etag
    assert run(lab, item("conf-bulk-1", either, e_tag=etag, status="enabled")) == []
    assert lab.registry.get_device("conf-bulk-1").status == "enabled"
    etag = lab.registry.get_device("conf-bulk-1").etag
    assert run(lab, item("conf-bulk-1", "deleteIfMatchETag", e_tag=etag), item("conf-bulk-2", "delete")) == []
    assert run(lab, item("conf-bulk-1", "delete"), item("conf-bulk-2", "delete")) == [
        ("conf-bulk-1", 404001),
        ("conf-bulk-2", 404001),
    ]
    assert run(lab, item("conf-bulk-1", "nothing")) == [("conf-bulk-1", 400004)]


@done("bulk-errors")
def errors(lab: Lab) -> None:
    lab.register("conf-bulk-known")
    items = [{"id": "conf-bulk-known", "importMode": "create"}, {"id": "conf-bulk-good", "importMode": "create"}]
    status, _, body = ask(lab, "POST", "/devices", [*items, {"id": "conf-bulk-none", "importMode": "update"}])
    assert (status, body["isSuccessful"]) == (400, False)
    assert [(one["deviceId"], one["errorCode"]) for one in body["errors"]] == [
        ("conf-bulk-known", 409001),
        ("conf-bulk-none", 404001),
    ]
    assert lab.registry.get_device("conf-bulk-good")  # the rest is done


@done("bulk-limit")
def limit(lab: Lab) -> None:
    items = [{"id": f"conf-bulk-{number}", "importMode": "create"} for number in range(101)]
    status, headers, _ = ask(lab, "POST", "/devices", items)
    assert (status, headers["iothub-errorcode"]) == (400, "ArgumentInvalid")


@done("bulk-twice")
def twice(lab: Lab) -> None:
    status, headers, _ = ask(lab, "POST", "/devices", [{"id": "conf-bulk-x"}, {"id": "conf-bulk-x"}])
    assert (status, headers["iothub-errorcode"]) == (400, "DeviceDefinedMultipleTimes")


@done("bulk-twins")
def twins(lab: Lab) -> None:
    assert run(lab, item("conf-bulk-twin", "create", tags={"a": 1}, properties={"desired": {"b": 1}})) == []
    twin = lab.registry.get_twin("conf-bulk-twin")
    assert (twin.tags, twin.properties.desired["b"]) == ({"a": 1}, 1)
    assert run(lab, item("conf-bulk-twin", "updateTwinIfMatchETag", tags={"c": 2}, twin_etag=twin.etag)) == []
    assert run(lab, item("conf-bulk-twin", "updateTwinIfMatchETag", tags={"c": 3}, twin_etag=twin.etag)) == [
        ("conf-bulk-twin", 412001)
    ]
    assert lab.registry.get_twin("conf-bulk-twin").tags == {"c": 2}
    assert run(lab, item("conf-bulk-twin", "updateTwin", tags={"d": 4})) == []
    assert run(lab, item("conf-bulk-nobody", "updateTwin", tags={"d": 4})) == [("conf-bulk-nobody", 404001)]
