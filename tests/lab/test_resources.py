"""Resource groups, the hub and the provisioning service made, changed and deleted by Microsoft's management SDKs."""

from pathlib import Path

import pytest
from azure.core.exceptions import HttpResponseError

from tests.lab.account import HUB, PLACE, Account, refused
from tests.lab.clients import connect_clients, is_closed, mqtt_connect, tls, wait_until
from tests.paper import make
from thingmint.errors import InputError
from thingmint.lab import control
from thingmint.session import Session


def test_everything_made_linked_and_deleted(account: Account) -> None:
    groups = account.resources.resource_groups
    assert not groups.check_existence(account.group)
    account.make_group()
    assert groups.check_existence(account.group)
    poller = account.hubs.begin_create_or_update(account.group, account.hub, HUB)
    assert not poller.done()
    assert account.hubs.get(account.group, account.hub).properties.provisioning_state == "Activating"
    hub = poller.result()
    assert (hub.properties.state, hub.properties.host_name) == ("Active", account.lab.target.hub_host)
    assert (hub.sku.name, hub.sku.tier, hub.location, hub.tags) == ("F1", "Free", PLACE, {"for": "tests"})
    account.make_service(account.link())
    service = account.provisioning.iot_dps_resource.get(account.service, account.group)
    (link,) = service.properties.iot_hubs
    assert link.name == account.lab.target.hub_host
    assert link.connection_string.endswith(";SharedAccessKeyName=iothubowner;SharedAccessKey=****")
    assert service.properties.id_scope.startswith("0ne")
    assert service.properties.device_provisioning_host_name == "global.azure-devices-provisioning.net"
    assert service.properties.service_operations_host_name == f"{account.service}.azure-devices-provisioning.net"
    assert [one.name for one in account.hubs.list_by_resource_group(account.group)] == [account.hub]
    assert [one.name for one in account.hubs.list_by_subscription()] == [account.hub]
    assert [one.name for one in account.provisioning.iot_dps_resource.list_by_subscription()] == [account.service]
    account.provisioning.iot_dps_resource.begin_delete(account.service, account.group).result()
    account.hubs.begin_delete(account.group, account.hub).result()
    services = account.provisioning.iot_dps_resource
    for resources, names in (
        (account.hubs, (account.group, account.hub)),
        (services, (account.service, account.group)),
    ):
        with pytest.raises(HttpResponseError) as error:
            resources.get(*names)
        assert refused(error) == (404, "ResourceNotFound")


def test_names_are_taken_once_they_are_made(account: Account) -> None:
    check = account.hubs.check_name_availability
    check_service = account.provisioning.iot_dps_resource.check_provisioning_service_name_availability
    assert check({"name": account.hub}).name_available
    assert check_service({"name": account.service}).name_available
    assert check({"name": "-"}).reason == "Invalid"
    account.make_group()
    account.make_hub()
    account.make_service()
    assert check({"name": account.hub}).reason == "AlreadyExists"
    assert not check_service({"name": account.service}).name_available
    account.resources.resource_groups.create_or_update("another", {"location": PLACE})
    with pytest.raises(HttpResponseError) as error:
        account.hubs.begin_create_or_update("another", account.hub, HUB)
    assert refused(error) == (400, "400307")


def test_what_a_hub_may_not_be(account: Account) -> None:
    with pytest.raises(HttpResponseError) as error:
        account.make_hub()
    assert refused(error) == (404, "ResourceGroupNotFound")
    account.make_group()
    for wrong, answer in (
        ({"location": ""}, (400, "LocationRequired")),
        ({"sku": {"name": "X9", "capacity": 1}}, (400, "400004")),
        ({"sku": {"name": "F1", "capacity": 2}}, (400, "400004")),
    ):
        with pytest.raises(HttpResponseError) as error:
            account.make_hub(**wrong)
        assert refused(error) == answer
    with pytest.raises(HttpResponseError, match="plays the hub iot-hub001-0xacc5-dev in resource group"):
        account.hubs.begin_create_or_update(account.group, "somebody-elses", HUB)
    account.make_hub()
    with pytest.raises(HttpResponseError) as error:
        account.hubs.begin_create_or_update(account.group, "a-second-one", HUB)
    assert refused(error) == (400, "400019")
    with pytest.raises(HttpResponseError) as error:
        account.make_hub(location="australiaeast")
    assert refused(error) == (409, "InvalidResourceLocation")


