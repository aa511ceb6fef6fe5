"""Resource groups, hub and provisioning service: made, linked, changed, looked up."""

import ssl
from pathlib import Path

import pytest
from azure.core.exceptions import HttpResponseError

from tests.lab.account import HUB, PLACE, Account, refused
from tests.lab.clients import Lab, mqtt_connect, tls
from tests.lab.conformance.registry import ask
from tests.lab.conformance.rows import done, left_out, not_done
from tests.lab.provisioning import Service
from tests.lab.test_subscriptions import look_up
from tests.paper import Paper


def filled(account: Account) -> None:
    account.make_group()
    account.make_hub()


@done("groups")
def groups(account: Account) -> None:
    made = account.resources.resource_groups
    account.make_group()
    account.make_group()
    with pytest.raises(HttpResponseError) as error:
        made.create_or_update(account.group, {"location": "australiaeast"})
    assert refused(error) == (409, "InvalidResourceGroupLocation")
    assert (made.check_existence(account.group), made.check_existence("elsewhere")) == (True, False)


@done("long-operations")
def long_operations(account: Account) -> None:
    account.make_group()
    poller = account.hubs.begin_create_or_update(account.group, account.hub, HUB)
    assert account.hubs.get(account.group, account.hub).properties.provisioning_state == "Activating"
    assert poller.result().properties.provisioning_state == "Succeeded"


@done("hub-etags")
def hub_etags(account: Account) -> None:
    filled(account)
    with pytest.raises(HttpResponseError) as error:
        account.make_hub()
    assert refused(error) == (412, "412001")


@done("one-free-hub")
def one_free_hub(account: Account) -> None:
    filled(account)
    with pytest.raises(HttpResponseError) as error:
        account.hubs.begin_create_or_update(account.group, "a-second-one", HUB)
    assert refused(error) == (400, "400019")


@done("hub-sku")
def sku(account: Account) -> None:
    account.make_group()
    with pytest.raises(HttpResponseError) as error:
        account.make_hub(sku={"name": "X9", "capacity": 1})
    assert refused(error) == (400, "400004")


@done("names-are-global")
def names(account: Account) -> None:
    filled(account)
    check = account.hubs.check_name_availability
    assert (check({"name": account.hub}).reason, check({"name": "-"}).reason) == ("AlreadyExists", "Invalid")
    account.resources.resource_groups.create_or_update("another", {"location": PLACE})
    with pytest.raises(HttpResponseError) as error:
        account.hubs.begin_create_or_update("another", account.hub, HUB)
    assert refused(error) == (400, "400307")


@done("links")
def links(account: Account) -> None:
    filled(account)
    (link,) = account.make_service(account.link()).properties.iot_hubs
    assert str(link.connection_string).endswith("SharedAccessKey=****")
    with pytest.raises(HttpResponseError) as error:
        account.make_service(account.link(), account.link())
    assert refused(error) == (400, "400303")


@done("link-outlives-hub")
def link_outlives_hub(alone: Lab, subca: Paper, tmp_path: Path) -> None:
    service = Service(alone)
    service.upload("subca", subca)
    service.enroll_group("fleet")
    headers = alone.bearer("https://management.azure.com")
    assert alone.request("DELETE", f"{alone.arm_path}?api-version=2023-06-30", headers=headers)[0] == 202
    with pytest.raises(HttpResponseError):
        alone.arm.iot_hub_resource.get(alone.target.resource_group, alone.target.hub)
    group, name = service.names
    (link,) = service.management.iot_dps_resource.get(name, group).properties.iot_hubs or []
    assert link.name == alone.target.hub_host
    status, told = service.register("conf-link", subca.issue("conf-link").save(tmp_path, "leaf"))
    assert (status, told["status"], told["registrationState"]["status"]) == (200, "failed", "failed")


@done("location-stays")
def location(account: Account) -> None:
    filled(account)
    with pytest.raises(HttpResponseError) as error:
        account.make_hub(location="australiaeast")
    assert refused(error) == (409, "InvalidResourceLocation")


@done("no-hub")
def no_hub(account: Account, subca: Paper, tmp_path: Path) -> None:
    with pytest.raises(HttpResponseError) as error:
        account.hubs.get(account.group, account.hub)
    assert error.value.status_code == 404
    status, headers, _ = ask(account.lab, "GET", "/devices")
    assert (status, headers["iothub-errorcode"]) == (404, "IotHubNotFound")
    files = subca.issue("conf-no-hub").save(tmp_path, "leaf")
    with pytest.raises((ssl.SSLError, ConnectionError)), tls(account.lab, files) as connection:
        mqtt_connect(account.lab, connection, "conf-no-hub")


@left_out("other-names")
def other_names(account: Account) -> None:
    account.make_group()
    with pytest.raises(HttpResponseError) as error:
        account.hubs.begin_create_or_update(account.group, "somebody-elses", HUB)
    assert refused(error) == (400, "NotPlayedByTheLab")


@done("look-ups")
def look_ups(lab: Lab) -> None:
    t = lab.target
    assert [one["tenantId"] for one in look_up(lab, "/tenants")[1]["value"]] == [t.tenant_id]
    assert [one["subscriptionId"] for one in look_up(lab, "/subscriptions")[1]["value"]] == [t.subscription_id]
    both = [t.hub, t.provisioning_service]
    for condition, found in (
        (f"name eq '{t.hub}'", [t.hub]),
        ("resourceType eq 'Microsoft.Devices/provisioningServices'", [t.provisioning_service]),
        (f"resourceGroup eq '{t.resource_group}'", both),
        ("resourceGroup eq 'elsewhere'", []),
        ("location eq 'australiaeast'", both),
        ("location eq 'westeurope'", []),
    ):
        where = f"/subscriptions/{t.subscription_id}/resources?$filter={condition}"
        assert [one["name"] for one in look_up(lab, where)[1]["value"]] == found, condition


@left_out("locations")
def locations(lab: Lab, account: Account) -> None:
    status, body = look_up(lab, f"/subscriptions/{lab.target.subscription_id}/locations")
    assert not_done((status, {}, body))
    made = account.resources.resource_groups.create_or_update("conf-nowhere", {"location": "atlantis"})
    assert made.location == "atlantis"
