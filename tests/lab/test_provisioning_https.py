"""Devices that register over HTTPS or MQTT over websockets, both on 443, through the proxy at the service's real name."""

from pathlib import Path

import pytest

from tests.lab.clients import Lab
from tests.lab.provisioning import Files, Service
from tests.lab.provisioning import ask_as_device as ask
from tests.lab.sdks import provisioning_client
from tests.paper import Paper, make
from thingmint.target import PROVISIONING_DEVICES


@pytest.fixture
def files(provisioning: Service, subca: Paper, tmp_path: Path) -> Files:
    provisioning.upload("subca", subca)
    provisioning.enroll_group("g")
    return subca.issue("web-1").save(tmp_path, "leaf")


def test_a_device_registers_over_https(lab: Lab, provisioning: Service, files: Files) -> None:
    device_path = f"/{provisioning.id_scope}/registrations/web-1"
    assert ask(lab, files, "POST", device_path, {})[0] == 404  # it has not registered yet
    status, headers, told = ask(lab, files, "PUT", f"{device_path}/register", {"registrationId": "web-1"})
    assert (status, told["status"], headers["retry-after"]) == (202, "assigning", "1")
    place = headers["location"].removeprefix(f"https://{PROVISIONING_DEVICES}")
    status, _, outcome = ask(lab, files, "GET", place)
    assert (status, outcome["status"]) == (200, "assigned")
    assert outcome["registrationState"]["assignedHub"] == lab.target.hub_host
    assert ask(lab, files, "POST", device_path, {})[2] == outcome["registrationState"]
    lab.registry.delete_device("web-1")


def test_who_is_refused_over_https(lab: Lab, provisioning: Service, files: Files, subca: Paper, tmp_path: Path) -> None:
    scope = provisioning.id_scope
    rogue = make("Rogue CA").issue("web-1").save(tmp_path, "rogue")
    kelvin = subca.issue("web-\u212a").save(tmp_path, "kelvin")  # whose small letter is a k
    for shown, path, status, reason in (
        (None, f"/{scope}/registrations/web-1", 401, "it showed no certificate"),
        (rogue, f"/{scope}/registrations/web-1", 401, "issued by 'CN=Rogue CA'"),
        (kelvin, f"/{scope}/registrations/web-k", 401, "is not the registration id 'web-k'"),
        (files, f"/{scope}/registrations/web-2", 401, "is not the registration id 'web-2'"),
        (files, f"/{scope}/registrations/web_", 400, "The id 'web_' is invalid"),
        (files, "/0ne00000000/registrations/web-1", 404, "the id scope '0ne00000000' is not the service's"),
    ):
        log = lab.mark()
        for method, rest, body in (("PUT", "/register", {}), ("GET", "/operations/5.x", None), ("POST", "", {})):
            assert ask(lab, shown, method, path + rest, body)[0] == status, (method, path)
        assert log().count(reason) == 3
    log = lab.mark()
    path = f"/{scope}/registrations/web-1/register?api-version=2021-10-01"
    assert lab.request("PUT", path, body={})[0] == 401  # not at the service's name: nobody is asked for a certificate
    assert "it comes through the proxy" in log()


@pytest.mark.filterwarnings("ignore:ssl.PROTOCOL_TLSv1_2 is deprecated:DeprecationWarning")
def test_the_sdk_registers_over_websockets(lab: Lab, provisioning: Service, files: Files) -> None:
    client = provisioning_client(lab, provisioning.id_scope, "web-1", files, websockets=True)
    assert client.register().registration_state.assigned_hub == lab.target.hub_host
    lab.registry.delete_device("web-1")
