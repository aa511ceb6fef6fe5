"""The provisioning service as a resource, and its CA certificates, through the real management SDK."""

from typing import Any

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceModifiedError, ResourceNotFoundError
from azure.mgmt.iothubprovisioningservices.models import VerificationCodeRequest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.lab.clients import Lab
from tests.lab.provisioning import Service
from tests.paper import DAY, Paper, make


def matching(etag: str | None) -> Any:
    assert etag
    return {"etag": etag, "match_condition": MatchConditions.IfNotModified}


def test_the_service_its_scope_and_its_keys_are_there_from_the_start(lab: Lab, provisioning: Service) -> None:
    group, name = provisioning.names
    resource = provisioning.management.iot_dps_resource
    properties = resource.get(name, group).properties
    assert properties.service_operations_host_name == f"{name}.azure-devices-provisioning.net"
    assert properties.device_provisioning_host_name == "global.azure-devices-provisioning.net"
    assert properties.id_scope
    assert properties.id_scope.startswith("0ne")
    assert [hub.name for hub in properties.iot_hubs or []] == [lab.target.hub_host]
    (key,) = resource.list_keys(name, group)
    assert resource.list_keys_for_key_name(name, key.key_name, group).primary_key == key.primary_key
    with pytest.raises(ResourceNotFoundError):
        resource.get("another", group)


def test_proof_of_possession(provisioning: Service, subca: Paper) -> None:
    certificates = provisioning.management.dps_certificate
    created = provisioning.upload("proof", subca, verified=False)
    assert created.type == "Microsoft.Devices/ProvisioningServices/Certificates"
    assert created.properties
    assert created.properties.subject == "Test SubCA"
    assert created.properties.thumbprint == subca.thumbprint
    shown = certificates.get("proof", *provisioning.names).properties
    assert shown
    assert shown.certificate == subca.certificate.public_bytes(Encoding.DER)
    coded = certificates.generate_verification_code("proof", *provisioning.names, **matching(created.etag))
    assert coded.properties
    code = coded.properties.verification_code
    assert code
    proof = VerificationCodeRequest(certificate=subca.issue(code).pem.decode())
    with pytest.raises(ResourceModifiedError):  # the etag is of before the code
        certificates.verify_certificate("proof", *provisioning.names, proof, **matching(created.etag))
    verified = certificates.verify_certificate("proof", *provisioning.names, proof, **matching(coded.etag))
    assert verified.properties
    assert verified.properties.is_verified
    certificates.delete(*provisioning.names, "proof", **matching(verified.etag))
    assert not certificates.list(*provisioning.names).value


def test_a_proof_by_another_key_is_refused(provisioning: Service, root: Paper, subca: Paper) -> None:
    certificates = provisioning.management.dps_certificate
    created = provisioning.upload("proof", subca, verified=False)
    coded = certificates.generate_verification_code("proof", *provisioning.names, **matching(created.etag))
    assert coded.properties
    proof = VerificationCodeRequest(certificate=root.issue(coded.properties.verification_code or "").pem.decode())
    log = provisioning.lab.mark()
    with pytest.raises(HttpResponseError) as error:
        certificates.verify_certificate("proof", *provisioning.names, proof, **matching(coded.etag))
    assert error.value.status_code == 400
    assert "Proof-Of-Possession failed" in str(error.value)
    assert "the proof for certificate 'proof' does not hold: it was issued by 'CN=Test Root'" in log()


def test_what_may_be_uploaded_is_as_at_the_hub(provisioning: Service, subca: Paper) -> None:
    for bad in (subca.issue("a-leaf"), make("Old CA", start=-9 * DAY, end=-DAY)):
        with pytest.raises(HttpResponseError) as error:
            provisioning.upload("bad", bad)
        assert error.value.status_code == 400
    first = provisioning.upload("good", subca)
    with pytest.raises(HttpResponseError) as error:
        provisioning.upload("good", subca)  # exists, and no If-Match
    assert error.value.status_code == 412
    again = provisioning.upload("good", subca, **matching(first.etag))
    assert again.etag != first.etag


def test_hub_and_service_hold_certificates_of_their_own(lab: Lab, provisioning: Service, subca: Paper) -> None:
    provisioning.upload("only-there", subca)
    held = lab.arm.certificates.list_by_iot_hub(lab.target.resource_group, lab.target.hub).value
    assert "only-there" not in [one.name for one in held]
