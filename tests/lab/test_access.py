"""Who may ask at all: tokens, the Host and Origin headers, the lab's own endpoints; and what the log tells of it."""

import datetime as dt
import http.client
import json
import ssl
import statistics
import time
from typing import Any

import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential
from cryptography.hazmat.primitives.asymmetric import ec

from tests.lab.clients import Lab
from thingmint.lab.cloud.signin.tokens import ARM_AUDIENCES, Signer, TokenProblem, check_sas
from thingmint.lab.state import LabSecrets, Role

ARM, REGISTRY = "https://management.azure.com", "https://iothubs.azure.net"
ROLE = Role("acc5", "tenant", "rg", "hub", "provs", 60.0)


def claims(lab: Lab, **changes: Any) -> dict[str, Any]:
    token = lab.bearer(ARM)["Authorization"].removeprefix("Bearer ")
    return {**jwt.decode(token, options={"verify_signature": False}), **changes}


def arm_status(lab: Lab, token: str | None) -> tuple[int, str]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    status, answer, body = lab.request("GET", f"{lab.arm_path}?api-version=2023-06-30", headers=headers)
    if status == 401:
        assert "www-authenticate" in {name.lower() for name in answer}
    return status, body["error"]["code"] if status != 200 else ""


def test_tokens_are_checked(lab: Lab) -> None:
    good = lab.bearer(ARM)["Authorization"].removeprefix("Bearer ")
    assert arm_status(lab, good) == (200, "")
    assert arm_status(lab, None) == (401, "AuthenticationFailed")
    foreign = jwt.encode(claims(lab), ec.generate_private_key(ec.SECP256R1()), algorithm="ES256")
    assert arm_status(lab, foreign) == (401, "InvalidAuthenticationToken")
    assert arm_status(lab, jwt.encode(claims(lab), "", algorithm="none")) == (401, "InvalidAuthenticationToken")
    elsewhere = lab.bearer(REGISTRY)["Authorization"].removeprefix("Bearer ")
    assert arm_status(lab, elsewhere) == (401, "InvalidAuthenticationTokenAudience")
    status, headers, _ = lab.request("GET", "/devices?api-version=2021-04-12", headers=lab.bearer(ARM))
    assert (status, headers["iothub-errorcode"]) == (401, "IotHubUnauthorizedAccess")


def test_an_expired_or_foreign_token() -> None:
    signer = Signer.fresh(ROLE, 8443)
    assert signer.check(signer.token("app", ARM), ARM_AUDIENCES) == "app"
    with pytest.raises(TokenProblem) as problem:
        signer.check(signer.token("app", ARM, lifetime=dt.timedelta(seconds=-1)), ARM_AUDIENCES)
    assert problem.value.code == "ExpiredAuthenticationToken"
    with pytest.raises(TokenProblem, match="not by this lab's key"):
        signer.check(Signer.fresh(ROLE, 8443).token("app", ARM), ARM_AUDIENCES)


def test_an_expired_signature_or_one_for_another_hub() -> None:
    from azure.iot.hub.sastoken import SasToken

    policies = LabSecrets.random().policy_keys
    key = policies["iothubowner"][1]  # the secondary key is as good
    hosts = frozenset({"localhost:8443"})

    def signature(host: str, seconds: int) -> str:
        return str(SasToken(host, key, "iothubowner", ttl=seconds)).removeprefix("SharedAccessSignature ")

    assert check_sas(signature("localhost:8443", 60), policies, hosts) == "iothubowner"
    with pytest.raises(TokenProblem, match="expired"):
        check_sas(signature("localhost:8443", -60), policies, hosts)
    with pytest.raises(TokenProblem, match="another host"):
        check_sas(signature("localhost:9000", 60), policies, hosts)
    for place, path, good in (
        ("/", "/devices/a", True),
        ("/devices", "/devices", True),
        ("/Devices/", "/devices/a", True),
        ("/devices/a", "/devices/A", True),
        ("/devices/a", "/devices/ab", False),
        ("/devices/a", "/devices", False),
        ("/devices/other", "/devices", False),
        ("/devices/other", "/twins/other", False),
    ):
        given = signature(f"localhost:8443{place}", 60)
        if good:
            assert check_sas(given, policies, hosts, path) == "iothubowner", (place, path)
        else:
            with pytest.raises(TokenProblem, match="another resource"):
                check_sas(given, policies, hosts, path)
    later = signature("localhost:8443", 60).replace("se=", "se=9")
    with pytest.raises(TokenProblem, match="not by a key"):
        check_sas(later, policies, hosts)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"client_secret": "wrong"}, "AADSTS7000215"),
        ({"client_id": "00000000-0000-0000-0000-000000000000"}, "AADSTS700016"),
    ],
)
def test_the_sign_in_refuses(lab: Lab, change: dict[str, str], code: str) -> None:
    login = lab.target.login
    assert login
    values = {"client_id": login.client_id, "client_secret": login.secret, **change}
    credential = ClientSecretCredential(
        login.tenant_id,
        **values,
        authority=login.authority,
        disable_instance_discovery=True,
        connection_verify=str(lab.target.ca_file),
    )
    with pytest.raises(ClientAuthenticationError, match=code):
        credential.get_token(f"{ARM}/.default")


