"""Certificates and keys through the real azure-mgmt-iothub."""

import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from cryptography.hazmat.primitives import serialization

from tests.lab.clients import Lab, verification
from tests.paper import DAY, Paper, make

Where = tuple[str, str]


@pytest.fixture
def where(lab: Lab) -> Iterator[Where]:
    """Resource group and hub; no certificates are left behind."""
    group, hub = lab.target.resource_group, lab.target.hub
    yield group, hub
    for one in lab.arm.certificates.list_by_iot_hub(group, hub).value:
        lab.arm.certificates.delete(group, hub, one.name, one.etag)


def refused(error: pytest.ExceptionInfo[HttpResponseError]) -> tuple[int, str]:
    """Status and the provider's numeric code."""
    response: Any = error.value.response
    return response.status_code, str(response.json().get("code"))


def test_the_hub_and_its_keys_are_there_from_the_start(lab: Lab, where: Where) -> None:
    hub = lab.arm.iot_hub_resource.get(*where)
    assert hub.properties.host_name == "iot-hub001-0xacc5-dev.azure-devices.net"
    assert hub.properties.state == "Active"
    keys = {key.key_name: key for key in lab.arm.iot_hub_resource.list_keys(*where)}
    assert (
        lab.arm.iot_hub_resource.get_keys_for_key_name(*where, "iothubowner").primary_key
        == keys["iothubowner"].primary_key
    )
    assert len(base64.b64decode(keys["iothubowner"].primary_key)) == 32


def test_proof_of_possession(lab: Lab, where: Where, subca: Paper) -> None:
    created = lab.upload("proof", subca, verified=False)
    assert created.properties.subject == "Test SubCA"
    assert created.properties.thumbprint == subca.thumbprint
    assert created.properties.certificate == subca.pem.decode()  # the PEM comes back as it was given
    assert not created.properties.is_verified
    shown = lab.arm.certificates.get(*where, "proof")
    assert base64.b64decode(shown.properties.certificate) == subca.certificate.public_bytes(serialization.Encoding.DER)
    coded = lab.arm.certificates.generate_verification_code(*where, "proof", created.etag)
    code = coded.properties.verification_code
    assert len(code) == 48
    assert set(code) <= set("0123456789ABCDEF")
    verified = lab.arm.certificates.verify(*where, "proof", coded.etag, verification(subca.issue(code)))
    assert verified.properties.is_verified
    assert len({created.etag, coded.etag, verified.etag}) == 3


@pytest.mark.parametrize("flaw", ["namesake", "root", "wrong code", "expired"])
def test_a_proof_that_does_not_hold_is_refused(lab: Lab, where: Where, root: Paper, subca: Paper, flaw: str) -> None:
    created = lab.upload("proof", subca, verified=False)
    coded = lab.arm.certificates.generate_verification_code(*where, "proof", created.etag)
    code = coded.properties.verification_code
    proofs = {
        "namesake": lambda: make("Test SubCA").issue(code, key_ids=False),
        "root": lambda: root.issue(code),
        "wrong code": lambda: subca.issue("0" * 48),
        "expired": lambda: subca.issue(code, start=-3 * DAY, end=-DAY),
    }
    with pytest.raises(HttpResponseError) as error:
        lab.arm.certificates.verify(*where, "proof", coded.etag, verification(proofs[flaw]()))
    assert refused(error) == (400, "400053")
    assert "Proof-Of-Possession failed" in str(error.value)
    assert not lab.arm.certificates.get(*where, "proof").properties.is_verified


def test_etags(lab: Lab, where: Where, subca: Paper) -> None:
    first = lab.upload("etags", subca, verified=False)
    with pytest.raises(HttpResponseError) as error:
        lab.upload("etags", subca)  # exists, and no If-Match
    assert refused(error) == (412, "412001")
    coded = lab.arm.certificates.generate_verification_code(*where, "etags", first.etag)
    attempts: list[Callable[[], Any]] = [
        lambda: lab.arm.certificates.generate_verification_code(*where, "etags", first.etag),
        lambda: lab.arm.certificates.delete(*where, "etags", first.etag),
        lambda: lab.arm.certificates.verify(*where, "etags", first.etag, verification(subca)),
    ]
    for stale in attempts:
        with pytest.raises(HttpResponseError) as error:
            stale()
        assert refused(error) == (412, "412001")
        assert "errorcode: IH412001." in str(error.value)
    lab.arm.certificates.delete(*where, "etags", coded.etag)
    with pytest.raises(HttpResponseError) as error:
        lab.arm.certificates.get(*where, "etags")
    assert refused(error)[0] == 404


def test_what_may_be_uploaded(lab: Lab, where: Where, subca: Paper) -> None:
    for bad in (subca.issue("a-leaf"), make("Old CA", start=-9 * DAY, end=-DAY), make("Early CA", start=DAY)):
        with pytest.raises(HttpResponseError) as error:
            lab.upload("bad", bad)
        assert refused(error)[0] == 400
    with pytest.raises(HttpResponseError) as error:
        lab.upload("a name with spaces", subca)
    assert refused(error)[0] == 400
    assert lab.arm.certificates.list_by_iot_hub(*where).value == []


def test_25_certificates_are_the_limit(lab: Lab, where: Where, subca: Paper) -> None:
    for number in range(25):
        lab.upload(f"ca-{number}", subca)
    with pytest.raises(HttpResponseError) as error:
        lab.upload("ca-25", subca)
    assert refused(error)[0] == 400


def test_names_elsewhere_are_not_found(lab: Lab, where: Where) -> None:
    group, hub = where
    for missing in ((group, "another-hub"), ("another-group", hub)):
        with pytest.raises(HttpResponseError) as error:
            lab.arm.iot_hub_resource.get(*missing)
        assert error.value.status_code == 404
    headers = lab.bearer("https://management.azure.com")
    other = lab.arm_path.replace(lab.target.subscription_id, "00000000-0000-0000-0000-000000000000")
    status, _, body = lab.request("GET", f"{other}?api-version=2023-06-30", headers=headers)
    assert (status, body["error"]["code"]) == (404, "SubscriptionNotFound")


def test_what_the_lab_does_not_do_says_so(lab: Lab) -> None:
    headers = lab.bearer("https://management.azure.com")
    status, answer, body = lab.request("GET", f"{lab.arm_path}/routing?api-version=2023-06-30", headers=headers)
    assert status == 501
    assert body["error"]["message"].startswith("the lab does not do this: GET /subscriptions/")
    assert "date" in {name.lower() for name in answer}
    assert lab.request("PATCH", "/nothing/here")[0] == 501
