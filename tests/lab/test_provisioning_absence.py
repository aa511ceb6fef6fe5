"""A provisioning service without a hub to assign to, and one that is deleted. In a lab of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.mgmt.iothubprovisioningservices.models import (
    IotDpsPropertiesDescription,
    IotDpsSkuInfo,
    ProvisioningServiceDescription,
)

from tests.lab.clients import connack, connect_clients, connect_packet, tls
from tests.lab.provisioning import AUDIENCE, Service
from tests.paper import Paper
from thingmint import config
from thingmint.console import Console
from thingmint.lab import control
from thingmint.session import make_session
from thingmint.target import PROVISIONING_DEVICES


@pytest.fixture
def service(tmp_path: Path, subca: Paper) -> Iterator[Service]:
    session = make_session(tmp_path / "ws", config.load({}), Console(), echo=False, dry=False)
    running = control.start(session)
    try:
        service = Service(connect_clients(session, running))
        service.upload("subca", subca)
        service.enroll_group("g")
        yield service
    finally:
        control.stop(session)


def put_without_hubs(service: Service) -> None:
    bare = ProvisioningServiceDescription(
        location="australiaeast",
        sku=IotDpsSkuInfo(name="S1", capacity=1),
        properties=IotDpsPropertiesDescription(iot_hubs=[]),
    )
    service.management.iot_dps_resource.begin_create_or_update(*service.names, bare).result()


def test_without_a_linked_hub_a_registration_fails(service: Service, subca: Paper, tmp_path: Path) -> None:
    put_without_hubs(service)
    files = subca.issue("dev-1").save(tmp_path, "leaf")
    log = service.lab.mark()
    status, told = service.register("dev-1", files)
    assert (status, told["status"]) == (200, "failed")
    assert told["registrationState"]["errorMessage"] == "No linked IoT hub to assign to."
    assert "registration 'dev-1' by the enrollment group 'g': failed: none of its hubs is linked and there" in log()
    assert service.lab.registry.get_devices() == []


def test_a_deleted_service_answers_nobody_and_keeps_nothing(service: Service, subca: Paper, tmp_path: Path) -> None:
    group, name = service.names
    scope = service.id_scope
    files = subca.issue("dev-1").save(tmp_path, "leaf")
    service.management.iot_dps_resource.begin_delete(name, group).result()
    log = service.lab.mark()
    with tls(service.lab, files, host=PROVISIONING_DEVICES) as connection:
        connection.sendall(connect_packet("dev-1", f"{scope}/registrations/dev-1/api-version=2019-03-31"))
        assert connack(connection) == 3
    query = "/enrollmentGroups/g?api-version=2021-10-01"
    assert service.lab.request("GET", query, headers=service.lab.bearer(AUDIENCE))[0] == 404
    assert log().count(f"there is no provisioning service {name}: it is not made yet, or is deleted") == 2
    put_without_hubs(service)
    assert service.ask("GET", "enrollmentGroups/g").json()["errorCode"] == 404201
