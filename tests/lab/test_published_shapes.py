"""The answers have what the published examples of the REST interfaces have, of the same types."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.clients import Lab, verification
from tests.paper import Paper

REGISTRY, ARM = "https://iothubs.azure.net", "https://management.azure.com"

# Azure/azure-rest-api-specs, specification/iothub/resource-manager/Microsoft.Devices/stable/2023-06-30/examples:
# iothub_listcertificates, iothub_certverify, iothub_listkeys
CERTIFICATE: dict[str, Any] = {
    **dict.fromkeys(("id", "name", "type", "etag"), str),
    "properties": {
        **dict.fromkeys(("subject", "expiry", "thumbprint", "created", "updated"), str),
        "isVerified": bool,
    },
}
LISTED = {**CERTIFICATE, "properties": {**CERTIFICATE["properties"], "certificate": str}}
KEY = dict.fromkeys(("keyName", "primaryKey", "secondaryKey", "rights"), str)
RIGHTS = {
    "iothubowner": "RegistryWrite, ServiceConnect, DeviceConnect",
    "service": "ServiceConnect",
    "device": "DeviceConnect",
    "registryRead": "RegistryRead",
    "registryReadWrite": "RegistryWrite",
}
# https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-device-twins#device-twins
SECTION = {"$metadata": {"$lastUpdated": str}, "$version": int}
TWIN = {
    **dict.fromkeys(
        ("deviceId", "etag", "status", "statusUpdateTime", "connectionState", "lastActivityTime", "authenticationType"),
        str,
    ),
    "statusReason": (str, type(None)),
    "cloudToDeviceMessageCount": int,
    "x509Thumbprint": {"primaryThumbprint": (str, type(None)), "secondaryThumbprint": (str, type(None))},
    "version": int,
    "tags": {"deploymentLocation": {"building": str, "floor": str}},
    "properties": {"desired": {"telemetryConfig": {"sendFrequency": str}, **SECTION}, "reported": SECTION},
}
# https://learn.microsoft.com/rest/api/iothub/service/bulk-registry/update-registry
BULK = {
    "isSuccessful": bool,
    "errors": [{"deviceId": str, "errorCode": int, "errorStatus": str}],
    "warnings": list,
}


def covers(answer: Any, example: Any) -> bool:
    if isinstance(example, dict):
        return isinstance(answer, dict) and all(covers(answer.get(name), below) for name, below in example.items())
    if isinstance(example, list):
        return isinstance(answer, list) and bool(answer) and all(covers(one, example[0]) for one in answer)
    return isinstance(answer, example)


@pytest.fixture
def uploaded(lab: Lab, subca: Paper) -> Iterator[Any]:
    yield lab.upload("shapes", subca, verified=False)
    lab.delete_certificate("shapes")


def arm(lab: Lab, method: str, rest: str, **more: Any) -> Any:
    headers = {**lab.bearer(ARM), **more.pop("headers", {})}
    status, _, body = lab.request(method, f"{lab.arm_path}{rest}?api-version=2023-06-30", headers=headers, **more)
    assert status == 200, body
    return body


def test_certificates(lab: Lab, uploaded: Any, subca: Paper) -> None:
    assert covers(arm(lab, "GET", "/certificates"), {"value": [LISTED]})
    one = "/certificates/shapes"
    coded = arm(lab, "POST", f"{one}/generateVerificationCode", headers={"If-Match": uploaded.etag})
    code = coded["properties"]["verificationCode"]
    body = {"certificate": verification(subca.issue(code)).certificate}
    verified = arm(lab, "POST", f"{one}/verify", headers={"If-Match": coded["etag"]}, body=body)
    assert covers(coded, CERTIFICATE)
    assert covers(verified, CERTIFICATE)


def test_keys(lab: Lab) -> None:
    keys = arm(lab, "POST", "/listkeys")
    assert covers(keys, {"value": [KEY]})
    assert {key["keyName"]: key["rights"] for key in keys["value"]} == RIGHTS


def test_twins_and_bulk_calls(lab: Lab) -> None:
    def ask(method: str, path: str, body: object = None) -> tuple[int, Any]:
        headers = lab.bearer(REGISTRY)
        status, _, answer = lab.request(method, f"{path}?api-version=2021-04-12", body=body, headers=headers)
        return status, answer

    lab.register("shapes")
    patch = {
        "tags": {"deploymentLocation": {"building": "43", "floor": "1"}},
        "properties": {"desired": {"telemetryConfig": {"sendFrequency": "5m"}}},
    }
    status, twin = ask("PATCH", "/twins/shapes", patch)
    assert (status, covers(twin, TWIN)) == (200, True)
    (found,) = ask("POST", "/devices/query", {"query": "SELECT * FROM devices WHERE deviceId = 'shapes'"})[1]
    assert found == twin
    status, bulk = ask("POST", "/devices", [{"id": "shapes", "importMode": "create"}])
    assert (status, covers(bulk, BULK)) == (400, True)
    lab.registry.delete_device("shapes")