def test_hosts_and_origins(lab: Lab) -> None:
    port = lab.running.https_port
    control = {"Authorization": f"Bearer {secrets_of(lab)['control_token']}"}
    for host in (f"localhost:{port}", f"127.0.0.1:{port}", lab.target.hub_host, "management.azure.com"):
        assert lab.request("GET", "/lab/health", headers={**control, "Host": host})[0] == 200
    heard = lab.mark()
    for host in ("evil.example", f"evil.example:{port}", "localhost:1", ""):
        assert lab.request("GET", "/lab/health", headers={**control, "Host": host})[0] == 421
    assert "names no host of the lab" in heard()
    for origin, status in (("https://evil.example", 403), ("null", 403), (f"https://localhost:{port}", 200)):
        assert lab.request("GET", "/lab/health", headers={**control, "Origin": origin})[0] == status
    assert "comes from a web page of 'https://evil.example'" in heard()


def test_the_labs_own_endpoints_want_its_token(lab: Lab) -> None:
    for method, path in (
        ("GET", "/lab/health"),
        ("POST", "/lab/stop"),
        ("GET", "/lab/telemetry?device=x"),
        ("POST", "/lab/advise"),
        ("GET", "/lab/trial"),
    ):
        assert lab.request(method, path)[0] == 401
        assert lab.request(method, path, headers={"Authorization": "Bearer wrong"})[0] == 401


def test_a_body_too_large_and_one_that_is_no_json(lab: Lab) -> None:
    headers = lab.bearer(REGISTRY)
    assert lab.request("PUT", "/devices/x?api-version=2021-04-12", body="x" * 1_100_000, headers=headers)[0] == 413
    bodies: list[object] = ["text", [], None]
    for body in bodies:
        assert lab.request("PUT", "/devices/x?api-version=2021-04-12", body=body, headers=headers)[0] == 400


def test_the_log_tells_reasons_and_no_secrets(lab: Lab) -> None:
    heard = lab.mark()
    token = lab.bearer(ARM)["Authorization"]
    lab.request("GET", "/devices/a%0Aforged%20line?api-version=2021-04-12&sig=hush", headers={"Authorization": token})
    lab.request("GET", "/lab/health", headers={"Authorization": "Bearer guessed-token"})
    text = heard()
    assert "GET /devices/a\\nforged line → 401: the access token was issued for another audience" in text
    assert "the lab's control token is missing or wrong" in text
    secrets = secrets_of(lab)
    keys = [key for kind in ("policy_keys", "provisioning_keys") for pair in secrets[kind].values() for key in pair]
    for secret in (
        secrets["client_secret"],
        secrets["control_token"],
        *keys,
        token,
        "hush",
        "guessed-token",
        "PRIVATE KEY",
    ):
        assert secret not in lab.log


def secrets_of(lab: Lab) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((lab.running.folder / "secrets.json").read_bytes())
    return values


def test_an_answer_does_not_wait_for_the_clients_acknowledgement(lab: Lab) -> None:
    host, _, port = lab.target.registry_host.partition(":")
    connection = http.client.HTTPSConnection(
        host, int(port), context=ssl.create_default_context(cafile=lab.target.ca_file), timeout=10
    )
    times: list[float] = []
    for _ in range(31):
        started = time.monotonic()
        connection.request("GET", "/devices")
        connection.getresponse().read()
        times.append(time.monotonic() - started)
    connection.close()
    # A few milliseconds; with the delay, no less than 40 for all but the first.
    assert statistics.median(times) < 0.03
