"""Signing in: tokens of the lab's own sign-in, and shared access policies."""

from urllib.parse import urlencode

import jwt
from azure.iot.hub.sastoken import SasToken

from tests.lab.clients import Lab
from tests.lab.conformance.registry import ask
from tests.lab.conformance.rows import done, left_out
from tests.lab.provisioning import AUDIENCE
from tests.lab.test_sign_in import TENANT, form, sign_in, subscriptions
from thingmint.lab.cloud.tls import SIGN_IN


def by_policy(
    lab: Lab, policy: str, *, key: str | None = None, host: str | None = None, place: str = ""
) -> dict[str, str]:
    """The header of a client that has this policy's key."""
    names = lab.target.resource_group, lab.target.hub
    real = lab.arm.iot_hub_resource.get_keys_for_key_name(*names, policy).primary_key
    return {"Authorization": str(SasToken((host or lab.target.registry_host) + place, key or real, policy, ttl=60))}


@done("sas-of-policies")
def policies(lab: Lab) -> None:
    lab.register("conf-policies")
    for policy, reads, writes in (
        ("iothubowner", 200, 204),
        ("registryReadWrite", 200, 204),
        ("registryRead", 200, 401),
        ("service", 401, 401),
        ("device", 401, 401),
    ):
        headers = by_policy(lab, policy)
        assert ask(lab, "GET", "/devices/conf-policies", **headers)[0] == reads, policy
        assert ask(lab, "DELETE", "/devices/conf-policies", **headers, **{"If-Match": "*"})[0] == writes, policy
        if writes == 204:
            lab.register("conf-policies")


@done("missing-policy")
def missing_policy(lab: Lab) -> None:
    status, headers, body = ask(lab, "DELETE", "/devices/x", **by_policy(lab, "registryRead"), **{"If-Match": "*"})
    assert (status, headers["iothub-errorcode"]) == (401, "IotHubUnauthorizedAccess")
    assert body["Message"] == "ErrorCode:IotHubUnauthorizedAccess;Unauthorized"


@done("sas-checks")
def signatures(lab: Lab) -> None:
    for wrong in (by_policy(lab, "iothubowner", key="AAAA"), by_policy(lab, "iothubowner", host="other.example")):
        status, headers, _ = ask(lab, "GET", "/devices/x", **wrong)
        assert (status, headers["iothub-errorcode"]) == (401, "IotHubUnauthorizedAccess")


@done("sas-resource")
def resources(lab: Lab) -> None:
    lab.register("conf-place")
    for place, one, many in (
        ("/devices", 200, 200),
        ("/devices/CONF-PLACE", 200, 401),
        ("/devices/conf-plac", 401, 401),
    ):
        headers = by_policy(lab, "iothubowner", place=place)
        assert ask(lab, "GET", "/devices/conf-place", **headers)[0] == one, place
        assert ask(lab, "GET", "/devices", **headers)[0] == many, place


@done("token-checks")
def tokens(lab: Lab) -> None:
    path = f"{lab.arm_path}?api-version=2023-06-30"
    status, headers, body = lab.request("GET", path)
    assert (status, body["error"]["code"]) == (401, "AuthenticationFailed")
    assert "www-authenticate" in {name.lower() for name in headers}
    status, _, body = lab.request("GET", path, headers=lab.bearer("https://iothubs.azure.net"))
    assert (status, body["error"]["code"]) == (401, "InvalidAuthenticationTokenAudience")
    asked = {
        "https://management.azure.com": path,
        "https://iothubs.azure.net": "/devices?api-version=2021-04-12",
        AUDIENCE: "/enrollmentGroups/conf-none?api-version=2021-10-01",
    }
    for audience in asked:
        headers = lab.bearer(audience)
        for own, place in asked.items():
            refused = lab.request("GET", place, headers=headers)[0] == 401
            assert refused is (audience != own), (audience, own)


@done("api-version")
def api_version(lab: Lab) -> None:
    status, _, body = lab.request("GET", lab.arm_path, headers=lab.bearer("https://management.azure.com"))
    assert (status, body["error"]["code"]) == (400, "MissingApiVersionParameter")


@done("sas-of-devices")
def devices(lab: Lab) -> None:
    """A device's own key is no key of a policy."""
    made = lab.registry.create_device_with_sas("conf-own-key", "", "", "enabled")
    token = SasToken(f"{lab.target.registry_host}/devices/conf-own-key", made.authentication.symmetric_key.primary_key)
    status, _, _ = ask(lab, "GET", "/devices/conf-own-key", Authorization=str(token))
    assert status == 401


@done("sign-in")
def any_application(lab: Lab) -> None:
    status, answer = sign_in(lab)
    assert (status, answer["token_type"]) == (200, "Bearer")
    assert subscriptions(lab, answer["access_token"]) == 200
    status, answer = sign_in(lab, path="oauth2/token", scope="", resource="https://management.core.windows.net/")
    assert (status, answer["resource"]) == (200, "https://management.core.windows.net/")
    login = lab.target.login
    assert login
    for client, secret, expected in (
        (login.client_id, login.secret, 200),
        (login.client_id, "another", 401),
        ("another", login.secret, 400),
    ):
        text = urlencode(form(client_id=client, client_secret=secret))
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        path = f"/{login.tenant_id}/oauth2/v2.0/token"
        assert lab.request("POST", path, text=text, headers=kind)[0] == expected


@done("sign-in-without-secret")
def without_secret(lab: Lab) -> None:
    status, answer = sign_in(lab, client_secret="")
    assert (status, answer["error_codes"]) == (401, [7000216])


@left_out("sign-in-by-people")
def interactive(lab: Lab) -> None:
    for grant in ("urn:ietf:params:oauth:grant-type:device_code", "password", "refresh_token", "authorization_code"):
        status, answer = sign_in(lab, grant_type=grant)
        assert (status, answer["error_codes"]) == (400, [70003]), grant


@done("sign-in-metadata")
def metadata(lab: Lab) -> None:
    status, answer = lab.ask("GET", f"https://{SIGN_IN}/{TENANT}/v2.0/.well-known/openid-configuration")
    assert status == 200
    assert answer["issuer"] == f"https://{SIGN_IN}/{TENANT}/v2.0"
    assert answer["token_endpoint"].startswith(f"https://{SIGN_IN}/{TENANT}/")
    status, keys = lab.ask("GET", answer["jwks_uri"])
    assert status == 200
    token = sign_in(lab)[1]["access_token"]
    (key,) = [one for one in keys["keys"] if one["kid"] == jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, jwt.PyJWK(key), algorithms=["ES256"], options={"verify_aud": False})
    assert claims["appid"] == "some-client"
