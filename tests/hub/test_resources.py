"""Making group, hub, provisioning service and link: in an empty lab, by Microsoft's SDKs."""

import threading
from collections.abc import Iterator

import pytest

from tests.hub.clients import Credential
from tests.hub.faults import FaultServer, Plan
from thingmint import config
from thingmint.console import Console
from thingmint.errors import HubError
from thingmint.hub.credentials import open_credential
from thingmint.hub.resources import Resources
from thingmint.lab import control
from thingmint.session import make_session
from thingmint.target import Target

PLACE, TAGS = "westeurope", {"application": "thingmint"}
OTHER = "HostName=other.azure-devices.net;SharedAccessKeyName=iothubowner;SharedAccessKey=QUFB"


def idle() -> None:
    """Nobody watches."""


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    session = make_session(tmp_path_factory.mktemp("empty"), config.load({}), Console())
    yield control.start(session, empty=True).target(session.settings)
    control.stop(session)


@pytest.fixture
def resources(empty: Target) -> Iterator[Resources]:
    opened = Resources(empty, open_credential(empty))
    yield opened
    opened._groups.resource_groups.begin_delete(empty.resource_group).result()
    opened.close()


def test_all_of_it_in_turn(resources: Resources, empty: Target) -> None:
    assert resources.subscription().id == empty.subscription_id
    assert (resources.group(), resources.hub(), resources.service(), resources.free_hub()) == (None,) * 4
    resources.require_free_names(hub=True, service=True)
    resources.make_group(PLACE, TAGS)
    ticks: list[None] = []
    resources.make_hub(PLACE, "F1", TAGS, lambda: ticks.append(None))
    assert ticks
    hub = resources.settle_hub(idle)
    assert (hub.sku, hub.location, hub.state, hub.host) == ("F1", PLACE, "Active", empty.hub_host)
    assert resources.free_hub() == empty.hub
    assert resources.device_count() == 0
    resources.make_service(PLACE, TAGS, idle)
    service = resources.settle_service(idle)
    assert (service.sku, service.state, service.hubs) == ("S1", "Active", (empty.hub_host,))
    assert service.id_scope.startswith("0ne")
    assert service.devices_host == "global.azure-devices-provisioning.net"
    for names in ({"hub": True, "service": False}, {"hub": False, "service": True}):
        with pytest.raises(HubError, match="is taken"):
            resources.require_free_names(**names)


def test_a_link_is_added_beside_others(resources: Resources, empty: Target) -> None:
    resources.make_group(PLACE, TAGS)
    resources.make_hub(PLACE, "S1", TAGS, idle)
    body = {
        "location": PLACE,
        "sku": {"name": "S1", "capacity": 1},
        "tags": {"somebody": "else's"},
        "properties": {"iotHubs": [{"connectionString": OTHER, "location": PLACE}], "allocationPolicy": "Static"},
    }
    services = resources._services.iot_dps_resource
    services.begin_create_or_update(empty.resource_group, empty.provisioning_service, body).result()
    resources.add_link(idle)
    assert resources.settle_service(idle).hubs == ("other.azure-devices.net", empty.hub_host)
    kept = services.get(empty.provisioning_service, empty.resource_group)
    assert (kept.tags, kept.properties.allocation_policy) == ({"somebody": "else's"}, "Static")


def test_what_exists_is_never_made_over(resources: Resources) -> None:
    resources.make_group(PLACE, TAGS)
    resources.make_hub(PLACE, "F1", TAGS, idle)
    with pytest.raises(HubError) as error:
        resources.make_hub(PLACE, "S1", {}, idle)
    assert error.value.status == 412
    assert resources.settle_hub(idle).sku == "F1"


def test_what_somebody_makes_in_the_middle_is_never_made_over(resources: Resources, empty: Target) -> None:
    """The service knows no condition for its making, so it is looked at last: after the hub's key was read."""
    resources.make_group(PLACE, TAGS)
    with pytest.raises(HubError, match="somebody else made it meanwhile") as error:
        resources.make_group(PLACE, {})
    assert error.value.status == 412
    resources.make_hub(PLACE, "S1", TAGS, idle)
    theirs = {
        "location": PLACE,
        "sku": {"name": "S1", "capacity": 1},
        "tags": {"owner": "a colleague"},
        "properties": {"iotHubs": [{"connectionString": OTHER, "location": PLACE}]},
    }
    services = resources._services.iot_dps_resource

    class Overtaken(Resources):
        def _link(self) -> dict[str, str]:
            link = super()._link()
            services.begin_create_or_update(
                empty.resource_group, empty.provisioning_service, theirs, polling_interval=0
            ).result()
            return link

    slower = Overtaken(empty, open_credential(empty))
    with pytest.raises(HubError, match="somebody else made it meanwhile") as error:
        slower.make_service(PLACE, TAGS, idle)
    slower.close()
    assert error.value.status == 412
    kept = services.get(empty.provisioning_service, empty.resource_group)
    assert kept.tags == {"owner": "a colleague"}
    assert resources.settle_service(idle).hubs == ("other.azure-devices.net",)


def test_what_somebody_else_makes_is_waited_for(resources: Resources) -> None:
    resources.make_group(PLACE, TAGS)
    other = threading.Thread(target=resources.make_hub, args=(PLACE, "F1", TAGS, idle))
    other.start()
    while resources.hub() is None:
        pass
    waits: list[None] = []
    assert resources.settle_hub(lambda: waits.append(None)).state == "Active"
    assert waits
    other.join()