def test_what_exists_changes_by_its_etag_alone(account: Account) -> None:
    account.make_group()
    account.make_hub()
    with pytest.raises(HttpResponseError) as error:
        account.make_hub()
    assert refused(error) == (412, "412001")
    before = account.hubs.get(account.group, account.hub)
    tags = account.hubs.begin_update(account.group, account.hub, {"tags": {"a": "b"}}).result()
    assert tags.tags == {"a": "b"}
    with pytest.raises(HttpResponseError) as error:
        account.hubs.begin_create_or_update(account.group, account.hub, HUB, if_match=before.etag)
    assert refused(error) == (412, "412001")
    again = account.hubs.begin_create_or_update(account.group, account.hub, HUB, if_match=tags.etag)
    with pytest.raises(HttpResponseError) as error:
        account.hubs.begin_update(account.group, account.hub, {"tags": {}})
    assert refused(error) == (409, "Conflict")
    assert account.lab.registry.get_devices(1) == []  # the hub answers while it is changed
    assert again.result().tags == {"for": "tests"}
    account.make_service(account.link())
    stale = account.provisioning.iot_dps_resource.get(account.service, account.group)
    account.provisioning.iot_dps_resource.begin_update(account.group, account.service, {"tags": {"a": "b"}}).result()
    with pytest.raises(HttpResponseError) as error:
        account.provisioning.iot_dps_resource.begin_create_or_update(account.group, account.service, stale)
    assert refused(error) == (412, "412001")


def test_a_link_takes_a_key_that_is_right_or_one_that_was_checked(account: Account) -> None:
    account.make_group()
    account.make_hub()
    whole = account.link()
    wrong = whole | {"connectionString": whole["connectionString"].rpartition("=")[0] + "=AAAA"}
    masked = whole | {
        "connectionString": whole["connectionString"].partition("SharedAccessKey=")[0] + "SharedAccessKey=****"
    }
    for bad in (wrong, masked, {"location": PLACE}):
        with pytest.raises(HttpResponseError) as error:
            account.make_service(bad)
        assert refused(error) == (400, "400004")
    other = {
        "connectionString": "HostName=other.azure-devices.net;SharedAccessKeyName=iothubowner;SharedAccessKey=QUFB",
        "location": PLACE,
    }
    account.make_service(other)
    service = account.provisioning.iot_dps_resource.get(account.service, account.group)
    links = [
        {"connectionString": one.connection_string, "location": one.location} for one in service.properties.iot_hubs
    ]
    account.make_service(*links, whole)
    service = account.provisioning.iot_dps_resource.get(account.service, account.group)
    assert [one.name for one in service.properties.iot_hubs] == ["other.azure-devices.net", account.lab.target.hub_host]
    with pytest.raises(HttpResponseError) as error:
        account.make_service(whole, whole)
    assert refused(error) == (400, "400303")
    assert whole["connectionString"].rpartition("SharedAccessKey=")[2] not in account.lab.log


def test_the_group_takes_everything_with_it(account: Account, tmp_path: Path) -> None:
    account.make_group()
    account.make_hub()
    ca = make("Test SubCA")
    account.lab.upload("subca", ca)
    account.lab.register("thing")
    files = ca.issue("thing").save(tmp_path, "thing")
    with tls(account.lab, files) as connection:
        assert mqtt_connect(account.lab, connection, "thing") == 0
        account.resources.resource_groups.begin_delete(account.group).result()
        assert is_closed(connection)
    account.make_group()
    account.make_hub()
    assert account.lab.registry.get_devices(5) == []
    assert account.lab.arm.certificates.list_by_iot_hub(account.group, account.hub).value == []


def test_where_there_is_no_hub_nobody_answers(account: Account, tmp_path: Path) -> None:
    said = account.lab.mark()
    with pytest.raises(HttpResponseError) as error:
        account.hubs.get(account.group, account.hub)
    assert refused(error) == (404, "ResourceGroupNotFound")
    with pytest.raises(Exception, match="Not Found"):
        account.lab.registry.get_devices(1)
    with pytest.raises(OSError, match="EOF"), tls(account.lab, make("x").save(tmp_path, "x")):
        pass
    wait_until(lambda: said().count("there is no hub iot-hub001-0xacc5-dev") >= 2)


def test_what_was_deleted_stays_so_and_a_used_lab_is_not_empty(session: Session) -> None:
    try:
        lab = connect_clients(session, control.start(session))
        group, hub = lab.target.resource_group, lab.target.hub
        assert lab.arm.iot_hub_resource.get(group, hub).sku.name == "F1"  # a lab that is not empty has everything
        lab.arm.iot_hub_resource.begin_delete(group, hub).result()
        with pytest.raises(InputError, match="only a new one can be empty"):
            control.start(session, empty=True)
        control.stop(session)
        lab = connect_clients(session, control.start(session))
        assert list(lab.arm.iot_hub_resource.list_by_resource_group(group)) == []
    finally:
        control.stop(session)
