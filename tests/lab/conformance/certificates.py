"""CA certificates of the hub, through azure-mgmt-iothub."""

import base64
import datetime as dt
import re
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.mgmt.iothub.models import CertificateDescription, CertificateProperties
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.lab.clients import Lab, verification
from tests.lab.conformance.rows import done
from tests.paper import DAY, Paper, make
from tests.strength.forged import NO_TEXT, resigned


def refusal(error: pytest.ExceptionInfo[HttpResponseError]) -> tuple[int, str]:
    """Status and the provider's numeric code."""
    response: Any = error.value.response
    return response.status_code, str(response.json().get("code"))


def call(lab: Lab, name: str, *words: Any) -> Any:
    return getattr(lab.arm.certificates, name)(lab.target.resource_group, lab.target.hub, *words)


@done("certificate-etags")
def etags(lab: Lab, subca: Paper) -> None:
    made = lab.upload("etags", subca, verified=False)
    coded = call(lab, "generate_verification_code", "etags", made.etag)
    assert coded.etag != made.etag
    proof = verification(subca.issue(coded.properties.verification_code))
    verified = call(lab, "verify", "etags", coded.etag, proof)
    assert len({made.etag, coded.etag, verified.etag}) == 3
    for stale in (made.etag, coded.etag):
        with pytest.raises(HttpResponseError) as error:
            call(lab, "delete", "etags", stale)
        assert refusal(error) == (412, "412001")
        told: Any = error.value.response
        assert set(told.json()) == {"code", "httpStatusCode", "message"}  # and not ARM's `error`
    call(lab, "delete", "etags", verified.etag)


@done("certificate-update-needs-etag")
def update_needs_etag(lab: Lab, subca: Paper) -> None:
    lab.upload("again", subca)
    with pytest.raises(HttpResponseError) as error:
        lab.upload("again", subca)
    assert refusal(error) == (412, "412001")
    lab.delete_certificate("again")


@done("certificate-proof")
def proof(lab: Lab, root: Paper, subca: Paper) -> None:
    made = lab.upload("proven", subca, verified=False)
    coded = call(lab, "generate_verification_code", "proven", made.etag)
    code = coded.properties.verification_code
    assert re.fullmatch("[0-9A-Fa-f]{48}", code)
    with pytest.raises(HttpResponseError) as error:
        lab.arm.certificates.verify(
            lab.target.resource_group, lab.target.hub, "proven", coded.etag, verification(root.issue(code))
        )
    assert refusal(error) == (400, "400053")
    verified = lab.arm.certificates.verify(
        lab.target.resource_group, lab.target.hub, "proven", coded.etag, verification(subca.issue(code))
    )
    assert verified.properties.is_verified
    lab.delete_certificate("proven")


@done("certificate-verified-at-upload")
def verified_at_upload(lab: Lab, subca: Paper) -> None:
    assert lab.upload("at-once", subca, verified=True).properties.is_verified
    lab.delete_certificate("at-once")


@done("certificate-limit")
def limit(lab: Lab, subca: Paper) -> None:
    names = [f"limit-{number}" for number in range(25 - len(call(lab, "list_by_iot_hub").value))]
    for name in names:
        lab.upload(name, subca)
    with pytest.raises(HttpResponseError) as error:
        lab.upload("one-more", subca)
    assert refusal(error) == (400, "400000")
    for name in names:
        lab.delete_certificate(name)


@done("certificate-names")
def names(lab: Lab, subca: Paper) -> None:
    for name in ("x" * 65, "a b", "a~b"):
        with pytest.raises(HttpResponseError) as error:
            lab.upload(name, subca)
        assert refusal(error)[0] == 400


@done("certificate-is-ca")
def is_ca(lab: Lab, subca: Paper) -> None:
    with pytest.raises(HttpResponseError) as error:
        lab.upload("leaf", subca.issue("a-device"))
    assert refusal(error) == (400, "400052")


@done("certificate-dates")
def dates(lab: Lab, root: Paper) -> None:
    for start, end in ((-3 * DAY, -DAY), (DAY, 3 * DAY)):
        with pytest.raises(HttpResponseError) as error:
            lab.upload("dates", root.issue("Not now", ca=True, start=start, end=end))
        assert refusal(error) == (400, "400052")


def upload_text(lab: Lab, text: str) -> Any:
    properties = CertificateProperties(certificate=text)
    return call(lab, "create_or_update", "text", CertificateDescription(properties=properties))


@done("certificate-key-size")
def key_size(lab: Lab) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - what is refused
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Small")])
    now = dt.datetime.now(dt.UTC)
    small = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - DAY, now + DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    with pytest.raises(HttpResponseError) as error:
        upload_text(lab, small.public_bytes(serialization.Encoding.PEM).decode())
    assert refusal(error) == (400, "400052")


@done("certificate-form")
def form(lab: Lab, subca: Paper) -> None:
    with pytest.raises(HttpResponseError) as error:
        upload_text(lab, "no certificate")
    assert refusal(error) == (400, "400051")
    der = subca.certificate.public_bytes(serialization.Encoding.DER)
    for good in (subca.pem, base64.b64encode(subca.pem), base64.b64encode(der)):
        assert upload_text(lab, good.decode()).properties.thumbprint == subca.thumbprint
        lab.delete_certificate("text")


@done("ca-unreadable")
def unreadable(lab: Lab) -> None:
    paper = make("ab")
    good = paper.certificate.public_bytes(serialization.Encoding.DER)
    for broken in (
        resigned(paper, paper.key, b"\x0c\x02ab", b"\x0c\x02" + NO_TEXT),  # a name
        resigned(paper, paper.key, b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x05"),  # a version
        good.replace(bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a8648ce3d030108")),  # a curve
    ):
        with pytest.raises(HttpResponseError) as error:
            upload_text(lab, base64.b64encode(broken).decode())
        assert refusal(error) == (400, "400051")
    assert upload_text(lab, base64.b64encode(good).decode()).properties.thumbprint == paper.thumbprint
    lab.delete_certificate("text")
