"""The provisioning service's certificates, enrollments and refusals, by the clients that the tasks use."""

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.hub.clients import SCOPE, Credential
from tests.hub.faults import FaultServer, Plan
from tests.paper import make
from thingmint.errors import HubError
from thingmint.hub.credentials import open_credential
from thingmint.hub.enrollments import Enrollments
from thingmint.hub.provisioning import ProvisioningCertificates
from thingmint.target import Target

SERVICE = SCOPE.replace("IotHubs/iot-hub001-0x0123-dev", "provisioningServices/provs-iotcore-0x0123-dev")


@pytest.fixture(scope="module")
def certificates(target: Target) -> Iterator[ProvisioningCertificates]:
    opened = ProvisioningCertificates(target, open_credential(target))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def enrollments(target: Target, certificates: ProvisioningCertificates) -> Iterator[Enrollments]:
    """Of a service with two verified CAs, `one` and `two`."""
    for name in ("one", "two"):
        ca = make(name)
        challenge = certificates.verification_code(name, etag=certificates.upload(name, ca.pem, etag=None).etag)
        certificates.verify(name, etag=challenge.etag, proof_pem=ca.issue(challenge.code).pem)
    opened = Enrollments(target, open_credential(target))
    yield opened
    opened.close()


def test_a_certificate_from_upload_to_deletion(certificates: ProvisioningCertificates) -> None:
    ca = make("Development Intermediate CA")
    assert certificates.get("cert-a") is None
    uploaded = certificates.upload("cert-a", b"text before it\n" + ca.pem, etag=None)
    assert (uploaded.verified, uploaded.thumbprint, uploaded.subject) == (
        False,
        ca.thumbprint,
        ca.certificate.subject.rfc4514_string()[3:],
    )
    assert uploaded.expires == ca.certificate.not_valid_after_utc
    challenge = certificates.verification_code("cert-a", etag=uploaded.etag)
    with pytest.raises(HubError, match="somebody changed it") as stale:
        certificates.verification_code("cert-a", etag=uploaded.etag)
    assert stale.value.status == 412
    with pytest.raises(HubError, match="the proof of possession was not accepted"):
        certificates.verify("cert-a", etag=challenge.etag, proof_pem=make("other").issue(challenge.code).pem)
    verified = certificates.verify("cert-a", etag=challenge.etag, proof_pem=ca.issue(challenge.code).pem)
    assert verified.verified
    assert certificates.get("cert-a") == verified
    replaced = certificates.upload("cert-a", make("Another").pem, etag=verified.etag)
    assert not replaced.verified
    assert replaced in certificates.list()
    certificates.delete("cert-a", etag=replaced.etag)
    assert certificates.get("cert-a") is None


def test_a_service_that_is_not_there_is_no_missing_certificate(target: Target) -> None:
    other = ProvisioningCertificates(
        dataclasses.replace(target, provisioning_service="nobodys-dps"), open_credential(target)
    )
    with pytest.raises(HubError, match="there is no provisioning service 'nobodys-dps'"):
        other.get("cert-a")
    other.close()


def test_a_group_is_made_rolled_and_deleted(enrollments: Enrollments, target: Target) -> None:
    assert enrollments.group("factory") is None
    made = enrollments.put_group("factory", certificate="one", hub=target.hub_host, judged=None)
    assert (made.status, made.attestation, made.certificate, made.hubs) == (
        "enabled",
        "x509",
        "one",
        (target.hub_host,),
    )
    assert enrollments.group("FACTORY") == made  # its name ignores case
    rolled = enrollments.put_group("factory", certificate="two", hub=target.hub_host, judged=made)
    assert (rolled.group_id, rolled.certificate) == ("factory", "two")
    assert enrollments.groups() == (rolled,)
    assert enrollments.registrations("factory") == ()
    for judged, status in ((None, 409), (made, 412)):
        with pytest.raises(HubError) as other:
            enrollments.put_group("factory", certificate="one", hub=target.hub_host, judged=judged)
        assert other.value.status == status
    assert enrollments.group("factory") == rolled
    with pytest.raises(HubError, match="somebody changed it") as stale:
        enrollments.delete_group("factory", etag=made.etag)
    assert stale.value.status == 412
    enrollments.delete_group("factory", etag=rolled.etag)
    assert enrollments.groups() == ()


def test_a_group_for_a_ca_or_a_hub_that_is_not_there_is_refused(enrollments: Enrollments, target: Target) -> None:
    for certificate, hub in (("nobodys", target.hub_host), ("one", "other.azure-devices.net")):
        with pytest.raises(HubError, match="writing the enrollment group g failed") as refused:
            enrollments.put_group("g", certificate=certificate, hub=hub, judged=None)
        assert refused.value.status == 400


