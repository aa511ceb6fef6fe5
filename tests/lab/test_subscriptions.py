"""What clients look names up in: tenants, subscriptions, groups, lists of resources, and the cloud's metadata."""

from typing import Any

import pytest
from azure.mgmt.iothub import IotHubClient

from tests.lab.clients import Lab, wait_until
from thingmint.lab.cloud.tls import MANAGEMENT, SIGN_IN


def look_up(lab: Lab, path: str, method: str = "GET") -> tuple[int, Any]:
    version = "&api-version=2022-12-01" if "?" in path else "?api-version=2022-12-01"
    return lab.ask(method, f"https://{MANAGEMENT}{path}{version}", headers=lab.bearer(f"https://{MANAGEMENT}"))


def test_the_subscription_is_found_from_nothing(lab: Lab) -> None:
    t = lab.target
    assert [one["tenantId"] for one in look_up(lab, "/tenants")[1]["value"]] == [t.tenant_id]
    (one,) = look_up(lab, "/subscriptions")[1]["value"]
    assert (one["subscriptionId"], one["tenantId"], one["state"]) == (t.subscription_id, t.tenant_id, "Enabled")
    assert look_up(lab, f"/subscriptions/{t.subscription_id.upper()}")[1] == one
    assert look_up(lab, f"{one['id']}/providers/Microsoft.Devices")[1]["registrationState"] == "Registered"


def test_groups_and_those_that_do_not_exist(lab: Lab) -> None:
    groups = f"/subscriptions/{lab.target.subscription_id}/resourceGroups"
    assert [one["name"] for one in look_up(lab, groups)[1]["value"]] == [lab.target.resource_group]
    for name, found in ((lab.target.resource_group, True), ("elsewhere", False)):
        assert look_up(lab, f"{groups}/{name}", "HEAD")[0] == (204 if found else 404)
        assert look_up(lab, f"{groups}/{name}")[0] == (200 if found else 404)
    assert look_up(lab, "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups")[0] == 404


def test_hub_and_provisioning_service_are_listed_by_subscription_and_by_group(lab: Lab) -> None:
    t = lab.target
    client: IotHubClient = lab.arm
    for hubs in (
        client.iot_hub_resource.list_by_subscription(),
        client.iot_hub_resource.list_by_resource_group(t.resource_group),
    ):
        (hub,) = hubs
        assert (hub.name, hub.properties.host_name) == (t.hub, t.hub_host)
        assert hub.additional_properties["resourcegroup"] == t.resource_group  # where az reads it
    where = f"/subscriptions/{t.subscription_id}/providers/Microsoft.Devices/provisioningServices"
    (service,) = look_up(lab, where)[1]["value"]
    assert service["name"] == t.provisioning_service
    assert service["properties"]["idScope"].startswith("0ne")


def test_a_doubled_slash_is_one(lab: Lab) -> None:
    """As `az resource show --resource-type Microsoft.Devices/IotHubs` writes the path."""
    assert look_up(lab, lab.arm_path.replace("/IotHubs/", "//IotHubs/"))[1]["name"] == lab.target.hub


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("", ["{hub}", "{dps}"]),
        ("resourceType eq 'Microsoft.Devices/IotHubs'", ["{hub}"]),
        ("resourceType eq 'microsoft.devices/provisioningservices' and name eq '{dps}'", ["{dps}"]),
        ("resourceGroup eq '{rg}' and name eq '{hub}'", ["{hub}"]),
        ("name eq 'O''Brien and sons'", []),
    ],
)
def test_resources_are_filtered(lab: Lab, wanted: str, found: list[str]) -> None:
    t = lab.target
    names = {"hub": t.hub, "dps": t.provisioning_service, "rg": t.resource_group}
    query = f"?$filter={wanted.format(**names)}" if wanted else ""
    listed = look_up(lab, f"/subscriptions/{t.subscription_id}/resources{query}")[1]["value"]
    assert [one["name"] for one in listed] == [name.format(**names) for name in found]


def test_a_filter_that_the_lab_does_not_do_is_no_empty_list(lab: Lab) -> None:
    heard = lab.mark()
    query = "?$filter=substringof('hush', name)"
    status, answer = look_up(lab, f"/subscriptions/{lab.target.subscription_id}/resources{query}")
    assert (status, answer["error"]["code"]) == (501, "NotImplemented")
    wait_until(lambda: "a $filter that the lab does not do" in heard())
    assert "hush" not in heard()


def test_the_clouds_metadata_need_no_sign_in_and_all_else_does(lab: Lab) -> None:
    known = lab.ask("GET", f"https://{MANAGEMENT}/metadata/endpoints?api-version=2022-09-01")[1]
    assert known["authentication"]["loginEndpoint"] == f"https://{SIGN_IN}/"
    for path in ("/subscriptions", "/tenants"):
        assert lab.ask("GET", f"https://{MANAGEMENT}{path}?api-version=2022-12-01")[0] == 401
