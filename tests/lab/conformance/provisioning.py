"""The provisioning service: its certificates, enrollments and registrations."""

from pathlib import Path
from typing import Any

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.mgmt.iothubprovisioningservices.models import VerificationCodeRequest

from tests.lab.clients import connack, connect_packet, tls
from tests.lab.conformance.rows import done, left_out
from tests.lab.provisioning import Service, ask_as_device, by_certificate, by_reference, signature
from tests.paper import Paper, make
from thingmint.target import PROVISIONING_DEVICES

ERROR = {"errorCode", "trackingId", "message", "timestampUtc"}


def fleet(provisioning: Service, subca: Paper) -> None:
    provisioning.upload("subca", subca)
    provisioning.enroll_group("fleet")


@done("dps-certificates")
def certificates(provisioning: Service, root: Paper, subca: Paper) -> None:
    first = provisioning.upload("ca", subca, verified=False)
    with pytest.raises(HttpResponseError) as error:
        provisioning.upload("ca", subca)
    assert error.value.status_code == 412
    assert first.type == "Microsoft.Devices/ProvisioningServices/Certificates"
    dps = provisioning.management.dps_certificate

    def matching(etag: str | None) -> dict[str, Any]:
        return {"etag": etag or "", "match_condition": MatchConditions.IfNotModified}

    coded = dps.generate_verification_code("ca", *provisioning.names, **matching(first.etag))
    assert coded.properties
    code = coded.properties.verification_code or ""
    for proof, etag in ((root.issue(code), coded.etag), (subca.issue(code), first.etag)):
        with pytest.raises(HttpResponseError):
            dps.verify_certificate(
                "ca", *provisioning.names, VerificationCodeRequest(certificate=proof.pem.decode()), **matching(etag)
            )
    good = VerificationCodeRequest(certificate=subca.issue(code).pem.decode())
    verified = dps.verify_certificate("ca", *provisioning.names, good, **matching(coded.etag))
    assert verified.properties
    assert verified.properties.is_verified


@done("dps-errors")
def errors(provisioning: Service) -> None:
    answer = provisioning.ask("GET", "enrollmentGroups/nowhere")
    assert answer.status_code == 404
    assert set(answer.json()) == ERROR
    assert answer.headers["x-ms-error-code"] == str(answer.json()["errorCode"])


@done("dps-missing-enrollment")
def missing(provisioning: Service) -> None:
    for path in ("enrollmentGroups/nowhere", "enrollments/nowhere"):
        assert provisioning.ask("GET", path).json()["errorCode"] == 404201


@done("dps-exists")
def exists(provisioning: Service, subca: Paper) -> None:
    fleet(provisioning, subca)
    assert provisioning.ask("PUT", "enrollmentGroups/FLEET", body=by_reference("fleet")).status_code == 409


@done("dps-etags")
def etags(provisioning: Service, subca: Paper) -> None:
    fleet(provisioning, subca)
    stale = {"If-Match": '"stale"'}
    for method in ("PUT", "DELETE"):
        answer = provisioning.ask(method, "enrollmentGroups/fleet", body=by_reference("fleet"), headers=stale)
        assert answer.status_code == 412


@done("dps-ids")
def ids(provisioning: Service, subca: Paper) -> None:
    provisioning.upload("subca", subca)
    for good in ("a", "A.b_c:9-", "a" * 128):
        provisioning.enroll_group(good)
    for bad in ("a_", "a.", "b c", "a" * 129):
        assert provisioning.ask("PUT", f"enrollmentGroups/{bad}", body=by_reference(bad)).status_code == 400


@done("dps-reference-verified")
def reference(provisioning: Service, subca: Paper) -> None:
    provisioning.upload("unproven", subca, verified=False)
    for name in ("unproven", "nowhere"):
        assert provisioning.ask("PUT", "enrollmentGroups/g", body=by_reference("g", name)).status_code == 400


@done("dps-group-limit")
def groups(provisioning: Service, subca: Paper) -> None:
    provisioning.upload("subca", subca)
    for number in range(100):
        provisioning.enroll_group(f"g{number}")
    assert provisioning.ask("PUT", "enrollmentGroups/more", body=by_reference("more")).status_code == 400


