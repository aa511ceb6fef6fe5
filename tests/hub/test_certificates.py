"""The whole life of a CA certificate on the lab's hub, by Microsoft's own SDK."""

import dataclasses
import datetime as dt
import re
from collections.abc import Iterator

import pytest

from tests.paper import make
from thingmint.errors import HubError
from thingmint.hub.certificates import HubCertificates
from thingmint.hub.credentials import open_credential
from thingmint.target import Target


@pytest.fixture(scope="module")
def hub(target: Target) -> Iterator[HubCertificates]:
    certificates = HubCertificates(target, open_credential(target))
    yield certificates
    certificates.close()


def test_a_certificate_from_upload_to_deletion(hub: HubCertificates) -> None:
    ca = make("Development Intermediate CA")
    assert hub.get("cert-a") is None

    uploaded = hub.upload("cert-a", ca.pem, etag=None)
    assert not uploaded.verified
    assert uploaded.thumbprint == ca.thumbprint
    assert uploaded.subject == "Development Intermediate CA"
    assert uploaded.expires == ca.certificate.not_valid_after_utc
    assert uploaded.created
    assert abs(dt.datetime.now(dt.UTC) - uploaded.created) < dt.timedelta(minutes=1)

    challenge = hub.verification_code("cert-a", etag=uploaded.etag)
    assert re.fullmatch("[0-9A-F]{48}", challenge.code)
    assert challenge.code not in repr(challenge)
    assert challenge.etag != uploaded.etag

    proof = ca.issue(challenge.code)
    verified = hub.verify("cert-a", etag=challenge.etag, proof_pem=proof.pem)
    assert verified.verified
    assert hub.get("cert-a") == verified
    assert verified in hub.list()

    hub.delete("cert-a", etag=verified.etag)
    assert hub.get("cert-a") is None
    assert "cert-a" not in {one.name for one in hub.list()}


def test_a_stale_etag_is_refused_and_told(hub: HubCertificates) -> None:
    uploaded = hub.upload("cert-stale", make("CA").pem, etag=None)
    hub.verification_code("cert-stale", etag=uploaded.etag)
    with pytest.raises(HubError, match="verification code of cert-stale failed: somebody changed it") as refused:
        hub.verification_code("cert-stale", etag=uploaded.etag)
    assert refused.value.status == 412
    assert refused.value.code == "412001"
    assert any("run the same command again" in thing for thing in refused.value.things_to_try)


def test_replacing_wants_the_etag_and_undoes_the_verification(hub: HubCertificates) -> None:
    first = hub.upload("cert-replace", make("CA one").pem, etag=None)
    other = make("CA two")
    with pytest.raises(HubError) as refused:
        hub.upload("cert-replace", other.pem, etag=None)
    assert refused.value.status == 412
    replaced = hub.upload("cert-replace", other.pem, etag=first.etag)
    assert replaced.thumbprint == other.thumbprint
    assert not replaced.verified


def test_a_proof_by_another_ca_is_refused(hub: HubCertificates) -> None:
    uploaded = hub.upload("cert-proof", make("CA").pem, etag=None)
    challenge = hub.verification_code("cert-proof", etag=uploaded.etag)
    foreign = make("CA").issue(challenge.code)
    with pytest.raises(HubError, match="proof of possession was not accepted") as refused:
        hub.verify("cert-proof", etag=challenge.etag, proof_pem=foreign.pem)
    assert refused.value.status == 400
    current = hub.get("cert-proof")
    assert current
    assert not current.verified


def test_text_before_the_certificate_does_no_harm(hub: HubCertificates) -> None:
    ca = make("CA with a dump")
    assert hub.upload("cert-dump", b"Certificate:\n    Data:\n" + ca.pem, etag=None).thumbprint == ca.thumbprint


def test_a_deletion_that_was_cut_off_can_be_run_again(hub: HubCertificates) -> None:
    uploaded = hub.upload("cert-gone", make("CA").pem, etag=None)
    hub.delete("cert-gone", etag=uploaded.etag)
    hub.delete("cert-gone", etag=uploaded.etag)


def test_a_missing_certificate_is_named(hub: HubCertificates) -> None:
    with pytest.raises(HubError, match="code of cert-none failed: the hub has no certificate of that name") as refused:
        hub.verification_code("cert-none", etag="AAAA")
    assert refused.value.status == 404


def test_a_missing_hub_is_no_missing_certificate(target: Target) -> None:
    elsewhere = dataclasses.replace(target, hub="iot-hub999-0xacc5-dev")
    certificates = HubCertificates(elsewhere, open_credential(target))
    with pytest.raises(HubError, match=r"there is no hub 'iot-hub999-0xacc5-dev'") as refused:
        certificates.get("cert-a")
    assert refused.value.status == 404
    certificates.close()
