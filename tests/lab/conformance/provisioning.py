"""The provisioning service: its certificates, enrollments and registrations."""

from pathlib import Path

import pytest
from azure.core.exceptions import HttpResponseError

from tests.lab.clients import connack, connect_packet, tls
from tests.lab.conformance.rows import done, left_out
from tests.lab.provisioning import Service, by_certificate, by_reference
from tests.paper import Paper, make
from thingmint.target import PROVISIONING_DEVICES

ERROR = {"errorCode", "trackingId", "message", "timestampUtc"}


def fleet(provisioning: Service, subca: Paper) -> None:
    provisioning.upload("subca", subca)
    provisioning.enroll_group("fleet")


@done("dps-certificates")
def certificates(provisioning: Service, subca: Paper) -> None:
    first = provisioning.upload("ca", subca, verified=False)
    with pytest.raises(HttpResponseError) as error:
        provisioning.upload("ca", subca)
    assert error.value.status_code == 412
    assert first.type == "Microsoft.Devices/ProvisioningServices/Certificates"


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
    for good in ("a", "A.b_c:9-"):
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
def queries(provisioning: Service) -> None:
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