@left_out("dps-attestations")
def attestations(provisioning: Service) -> None:
    for kind in ("symmetricKey", "tpm"):
        body = by_reference("g") | {"attestation": {"type": kind}}
        assert provisioning.ask("PUT", "enrollmentGroups/g", body=body).status_code == 501


@left_out("dps-custom-allocation")
def custom(provisioning: Service) -> None:
    body = by_reference("g") | {"allocationPolicy": "custom"}
    assert provisioning.ask("PUT", "enrollmentGroups/g", body=body).status_code == 501


@left_out("dps-queries")
def queries(provisioning: Service, subca: Paper) -> None:
    provisioning.upload("subca", subca)
    found, asked = [], {"x-ms-max-item-count": "1"}
    for group in ("one", "two"):
        provisioning.enroll_group(group)
    for _ in range(2):
        page = provisioning.ask("POST", "enrollmentGroups/query", body={"query": "SELECT *"}, headers=asked)
        found += [one["enrollmentGroupId"] for one in page.json()]
        asked["x-ms-continuation"] = page.headers.get("x-ms-continuation", "")
    assert (found, asked["x-ms-continuation"]) == (["one", "two"], "")
    where = {"query": "SELECT * FROM enrollments WHERE provisioningStatus = 'enabled'"}
    assert provisioning.ask("POST", "enrollments/query", body=where).status_code == 501


@left_out("dps-bulk")
def bulk(provisioning: Service) -> None:
    for path in ("enrollments", "enrollmentGroups"):
        assert provisioning.ask("POST", path, body={"mode": "create"}).status_code == 501


@done("dps-id-scope")
def id_scope(provisioning: Service, subca: Paper, tmp_path: Path) -> None:
    files = subca.issue("conf-dps").save(tmp_path, "leaf")
    with tls(provisioning.lab, files, host=PROVISIONING_DEVICES) as connection:
        connection.sendall(connect_packet("conf-dps", "0ne00000000/registrations/conf-dps/api-version=2019-03-31"))
        assert connack(connection) == 3


@done("dps-invalid-certificate")
def invalid(provisioning: Service, subca: Paper, tmp_path: Path) -> None:
    fleet(provisioning, subca)
    status, told = provisioning.register("conf-dps", subca.issue("another").save(tmp_path, "leaf"))
    assert (status, told["errorCode"], told["message"]) == (401, 401002, "Invalid certificate.")
    status, _ = provisioning.register("conf-dps", subca.issue("CONF-dps").save(tmp_path, "leaf"))
    assert status == 200


@done("dps-unknown-ca")
def unknown(provisioning: Service, subca: Paper, tmp_path: Path) -> None:
    fleet(provisioning, subca)
    status, told = provisioning.register("conf-dps", make("Rogue").issue("conf-dps").save(tmp_path, "leaf"))
    assert (status, told["errorCode"], told["message"]) == (401, 401002, "CA certificate not found.")


@done("dps-identity")
def identity(provisioning: Service, subca: Paper, tmp_path: Path) -> None:
    fleet(provisioning, subca)
    leaf = subca.issue("conf-dps")
    status, told = provisioning.register("conf-dps", leaf.save(tmp_path, "leaf"))
    assert (status, told["status"]) == (200, "assigned")
    thumbprints = provisioning.lab.registry.get_device("conf-dps").authentication.x509_thumbprint
    assert (thumbprints.primary_thumbprint, thumbprints.secondary_thumbprint) == (leaf.sha256, leaf.sha256)


@done("dps-comes-back")
def comes_back(provisioning: Service, subca: Paper, tmp_path: Path) -> None:
    fleet(provisioning, subca)
    files = subca.issue("conf-back").save(tmp_path, "leaf")
    for _ in range(2):
        assert provisioning.register("conf-back", files)[1]["status"] == "assigned"
        provisioning.lab.registry.delete_device("conf-back")


