"""Devices that register: Microsoft's provisioning client through the proxy, at the service's real name."""

import datetime as dt
import gc
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from azure.iot.device.common import evented_callback
from azure.iot.device.exceptions import ClientError, ConnectionFailedError
from azure.iot.hub.models import Twin

from tests.lab.clients import Lab, wait_until
from tests.lab.provisioning import Service, by_certificate, by_reference
from tests.lab.sdks import provisioning_client, sdk
from tests.paper import DAY, Paper, make

# azure-iot-device itself asks for ssl.PROTOCOL_TLSv1_2, and paho forgets the socket of a refused connection.
pytestmark = [
    pytest.mark.filterwarnings("ignore:ssl.PROTOCOL_TLSv1_2 is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),
]
callbacks: Any = evented_callback
Register = Callable[..., Any]


class NotRegistered(Exception):  # noqa: N818
    """What the SDK says of the reason, which it wraps as `Unexpected failure`."""


@pytest.fixture
def register(lab: Lab, provisioning: Service, subca: Paper, tmp_path: Path) -> Register:
    """Registers as an id, with a certificate of the uploaded CA unless another is given; gives the SDK's result."""
    provisioning.upload("subca", subca)

    def attempt(registration_id: str, certificate: Paper | None = None, *chain: Paper, scope: str = "") -> Any:
        files = (certificate or subca.issue(registration_id)).save(tmp_path, "leaf", *chain)
        client = provisioning_client(lab, scope or provisioning.id_scope, registration_id, files)
        try:
            return client.register()
        except (ClientError, ConnectionFailedError) as error:
            told = str(error.__cause__)
        # The SDK goes on being connected after a refusal, and has no way of its own to end that.
        ended = callbacks.EventedCallback()
        client._pipeline.shutdown(callback=ended)
        ended.wait_for_completion()
        del client
        gc.collect()  # paho leaves the socket of a refused handshake to the collector
        raise NotRegistered(told)

    return attempt


def hold(provisioning: Service, group: str, ca: Paper) -> None:
    """A group that holds its CA certificate itself."""
    body = by_certificate(group, ca, "signingCertificates") | {"enrollmentGroupId": group}
    provisioning.done("PUT", f"enrollmentGroups/{group}", body=body)


def test_a_device_of_a_group_registers_and_connects_to_its_hub(
    lab: Lab, provisioning: Service, register: Register, subca: Paper, tmp_path: Path
) -> None:
    provisioning.enroll_group("fleet")
    leaf = subca.issue("dev-1")
    log = lab.mark()
    result = register("dev-1", leaf)
    assert result.status == "assigned"
    state = result.registration_state
    assert (state.assigned_hub, state.device_id) == (lab.target.hub_host, "dev-1")
    assert state.sub_status == "initialAssignment"
    identity = lab.registry.get_device("dev-1")
    thumbprint = leaf.sha256
    assert identity.authentication.type == "selfSigned"
    assert identity.authentication.x509_thumbprint.primary_thumbprint == thumbprint
    assert identity.authentication.x509_thumbprint.secondary_thumbprint == thumbprint
    kept = provisioning.done("GET", "registrations/DEV-1")
    assert (kept["status"], kept["deviceId"], kept["assignedHub"]) == ("assigned", "dev-1", lab.target.hub_host)
    assert provisioning.done("POST", "registrations/fleet/query") == [kept]
    assert "registration 'dev-1' by the enrollment group 'fleet': assigned to" in log()
    # The CA is not at the hub: the thumbprint alone lets it in.
    files = leaf.save(tmp_path, "leaf")
    client = sdk.IoTHubDeviceClient.create_from_x509_certificate(
        x509=sdk.X509(str(files[0]), str(files[1])),
        hostname=state.assigned_hub,
        device_id=state.device_id,
        server_verification_cert=lab.target.ca_file.read_text() if lab.target.ca_file else "",
        proxy_options=sdk.ProxyOptions("HTTP", *(lab.target.mqtt_proxy or ())),
        connection_retry=False,
    )
    try:
        client.send_message(json.dumps({"temperature": 20}))
    finally:
        client.shutdown()
    wait_until(lambda: lab.running.telemetry("dev-1"))


def test_a_deleted_device_of_a_group_comes_back(lab: Lab, provisioning: Service, register: Register) -> None:
    provisioning.enroll_group("fleet")
    register("dev-2")
    first = provisioning.done("GET", "registrations/dev-2")
    lab.registry.delete_device("dev-2")
    register("dev-2")
    assert lab.registry.get_device("dev-2").status == "enabled"
    again = provisioning.done("GET", "registrations/dev-2")
    assert again["createdDateTimeUtc"] == first["createdDateTimeUtc"]
    assert again["etag"] != first["etag"]


def test_a_new_device_has_the_enrollments_twin(lab: Lab, provisioning: Service, register: Register) -> None:
    given = {"tags": {"place": "Köln"}, "properties": {"desired": {"interval": 20}}}
    provisioning.enroll_group("fleet", initialTwin=given)
    register("dev-11")
    twin = lab.registry.get_twin("dev-11")
    assert (twin.tags, twin.properties.desired["interval"]) == ({"place": "Köln"}, 20)
    lab.registry.update_twin("dev-11", Twin(tags={"place": "Bonn"}))
    register("dev-11")
    assert lab.registry.get_twin("dev-11").tags == {"place": "Bonn"}  # it was there already


def test_a_renewed_certificate_is_taken_over_and_a_disabled_device_stays_so(
    lab: Lab, provisioning: Service, register: Register, subca: Paper
) -> None:
    provisioning.enroll_group("fleet")
    register("dev-3")
    before = lab.registry.get_device("dev-3")
    lab.registry.update_device_with_x509(
        "dev-3", before.etag, before.authentication.x509_thumbprint.primary_thumbprint, "F" * 40, "disabled"
    )
    renewed = subca.issue("dev-3")
    register("dev-3", renewed)
    after = lab.registry.get_device("dev-3")
    assert after.authentication.x509_thumbprint.primary_thumbprint == renewed.sha256
    assert (after.status, after.generation_id) == ("disabled", before.generation_id)


def test_a_device_that_is_never_assigned_anew_does_not_come_back(
    lab: Lab, provisioning: Service, register: Register
) -> None:
    never = {"updateHubAssignment": False, "migrateDeviceData": False}
    provisioning.enroll_group("fleet", reprovisionPolicy=never)
    register("dev-4")
    lab.registry.delete_device("dev-4")
    assert register("dev-4").status == "assigned"
    assert "dev-4" not in [one.device_id for one in lab.registry.get_devices()]


def test_an_individual_enrollment_names_its_device(
    lab: Lab, provisioning: Service, register: Register, tmp_path: Path
) -> None:
    own = make("single", ca=False)  # no CA anywhere: the enrollment holds the certificate
    body = by_certificate("Single", own) | {"deviceId": "Thing#7", "capabilities": {"iotEdge": True}}
    provisioning.done("PUT", "enrollments/Single", body=body)
    state = register("single", own).registration_state  # ids ignore case
    assert state.device_id == "Thing#7"
    assert lab.registry.get_device("Thing#7").capabilities.iot_edge
    assert provisioning.done("GET", "enrollments/single")["registrationState"]["deviceId"] == "Thing#7"
    provisioning.done("DELETE", "enrollments/Single")
    assert provisioning.ask("GET", "registrations/single").status_code == 404  # it went with its enrollment


def test_the_nearest_ca_decides(provisioning: Service, register: Register, root: Paper, subca: Paper) -> None:
    provisioning.upload("root", root)
    provisioning.enroll_group("by-root", attestation=by_reference("", "root")["attestation"])
    assert register("dev-5", None, subca).status == "assigned"  # leaf and intermediate, up to the root
    assert provisioning.done("GET", "registrations/dev-5")["registrationId"] == "dev-5"
    provisioning.enroll_group("by-subca", provisioningStatus="disabled")
    with pytest.raises(NotRegistered, match="disabled"):
        register("dev-5", None, subca)


def test_a_ca_certificate_can_be_in_the_group_itself(provisioning: Service, register: Register) -> None:
    other = make("Another CA")
    hold(provisioning, "g", other)
    assert register("dev-6", other.issue("dev-6")).status == "assigned"


def test_a_ca_certificate_counts_until_it_expires(lab: Lab, provisioning: Service, register: Register) -> None:
    brief = make("Brief CA", end=dt.timedelta(seconds=6))
    renewed = make("Brief CA", key=brief.key)
    hold(provisioning, "g1", brief)
    leaf = brief.issue("dev-10")
    wait_until(lambda: dt.datetime.now(dt.UTC) > brief.certificate.not_valid_after_utc + dt.timedelta(seconds=1), 20)
    log = lab.mark()
    with pytest.raises(NotRegistered, match="401"):
        register("dev-10", leaf)
    assert "(401002): 'CN=Brief CA' above its certificate is not accepted: it expired on" in log()
    hold(provisioning, "g2", renewed)  # the same name and key
    assert register("dev-10", leaf).status == "assigned"


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("no enrollment", "(401002): there is no enrollment"),
        (
            "another CA",
            "(401002): no enrollment's CA certificate stands above its certificate, issued by 'CN=Rogue CA'",
        ),
        ("another CA with its chain", "(401002): no enrollment's CA certificate stands above its certificate"),
        ("another name", "(401002): its certificate's CN 'someone' is not the registration id 'dev-7'"),
        ("another certificate", "(401002): its certificate is not that of the individual enrollment 'dev-7'"),
        (
            "CA deleted",
            "(401002): no enrollment's CA certificate stands above its certificate, issued by 'CN=Test SubCA'; the certificate 'subca' of the enrollment group 'g' is deleted",
        ),
        ("group disabled", "by the enrollment group 'g': not assigned, since it is disabled"),
        ("individual disabled", "by the individual enrollment 'dev-7': not assigned, since it is disabled"),
    ],
)
def test_a_registration_is_refused(
    lab: Lab, provisioning: Service, register: Register, subca: Paper, case: str, reason: str
) -> None:
    leaf = subca.issue("dev-7")
    chain: tuple[Paper, ...] = ()
    rogue = make("Rogue CA")
    if case != "no enrollment":
        provisioning.enroll_group("g", provisioningStatus="disabled" if case == "group disabled" else "enabled")
    match case:
        case "another CA":
            leaf = rogue.issue("dev-7")
        case "another CA with its chain":
            leaf, chain = rogue.issue("dev-7"), (rogue,)
        case "another name":
            leaf = subca.issue("someone")
        case "another certificate":
            provisioning.done("PUT", "enrollments/dev-7", body=by_certificate("dev-7", subca.issue("dev-7")))
        case "CA deleted":
            provisioning.delete("subca")
        case "individual disabled":
            disabled = by_certificate("dev-7", leaf) | {"provisioningStatus": "disabled"}
            provisioning.done("PUT", "enrollments/dev-7", body=disabled)
    log = lab.mark()
    with pytest.raises(NotRegistered, match="401" if "401002" in reason else "disabled"):
        register("dev-7", leaf, *chain)
    assert reason in log()
    assert "dev-7" not in [one.device_id for one in lab.registry.get_devices()]