FREE = (
    "Max number of Iot Hubs exceeded for sku = Free, Max Allowed = 1, Current = 1 in the subscription Id: x. "
    "If you contact a support representative please include this correlation identifier: y, errorcode: IH400019."
)


@pytest.mark.parametrize(
    ("status", "body", "why", "cure"),
    [
        (400, {"code": 400019, "httpStatusCode": "BadRequest", "message": FREE}, "one free hub", "--sku S1"),
        (
            409,
            {"error": {"code": "MissingSubscriptionRegistration", "message": "not registered to use namespace"}},
            "not registered for Microsoft.Devices",
            "az provider register --wait --namespace Microsoft.Devices",
        ),
        (
            400,
            {"code": 400307, "httpStatusCode": "BadRequest", "message": "IotHub name 'x' is not available. IH400307."},
            "is taken",
            "choose another",
        ),
        (
            400,
            {"error": {"code": "LocationNotAvailableForResourceType", "message": "The provided location 'moon' …"}},
            "in that location",
            "--location LOCATION",
        ),
        (403, {"error": {"code": "RequestDisallowedByPolicy", "message": "p"}}, "policy of your", "--location"),
        (
            403,
            {"error": {"code": "AuthorizationFailed", "message": "The client 'jo' does not have authorization"}},
            "'Contributor' on /subscriptions/0123abcd",
            "az role assignment create --role Contributor",
        ),
        (409, {"error": {"code": "ReadOnlyDisabledSubscription", "message": "d"}}, "is disabled", "az account show"),
        (403, {"error": {"code": "QuotaExceeded", "message": "q"}}, "as many of these as it may", "ask Microsoft"),
    ],
)
def test_refusals_name_the_cure(
    server: FaultServer, azure: Target, status: int, body: object, why: str, cure: str
) -> None:
    server.plan = Plan(status, body)
    resources = Resources(azure, Credential())  # type: ignore[arg-type]
    with pytest.raises(HubError) as error:
        resources.make_hub(PLACE, "F1", TAGS, idle)
    assert why in error.value.message
    assert cure in " ".join(error.value.things_to_try)
    assert error.value.exit_code == 5
    resources.close()


def test_a_subscription_that_is_not_yours_is_named(server: FaultServer, azure: Target) -> None:
    server.plan = Plan(404, {"error": {"code": "SubscriptionNotFound", "message": "could not be found"}})
    resources = Resources(azure, Credential())  # type: ignore[arg-type]
    for ask in (resources.subscription, resources.group, resources.hub, resources.service):
        with pytest.raises(HubError, match=f"the subscription {azure.subscription_id} is not known, or not to you"):
            ask()
    resources.close()


HUB = {"name": "hub", "location": PLACE, "sku": {"name": "F1"}, "properties": {"provisioningState": "Failed"}}


def test_a_connection_that_breaks_while_azure_is_at_work_says_run_again(server: FaultServer, azure: Target) -> None:
    begun = {"Azure-AsyncOperation": f"https://{server.host}/operation?api-version=2023-06-30", "Retry-After": "0"}
    server.plan = Plan(201, HUB, headers=begun, times=1, then=Plan(manner="drop"))
    resources = Resources(azure, Credential())  # type: ignore[arg-type]
    with pytest.raises(HubError, match="broke before the answer was complete") as error:
        resources.make_hub(PLACE, "F1", TAGS, idle)
    assert "run the same command again" in error.value.things_to_try[0]
    resources.close()


def test_what_azure_failed_at_is_told_in_its_words(server: FaultServer, azure: Target) -> None:
    begun = {"Azure-AsyncOperation": f"https://{server.host}/operation?api-version=2023-06-30", "Retry-After": "0"}
    failed = {"status": "Failed", "error": {"code": "500008", "message": "the region is full"}}
    server.plan = Plan(201, HUB, headers=begun, times=1, then=Plan(200, failed))
    resources = Resources(azure, Credential())  # type: ignore[arg-type]
    with pytest.raises(HubError, match="making the hub iot-hub001-0x0123-dev failed") as error:
        resources.make_hub(PLACE, "F1", TAGS, idle)
    assert "the region is full" in error.value.detail
    resources.close()


@pytest.mark.parametrize(
    ("state", "ours", "why", "cure"),
    [
        ("Failed", True, f"the making of hub .{PLACE}. failed", "delete it in the portal"),
        ("Failed", False, f"the last change of hub .{PLACE}. failed; what it holds is kept", "its activity log"),
        ("Canceled", False, f"the last change of hub .{PLACE}. was cancelled", "its activity log"),
        ("Deleting", False, f"hub .{PLACE}. is being deleted", "wait until it is gone"),
    ],
)
def test_what_ends_otherwise_is_told_and_deletion_advised_for_what_is_new_alone(
    server: FaultServer, azure: Target, state: str, ours: bool, why: str, cure: str
) -> None:
    server.plan = Plan(200, {**HUB, "properties": {"provisioningState": state}})
    resources = Resources(azure, Credential())  # type: ignore[arg-type]
    with pytest.raises(HubError, match=why) as error:
        resources.settle_hub(idle, ours=ours)
    told = " ".join(error.value.things_to_try)
    assert cure in told
    assert ("delete it" in told) == ours
    resources.close()