@done("dps-individual-first")
def individual(provisioning: Service, subca: Paper, tmp_path: Path) -> None:
    fleet(provisioning, subca)
    leaf = subca.issue("conf-dps")
    provisioning.done(
        "PUT", "enrollments/conf-dps", body=by_certificate("conf-dps", leaf) | {"provisioningStatus": "disabled"}
    )
    assert provisioning.register("conf-dps", leaf.save(tmp_path, "leaf"))[1]["status"] == "disabled"


@done("dps-disabled")
def disabled(provisioning: Service, subca: Paper, tmp_path: Path) -> None:
    provisioning.upload("subca", subca)
    provisioning.enroll_group("fleet", provisioningStatus="disabled")
    _, told = provisioning.register("conf-off", subca.issue("conf-off").save(tmp_path, "leaf"))
    assert (told["status"], told["registrationState"]["status"]) == ("disabled", "disabled")


@done("dps-orphans")
def orphans(provisioning: Service, subca: Paper, tmp_path: Path) -> None:
    fleet(provisioning, subca)
    provisioning.register("conf-orphan", subca.issue("conf-orphan").save(tmp_path, "leaf"))
    provisioning.done("DELETE", "enrollmentGroups/fleet")
    assert provisioning.done("GET", "registrations/conf-orphan")["status"] == "assigned"
    provisioning.done("DELETE", "registrations/conf-orphan")
    leaf = subca.issue("conf-alone")
    provisioning.done("PUT", "enrollments/conf-alone", body=by_certificate("conf-alone", leaf))
    provisioning.register("conf-alone", leaf.save(tmp_path, "leaf"))
    assert provisioning.done("GET", "registrations/conf-alone")["status"] == "assigned"
    provisioning.done("DELETE", "enrollments/conf-alone")
    assert provisioning.ask("GET", "registrations/conf-alone").status_code == 404


@done("dps-https")
def over_https(provisioning: Service, subca: Paper, tmp_path: Path) -> None:
    fleet(provisioning, subca)
    files = subca.issue("conf-https").save(tmp_path, "leaf")
    place = f"/{provisioning.id_scope}/registrations/conf-https"
    body = {"registrationId": "conf-https"}
    status, headers, told = ask_as_device(provisioning.lab, files, "PUT", f"{place}/register", body)
    assert (status, told["status"]) == (202, "assigning")
    assert "retry-after" in headers
    status, _, told = ask_as_device(provisioning.lab, files, "GET", f"{place}/operations/{told['operationId']}")
    assert (status, told["status"], told["registrationState"]["deviceId"]) == (200, "assigned", "conf-https")
    assert ask_as_device(provisioning.lab, files, "POST", place, {})[2]["status"] == "assigned"


@done("dps-sas")
def signatures(provisioning: Service) -> None:
    lab = provisioning.lab
    (key,) = provisioning.management.iot_dps_resource.list_keys(*reversed(provisioning.names))
    host = f"{lab.target.provisioning_service}.azure-devices-provisioning.net"
    path = "/enrollmentGroups/conf-none?api-version=2021-10-01"
    for resource, status in (
        (host, 404),
        (f"{host}/enrollmentGroups", 404),
        (f"{host}/enrollments", 401),
        (f"{host}/enrollmentGroups/conf", 401),
        (lab.target.hub_host, 401),
    ):
        assert lab.request("GET", path, headers=signature(resource, key.primary_key or ""))[0] == status, resource


@done("dps-two-groups")
def two_groups(provisioning: Service, subca: Paper, tmp_path: Path) -> None:
    fleet(provisioning, subca)
    other = make("Another CA")
    provisioning.upload("other", other)
    provisioning.done("PUT", "enrollmentGroups/second", body=by_reference("second", "other"))
    for issuer, group in ((subca, "fleet"), (other, "second")):
        leaf = issuer.issue("conf-both")
        assert provisioning.register("conf-both", leaf.save(tmp_path, "leaf"))[1]["status"] == "assigned"
        (state,) = provisioning.done("POST", f"registrations/{group}/query")
        assert state["registrationId"] == "conf-both"
        kept = provisioning.lab.registry.get_device("conf-both").authentication.x509_thumbprint
        assert kept.primary_thumbprint == leaf.sha256
    assert provisioning.done("POST", "registrations/fleet/query") == []
