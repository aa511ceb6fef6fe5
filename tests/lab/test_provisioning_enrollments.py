"""Enrollments through the service's REST, by azure-core's pipeline and a plain client."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lab.clients import Lab
from tests.lab.provisioning import AUDIENCE, Service, by_certificate, by_reference, signature
from tests.paper import DAY, Paper, make
from thingmint.lab.cloud.provisioning.enrollments import valid_id

CHARACTERS = st.sampled_from("abcXYZ019-._:")


@pytest.fixture(autouse=True)
def ca(provisioning: Service, subca: Paper) -> None:
    provisioning.upload("subca", subca)


def refused(provisioning: Service, body: dict[str, Any], path: str = "enrollmentGroups/g") -> tuple[int, str]:
    """Status and message of a PUT, which has the service's form."""
    answer = provisioning.ask("PUT", path, body=body)
    told = answer.json()
    assert set(told) == {"errorCode", "trackingId", "message", "timestampUtc"}, told
    assert told["errorCode"] // 1000 == answer.status_code
    return answer.status_code, told["message"]


def test_a_group_is_created_shown_changed_and_deleted(provisioning: Service) -> None:
    log = provisioning.lab.mark()
    created = provisioning.enroll_group("Group-1", initialTwin={"tags": {"place": "Köln"}})
    assert created["enrollmentGroupId"] == "Group-1"
    assert created["attestation"]["x509"]["caReferences"] == {"primary": "subca", "secondary": None}
    assert created["provisioningStatus"] == "enabled"
    assert created["reprovisionPolicy"] == {"updateHubAssignment": True, "migrateDeviceData": True}
    assert created["initialTwin"] == {"tags": {"place": "Köln"}}
    assert provisioning.done("GET", "enrollmentGroups/gROUP-1") == created  # ids ignore case
    changed = created | {"provisioningStatus": "disabled"}
    assert provisioning.ask("PUT", "enrollmentGroups/Group-1", body=changed).status_code == 409
    etag = {"If-Match": f'"{created["etag"]}"'}
    disabled = provisioning.done("PUT", "enrollmentGroups/Group-1", body=changed, headers=etag)
    assert disabled["provisioningStatus"] == "disabled"
    assert disabled["createdDateTimeUtc"] == created["createdDateTimeUtc"]
    assert disabled["lastUpdatedDateTimeUtc"] > created["lastUpdatedDateTimeUtc"]
    for method in ("PUT", "DELETE"):  # the etag of before
        assert provisioning.ask(method, "enrollmentGroups/Group-1", body=changed, headers=etag).status_code == 412
    provisioning.done("DELETE", "enrollmentGroups/Group-1", headers={"If-Match": disabled["etag"]})
    missing = provisioning.ask("GET", "enrollmentGroups/Group-1")
    assert (missing.status_code, missing.json()["errorCode"]) == (404, 404201)
    assert "there is no enrollment group 'Group-1'" in log()


def test_an_individual_enrollment_shows_its_certificate_by_its_particulars(provisioning: Service, subca: Paper) -> None:
    leaf = subca.issue("dev-1")
    body = by_certificate("dev-1", leaf) | {"deviceId": "Another#Name", "capabilities": {"iotEdge": True}}
    created = provisioning.done("PUT", "enrollments/dev-1", body=body)
    info = created["attestation"]["x509"]["clientCertificates"]["primary"]["info"]
    assert (info["sha1Thumbprint"], info["subjectName"]) == (leaf.thumbprint, "CN=dev-1")
    assert (created["deviceId"], created["capabilities"]) == ("Another#Name", {"iotEdge": True})
    # What GET shows can be changed and sent back.
    shown = provisioning.done("GET", "enrollments/dev-1") | {"provisioningStatus": "disabled"}
    sent = provisioning.done("PUT", "enrollments/dev-1", body=shown, headers={"If-Match": "*"})
    assert sent["attestation"] == created["attestation"]


def test_queries_come_in_pages(provisioning: Service) -> None:
    for number in range(5):
        provisioning.enroll_group(f"g-{number}")
    seen: list[str] = []
    headers = {"x-ms-max-item-count": "2"}
    while True:
        answer = provisioning.ask(
            "POST", "enrollmentGroups/query", body={"query": "SELECT * FROM enrollmentGroups"}, headers=headers
        )
        assert answer.headers["x-ms-item-type"] == "enrollmentGroup"
        seen += [one["enrollmentGroupId"] for one in answer.json()]
        assert len(answer.json()) <= 2
        if "x-ms-continuation" not in answer.headers:
            break
        headers["x-ms-continuation"] = answer.headers["x-ms-continuation"]
    assert seen == [f"g-{number}" for number in range(5)]
    where = {"query": "SELECT * FROM enrollments WHERE deviceId = 'x'"}
    assert provisioning.ask("POST", "enrollments/query", body=where).status_code == 501