def test_a_device_is_blocked_and_let_in_again(enrollments: Enrollments) -> None:
    paper = make("one").issue("dev-1")
    assert enrollments.individual("dev-1") is None
    assert enrollments.registration("dev-1") is None
    blocked = enrollments.block("dev-1", paper.pem)
    assert (blocked.registration_id, blocked.status, blocked.attestation) == ("dev-1", "disabled", "x509")
    again = enrollments.block("dev-1", paper.pem)  # what is there is kept, and disabled
    assert again.status == "disabled"
    enrollments.delete_individual("dev-1", etag=again.etag)
    assert enrollments.individual("dev-1") is None


def test_lists_are_read_page_by_page(enrollments: Enrollments, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thingmint.hub.enrollments._PAGE_SIZE", 2)
    paper = make("one").issue("any")
    names = [f"dev-{number}" for number in range(5)]
    made = [enrollments.block(name, paper.pem) for name in names]
    assert [one.registration_id for one in enrollments.individuals()] == names
    for one in made:
        enrollments.delete_individual(one.registration_id, etag=one.etag)


def ask(what: str, target: Target) -> HubError:
    """The refusal of one request, to the service itself or to its resource."""
    enrollments = Enrollments(target, Credential())  # type: ignore[arg-type]
    certificates = ProvisioningCertificates(target, Credential())  # type: ignore[arg-type]
    with pytest.raises(HubError) as caught:
        enrollments.groups() if what == "service" else certificates.get("cert-a")
    enrollments.close()
    certificates.close()
    assert "Bearer" not in caught.value.render()
    return caught.value


@pytest.mark.parametrize(
    ("what", "role"), [("service", '"Device Provisioning Service Data Contributor"'), ("resource", "Contributor")]
)
def test_403_gives_the_exact_role_assignment(what: str, role: str, server: FaultServer, azure: Target) -> None:
    server.plan = Plan(403, {"errorCode": 403000, "message": "no"} if what == "service" else {"error": {"code": "x"}})
    assert f"az role assignment create --role {role} --assignee" in ask(what, azure).render()
    assert f"--scope {SERVICE}" in ask(what, azure).render()


def test_what_is_not_there_is_named(server: FaultServer, azure: Target) -> None:
    server.plan = Plan(
        404, {"error": {"code": "ResourceNotFound", "message": f"The Resource '{SERVICE}' was not found."}}
    )
    assert "there is no provisioning service 'provs-iotcore-0x0123-dev'" in ask("resource", azure).message
    server.plan = Plan(404, {"errorCode": 404201, "message": "Enrollment not found."})
    error = ask("service", azure)
    assert "the provisioning service has no enrollment of that name" in error.message
    assert error.code == "404201"


def test_a_name_that_does_not_exist_points_at_the_right_setting(azure: Target) -> None:
    error = ask("service", dataclasses.replace(azure, provisioning_host="no-such-dps.invalid"))
    assert "no such provisioning service" in error.message
    assert any("azure.provisioning_service" in thing for thing in error.things_to_try)


def test_a_group_that_somebody_made_keeps_what_else_it_says(server: FaultServer, azure: Target) -> None:
    """The lab keeps all of it: what is sent is looked at here."""
    theirs = {
        "enrollmentGroupId": "Team",
        "etag": '"1"',
        "provisioningStatus": "disabled",
        "initialTwin": {"tags": {"site": "x"}},
        "attestation": {"type": "x509", "x509": {"caReferences": {"primary": "old", "secondary": "older"}}},
    }
    server.plan = Plan(200, theirs)
    opened = Enrollments(azure, Credential())  # type: ignore[arg-type]
    sent: list[Any] = []
    send = opened._client.send_request

    def noting(request: Any) -> Any:
        sent.append(request)
        return send(request)

    opened._client.send_request = noting
    opened.put_group("team", certificate="new", hub="h.azure-devices.net", judged=opened.group("team"))
    opened.close()
    body = json.loads(sent[-1].content)
    assert sent[-1].headers["If-Match"] == '"1"'
    assert (body["enrollmentGroupId"], body["provisioningStatus"]) == ("Team", "disabled")
    assert body["initialTwin"] == theirs["initialTwin"]
    assert body["attestation"]["x509"] == {"caReferences": {"primary": "new"}}
    assert (body["allocationPolicy"], body["iotHubs"]) == ("static", ["h.azure-devices.net"])
