"""Both registries against the same lab, held by the same tests."""

import base64
import dataclasses
import datetime as dt
from typing import Any

import pytest

from tests.hub.clients import KINDS, Credential, open_kind
from tests.hub.faults import FaultServer, Plan
from thingmint.errors import HubError, InputError
from thingmint.hub import identity, registry_rest
from thingmint.hub.credentials import open_credential
from thingmint.hub.identity import Registry, read_connection_string, utc
from thingmint.hub.registry import open_registry
from thingmint.hub.registry_rest import RestRegistry
from thingmint.target import Target


def test_an_identity_from_creation_to_deletion(devices: Registry) -> None:
    assert devices.get("life-1") is None
    created = devices.create("life-1")
    assert created.device_id == "life-1"
    assert created.authentication == "certificateAuthority"
    assert created.status == "enabled"
    assert created.connection_state == "Disconnected"
    assert created.last_activity is None
    assert created.etag
    assert devices.get("life-1") == created
    assert created in devices.list()
    devices.delete("life-1")
    assert devices.get("life-1") is None
    assert created not in devices.list()


def test_creating_twice_is_told_not_hidden(devices: Registry) -> None:
    devices.create("twice-1")
    with pytest.raises(HubError, match="registering twice-1 failed: the hub has a device identity") as refused:
        devices.create("twice-1")
    assert refused.value.status == 409
    assert refused.value.code == "DeviceAlreadyExists"
    assert "A device with ID 'twice-1' is already registered" in refused.value.detail
    devices.delete("twice-1")


def test_a_disabled_identity_stays_and_a_stale_etag_is_refused(devices: Registry) -> None:
    made = devices.create("off-1")
    assert devices.disable("off-1", etag=made.etag).status == "disabled"
    found = devices.get("off-1")
    assert found
    assert (found.status, found.authentication) == ("disabled", "certificateAuthority")
    with pytest.raises(HubError) as refused:
        devices.disable("off-1", etag=made.etag)
    assert refused.value.status == 412
    devices.delete("off-1")


def test_deleting_what_is_gone_is_no_error(devices: Registry) -> None:
    devices.create("gone-1")
    devices.delete("gone-1")
    devices.delete("gone-1")  # as after a deletion of which only the answer was lost


def test_every_character_of_an_id_travels(devices: Registry) -> None:
    for name in ("A.b_c-9", "x" * 64):
        devices.create(name)
        found = devices.get(name)
        assert found
        assert found.device_id == name
        devices.delete(name)


def test_lists_come_page_by_page(devices: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("registry_sdk", "registry_rest"):
        monkeypatch.setattr(f"thingmint.hub.{module}.PAGE_SIZE", 2)
    names = {f"page-{number}" for number in range(5)}
    for name in names:
        devices.create(name)
    assert names <= {one.device_id for one in devices.list()}
    for name in names:
        devices.delete(name)


@pytest.mark.parametrize("client", ["sdk", "rest"])
def test_pages_are_followed_to_the_end(client: str, server: FaultServer, azure: Target) -> None:
    twins = [{"deviceId": f"d{number}", "authenticationType": "certificateAuthority"} for number in range(3)]
    last = Plan(200, twins[2:], headers={"x-ms-item-type": "Twin"})
    server.plan = Plan(
        200, twins[:2], headers={"x-ms-item-type": "Twin", "x-ms-continuation": "next"}, times=1, then=last
    )
    devices = open_kind(client, azure, Credential())
    assert [one.device_id for one in devices.list()] == ["d0", "d1", "d2"]
    assert len(server.requests) == 2
    devices.close()


def test_the_hubs_clock(devices: Registry) -> None:
    assert abs(devices.server_time() - dt.datetime.now(dt.UTC)) < dt.timedelta(seconds=5)


def test_the_chooser_takes_the_sdk_where_it_can(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    credential = open_credential(target)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert isinstance(open_registry(target, credential), RestRegistry)
    monkeypatch.undo()
    pytest.importorskip("uamqp")
    assert type(open_registry(target, credential)).__name__ == "SdkRegistry"


@pytest.mark.parametrize("kind", KINDS)
def test_a_connection_string_signs_in(kind: str, target: Target) -> None:
    from azure.mgmt.iothub import IotHubClient

    from thingmint.hub.transport import client_options

    client: Any = IotHubClient(
        open_credential(target), target.subscription_id, base_url=target.arm_url, **client_options(target)
    )
    key = client.iot_hub_resource.get_keys_for_key_name(target.resource_group, target.hub, "iothubowner").primary_key
    client.close()
    text = f"HostName={target.registry_host};SharedAccessKeyName=iothubowner;SharedAccessKey={key}"
    opened = open_kind(kind, dataclasses.replace(target, connection_string=text), None)
    assert opened.create("sas-1").status == "enabled"
    opened.delete("sas-1")
    opened.close()

    wrong = base64.b64encode(b"no such key, and no such secret").decode()
    bad = dataclasses.replace(target, connection_string=text.replace(key, wrong))
    refused_one = open_kind(kind, bad, None)
    with pytest.raises(HubError) as refused:
        refused_one.create("sas-2")
    assert refused.value.status == 401
    assert wrong not in refused.value.render()
    assert "sig=" not in refused.value.render().replace("sig=***", "")
    refused_one.close()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nonsense", "has no HostName"),
        ("HostName=localhost:1;SharedAccessKeyName=a", "has no SharedAccessKey"),
        ("HostName=HOST;SharedAccessKeyName=a;SharedAccessKey=not~base64", "no base64"),
        ("HostName=other.azure-devices.net;SharedAccessKeyName=a;SharedAccessKey=c2VjcmV0", "is of other"),
        ("HostName=HOST;SharedAccessKeyName=a;SharedAccessKey=c2VjcmV0;DeviceId=d", "is a device's"),
    ],
)
def test_an_unusable_connection_string_is_refused_unseen(text: str, says: str, target: Target) -> None:
    given = dataclasses.replace(target, connection_string=text.replace("HOST", target.registry_host))
    with pytest.raises(InputError, match=says) as refused:
        read_connection_string(given)
    assert "c2VjcmV0" not in refused.value.render()
    assert "not~base64" not in refused.value.render()
    assert "c2VjcmV0" not in repr(given)


def test_a_shared_access_signature_is_the_sdks() -> None:
    sastoken = pytest.importorskip("azure.iot.hub.sastoken", reason="azure-iot-hub needs uamqp")
    key = base64.b64encode(b"a key of some length/+").decode()
    theirs = sastoken.SasToken("localhost:8443", key, "registryReadWrite")
    access = identity.SharedAccess("localhost:8443", "registryReadWrite", key)
    ours = registry_rest.shared_access_signature(access, theirs.expiry_time)
    assert ours.replace("%2F", "/") == str(theirs)  # the SDK leaves the slash as it is; both decode to the same


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T00:00:00", None),
        (None, None),
        ("2026-05-04T03:02:01.1234567Z", dt.datetime(2026, 5, 4, 3, 2, 1, 123456, tzinfo=dt.UTC)),
        ("2026-05-04T03:02:01", dt.datetime(2026, 5, 4, 3, 2, 1, tzinfo=dt.UTC)),
    ],
)
def test_times_of_the_registry(text: str | None, moment: dt.datetime | None) -> None:
    assert utc(text) == moment