def test_a_reference_needs_a_verified_ca_certificate(provisioning: Service, root: Paper) -> None:
    provisioning.upload("unproven", root, verified=False)
    assert refused(provisioning, by_reference("g", "nowhere")) == (
        400,
        "The CA certificate 'nowhere' does not exist.",
    )
    assert refused(provisioning, by_reference("g", "unproven")) == (
        400,
        "The CA certificate 'unproven' is not verified.",
    )


def test_signing_certificates_are_cas_in_date(provisioning: Service, subca: Paper) -> None:
    def body(certificate: Paper) -> dict[str, Any]:
        return by_certificate("g", certificate, "signingCertificates") | {"enrollmentGroupId": "g"}

    assert "CA:FALSE" in refused(provisioning, body(subca.issue("leaf")))[1]
    assert "expired" in refused(provisioning, body(make("Old", start=-9 * DAY, end=-DAY)))[1]
    provisioning.done("PUT", "enrollmentGroups/g", body=body(subca))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"enrollmentGroupId": "other"}, "differs from the id"),
        ({"provisioningStatus": "off"}, "neither enabled nor disabled"),
        ({"allocationPolicy": "lottery"}, "is none of"),
        ({"iotHubs": ["other.azure-devices.net"]}, "is not linked"),
        ({"iotHubs": "hub"}, "no list"),
        ({"attestation": {"type": "x509"}}, "needs the type x509"),
        ({"reprovisionPolicy": {"updateHubAssignment": "yes"}}, "neither true nor false"),
        ({"initialTwin": {"tags": float("nan")}}, "is no JSON object"),
        ({"initialTwin": []}, "is no object"),
        ({"initialTwin": {"tags": {"a.b": 1}}}, "initialTwin is not accepted: the name 'a.b' in tags"),
    ],
)
def test_what_an_enrollment_cannot_be(provisioning: Service, change: dict[str, Any], told: str) -> None:
    status, message = refused(provisioning, by_reference("g") | change)
    assert status == 400
    assert told in message


def test_what_the_lab_does_not_do_says_so(provisioning: Service) -> None:
    for change in (
        {"attestation": {"type": "symmetricKey"}},
        {"attestation": {"type": "tpm"}},
        {"allocationPolicy": "custom"},
    ):
        answer = provisioning.ask("PUT", "enrollmentGroups/g", body=by_reference("g") | change)
        assert answer.status_code == 501
        assert "the lab does not do this" in answer.text()


def test_a_hundred_groups_are_the_limit(provisioning: Service) -> None:
    for number in range(100):
        provisioning.enroll_group(f"g{number}")
    assert refused(provisioning, by_reference("g100"), "enrollmentGroups/g100")[0] == 400


def test_who_may_ask(lab: Lab, provisioning: Service) -> None:
    path = "/enrollmentGroups/g?api-version=2021-10-01"
    (key,) = provisioning.management.iot_dps_resource.list_keys(*reversed(provisioning.names))
    secret, host = key.primary_key or "", f"{lab.target.provisioning_service}.azure-devices-provisioning.net"
    stranger = base64.b64encode(bytes(32)).decode()
    for headers, status, reason in (
        (signature(host, secret), 404, "there is no enrollment group 'g'"),
        (lab.bearer(AUDIENCE), 404, "there is no enrollment group 'g'"),
        ({}, 401, "there is no Authorization header"),
        (lab.bearer("https://iothubs.azure.net"), 401, "issued for another audience"),
        (signature(lab.target.hub_host, secret), 401, "is for another host"),
        (signature(f"{host}/enrollmentgroups", secret), 404, "there is no enrollment group 'g'"),
        (signature(f"{host}/enrollments", secret), 401, "is for another resource of"),
        (signature(host, stranger), 401, "is not by a key of the policy"),
        (signature(host, secret, lifetime=-5), 401, "has expired"),
        (signature(host, secret, policy="iothubowner"), 401, "there is no shared access policy 'iothubowner'"),
    ):
        log = lab.mark()
        assert lab.request("GET", path, headers=headers)[0] == status
        assert reason in log()
    assert lab.request("GET", "/enrollmentGroups/g", headers=lab.bearer(AUDIENCE))[0] == 400  # no api-version


@given(st.text(CHARACTERS, max_size=127), st.sampled_from("aZ9-"))
def test_ids_end_in_a_letter_a_digit_or_a_hyphen(start: str, end: str) -> None:
    assert valid_id(start + end)
    assert not any(valid_id(start + bad) for bad in ("", ".") if not start or bad)
    assert not valid_id(start + end + "_")


@given(
    st.text(max_size=20).filter(lambda text: any(c not in "-._:" and not (c.isascii() and c.isalnum()) for c in text))
)
def test_other_characters_are_in_no_id(text: str) -> None:
    assert not valid_id(text + "a")


def test_an_id_has_at_most_128_characters(provisioning: Service) -> None:
    assert valid_id("a" * 128)
    assert refused(provisioning, by_reference("a" * 129), f"enrollmentGroups/{'a' * 129}")[0] == 400
