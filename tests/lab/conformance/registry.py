"""Device identities through azure-iot-hub, and who may ask for them."""

from typing import Any

import pytest
from msrest.exceptions import HttpOperationError

from tests.lab.clients import Lab
from tests.lab.conformance.rows import done, left_out, not_done

VERSION = "?api-version=2021-04-12"


def refusal(error: pytest.ExceptionInfo[HttpOperationError]) -> tuple[int, str]:
    response: Any = error.value.response
    return response.status_code, response.headers["iothub-errorcode"]


def ask(lab: Lab, method: str, path: str, body: object = None, **headers: str) -> tuple[int, dict[str, str], Any]:
    all_headers = {**lab.bearer("https://iothubs.azure.net"), **headers}
    return lab.request(method, f"{path}{VERSION}", body=body, headers=all_headers)


@done("device-ids")
def ids(lab: Lab) -> None:
    every = "-:.+%_#*?!(),=@;$'0aZ"
    for good in (every, "x" * 128):
        lab.register(good)
        lab.registry.delete_device(good)
    for wrong in ("x" * 129, "a b", "ä"):
        with pytest.raises(HttpOperationError) as error:
            lab.register(wrong)
        assert refusal(error) == (400, "ArgumentInvalid")


@done("device-exists")
def exists(lab: Lab) -> None:
    lab.register("conf-exists")
    with pytest.raises(HttpOperationError) as error:
        lab.register("conf-exists")
    assert refusal(error) == (409, "DeviceAlreadyExists")
    told = error.value.response.json()
    assert told["Message"] == "ErrorCode:DeviceAlreadyExists;A device with ID 'conf-exists' is already registered."
    assert told["ExceptionMessage"].startswith("Tracking ID:")
    lab.register("CONF-EXISTS")  # another one


@done("device-unknown")
def unknown(lab: Lab) -> None:
    with pytest.raises(HttpOperationError) as error:
        lab.registry.get_device("conf-unknown")
    assert refusal(error) == (404, "DeviceNotFound")


@done("device-etags")
def etags(lab: Lab) -> None:
    made = lab.register("conf-etags")
    lab.registry.update_device_with_certificate_authority("conf-etags", made.etag, "disabled")
    with pytest.raises(HttpOperationError) as error:
        lab.registry.update_device_with_certificate_authority("conf-etags", made.etag, "enabled")
    assert refusal(error) == (412, "PreconditionFailed")
    assert ask(lab, "DELETE", "/devices/conf-etags")[0] == 412  # no If-Match
    assert ask(lab, "DELETE", "/devices/conf-etags", **{"If-Match": f'"{made.etag}"'})[0] == 412
    lab.registry.delete_device("conf-etags")


@done("device-kinds")
def kinds(lab: Lab) -> None:
    keyed = lab.registry.create_device_with_sas("conf-sas", "", "", "enabled")
    assert keyed.authentication.symmetric_key.primary_key
    pinned = lab.registry.create_device_with_x509("conf-pinned", "a" * 40, "b" * 40, "enabled")
    assert pinned.authentication.x509_thumbprint.primary_thumbprint == "A" * 40
    kinds = [lab.registry.get_device(name).authentication.type for name in ("conf-sas", "conf-pinned")]
    lab.register("conf-below-a-ca")
    kinds.append(lab.registry.get_device("conf-below-a-ca").authentication.type)
    assert kinds == ["sas", "selfSigned", "certificateAuthority"]


@done("device-status-reason")
def status_reason(lab: Lab) -> None:
    status, _, body = ask(lab, "PUT", "/devices/conf-reason", {"statusReason": "ä" * 128})
    assert (status, body["statusReason"]) == (200, "ä" * 128)
    for wrong in ("x" * 129, 5, {"a": 1}):
        status, headers, _ = ask(lab, "PUT", "/devices/conf-no-reason", {"statusReason": wrong})
        assert (status, headers["iothub-errorcode"]) == (400, "ArgumentInvalid")


@done("device-list")
def listed(lab: Lab) -> None:
    lab.register("conf-listed")
    assert len(lab.registry.get_devices(1)) == 1
    assert ask(lab, "GET", "/devices")[0] == 200
    url = f"/devices{VERSION}&top=1001"
    assert lab.request("GET", url, headers=lab.bearer("https://iothubs.azure.net"))[0] == 400


@left_out("modules")
def modules(lab: Lab) -> None:
    lab.register("conf-modules")
    assert not_done(ask(lab, "GET", "/devices/conf-modules/modules"))
    assert not_done(ask(lab, "GET", "/twins/conf-modules/modules/one"))


@left_out("registry-statistics")
def statistics(lab: Lab) -> None:
    assert not_done(ask(lab, "GET", "/statistics/devices"))


@left_out("jobs")
def jobs(lab: Lab) -> None:
    assert not_done(ask(lab, "PUT", "/jobs/v2/one", {"type": "export"}))
    assert not_done(ask(lab, "POST", "/jobs/create", {"type": "export"}))


@left_out("configurations")
def configurations(lab: Lab) -> None:
    assert not_done(ask(lab, "GET", "/configurations"))


@left_out("device-https")
def device_https(lab: Lab) -> None:
    lab.register("conf-https")
    assert not_done(ask(lab, "POST", "/devices/conf-https/messages/events", {"temperature": 1}))
    assert not_done(ask(lab, "GET", "/devices/conf-https/messages/devicebound"))