def test_a_connection_is_refused(lab: Lab, provisioning: Service, register: Register, subca: Paper) -> None:
    provisioning.enroll_group("g")
    log = lab.mark()
    with pytest.raises(NotRegistered):
        register("dev-8", scope="0ne00000000")
    assert "its id scope '0ne00000000' is not the service's" in log()
    with pytest.raises(NotRegistered):
        register("dev-8", subca.issue("dev-8", start=-3 * DAY, end=-DAY))
    assert "a certificate of the device's chain has expired" in log()
    a_device = subca.issue("a-device")
    with pytest.raises(NotRegistered):
        register("dev-8", a_device.issue("dev-8"), a_device)
    assert "the device's certificate was not accepted: invalid CA certificate" in log()


def test_a_disabled_registration_shows_as_disabled(lab: Lab, provisioning: Service, register: Register) -> None:
    provisioning.enroll_group("g")
    register("dev-9")
    provisioning.done(
        "PUT",
        "enrollmentGroups/g",
        body=by_reference("g") | {"provisioningStatus": "disabled"},
        headers={"If-Match": "*"},
    )
    with pytest.raises(NotRegistered, match="disabled"):
        register("dev-9")
    kept = provisioning.done("GET", "registrations/dev-9")
    assert (kept["status"], kept["assignedHub"]) == ("disabled", lab.target.hub_host)
    assert "substatus" not in kept
