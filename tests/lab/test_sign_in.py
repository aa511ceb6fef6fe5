"""The sign-in at the service's own name: everybody gets a token, whose issuer and metadata satisfy Microsoft's libraries."""

import base64
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.lab.clients import Lab
from thingmint.lab.cloud.tls import MANAGEMENT, SIGN_IN

TENANT = "11111111-2222-3333-4444-555555555555"
ARM, REGISTRY = "https://management.azure.com", "https://iothubs.azure.net"


def form(**changes: str) -> dict[str, str]:
    values = {
        "grant_type": "client_credentials",
        "client_id": "some-client",
        "client_secret": "some-secret",
        "scope": f"{ARM}/.default",
    }
    return {name: text for name, text in {**values, **changes}.items() if text}


def sign_in(lab: Lab, tenant: str = TENANT, *, path: str = "oauth2/v2.0/token", **changes: str) -> tuple[int, Any]:
    return lab.ask("POST", f"https://{SIGN_IN}/{tenant}/{path}", form=form(**changes))


def subscriptions(lab: Lab, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return lab.ask("GET", f"https://{MANAGEMENT}/subscriptions?api-version=2022-12-01", headers=headers)[0]


@pytest.mark.parametrize(
    ("tenant", "changes"),
    [
        (TENANT, {}),
        ("contoso.onmicrosoft.com", {}),
        ("organizations", {"scope": "https://management.core.windows.net//.default"}),  # as az writes it
        (TENANT, {"client_secret": "", "client_assertion": "a signed assertion"}),
        (TENANT, {"path": "oauth2/token", "scope": "", "resource": "https://management.core.windows.net/"}),
    ],
)
def test_any_client_secret_and_tenant_gets_a_token_that_is_good_for_the_lab(
    lab: Lab, tenant: str, changes: dict[str, str]
) -> None:
    status, answer = sign_in(lab, tenant, **changes)
    assert status == 200, answer
    assert subscriptions(lab, answer["access_token"]) == 200


def test_the_older_endpoint_answers_in_its_own_form(lab: Lab) -> None:
    resource = "https://management.core.windows.net/"
    _, answer = sign_in(lab, path="oauth2/token", scope="", resource=resource)
    assert answer["resource"] == resource
    assert int(answer["expires_on"]) - int(answer["not_before"]) == int(answer["expires_in"])


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"client_secret": ""}, 401, 7000216),
        ({"client_id": ""}, 400, 900144),
        ({"grant_type": "password"}, 400, 70003),
        ({"path": "oauth2/v2.0/devicecode"}, 400, 70003),  # az login, where there is no browser
        ({"scope": "https://graph.microsoft.com/.default"}, 400, 500011),
    ],
)
def test_what_is_no_sign_in_of_an_application_is_refused(
    lab: Lab, changes: dict[str, str], status: int, code: int
) -> None:
    got, answer = sign_in(lab, **changes)
    assert (got, answer["error_codes"]) == (status, [code])


@pytest.mark.parametrize("version", ["/v2.0", ""])
def test_metadata_name_the_real_host_and_its_keys_check_the_token(lab: Lab, version: str) -> None:
    base = f"https://{SIGN_IN}/{TENANT}"
    _, known = lab.ask("GET", f"{base}{version}/.well-known/openid-configuration")
    assert known["issuer"] == f"{base}/v2.0"
    assert known["token_endpoint"] == f"{base}/oauth2{version}/token"
    _, keys = lab.ask("GET", known["jwks_uri"])
    token = sign_in(lab)[1]["access_token"]
    claims = jwt.decode(token, jwt.PyJWK(keys["keys"][0]).key, algorithms=["ES256"], audience=ARM)
    assert (claims["appid"], claims["tid"]) == ("some-client", TENANT)


def test_a_tenant_that_is_not_named_stays_a_placeholder(lab: Lab) -> None:
    _, known = lab.ask("GET", f"https://{SIGN_IN}/common/v2.0/.well-known/openid-configuration")
    assert known["issuer"] == f"https://{SIGN_IN}/{{tenantid}}/v2.0"


def test_the_authority_is_vouched_for_and_no_other_is(lab: Lab) -> None:
    ask = f"https://{SIGN_IN}/common/discovery/instance?api-version=1.1&authorization_endpoint=https://"
    _, answer = lab.ask("GET", f"{ask}{SIGN_IN}/{TENANT}/oauth2/v2.0/authorize")
    assert answer["tenant_discovery_endpoint"] == f"https://{SIGN_IN}/{TENANT}/v2.0/.well-known/openid-configuration"
    assert SIGN_IN in answer["metadata"][0]["aliases"]
    status, answer = lab.ask("GET", f"{ask}evil.example/{TENANT}/oauth2/v2.0/authorize")
    assert (status, answer["error"]) == (400, "invalid_instance")


def test_a_token_of_another_issuer_gets_nothing(lab: Lab) -> None:
    claims = jwt.decode(sign_in(lab)[1]["access_token"], options={"verify_signature": False})
    foreign = jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), algorithm="ES256")
    assert subscriptions(lab, foreign) == 401
    unsigned = ".".join(
        base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (b'{"alg":"none"}', b"{}", b"")
    )
    assert subscriptions(lab, unsigned) == 401


def test_the_lab_neither_logs_nor_keeps_what_a_sign_in_sends(lab: Lab) -> None:
    heard = lab.mark()
    token = sign_in(lab, client_secret="hush-secret", client_id="hush-client")[1]["access_token"]
    assert subscriptions(lab, token) == 200
    assert subscriptions(lab, "hush-bearer") == 401
    sign_in(lab, client_id="hush-client", client_secret="", scope="hush-scope")
    sign_in(lab, grant_type="hush-grant", password="hush-password")
    lab.ask("GET", f"https://{MANAGEMENT}/subscriptions?hush-query=1", headers={"Authorization": "hush-header"})
    assert "no valid JWT" in heard()
    kept = b"".join(path.read_bytes() for path in lab.running.folder.rglob("*") if path.is_file())
    assert b"ready: process" in kept  # the log was among them
    for secret in (b"hush", token.encode(), token.rpartition(".")[2].encode()):
        assert secret not in kept
