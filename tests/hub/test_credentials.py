"""Signing in: at the lab for real, past any proxy; and what is said where that fails."""

import base64
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.hub.clients import TOKEN, at
from tests.hub.faults import Plan, serving
from tests.paper import SERVER, make
from thingmint.errors import HubError
from thingmint.hub.credentials import MANAGEMENT_SCOPE, open_credential, quiet_sdk_loggers, signed_in_as
from thingmint.target import ServicePrincipal, Target


def test_the_labs_sign_in_goes_past_a_proxy(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:1")
    assert target.login
    assert signed_in_as(open_credential(target), target=target)


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"upn": "a@b.c", "appid": "x"}, "a@b.c"),
        ({"unique_name": "live#a@b.c", "oid": "x"}, "live#a@b.c"),
        ({"appid": "an-app", "oid": "x"}, "an-app"),
        ({}, "somebody unnamed"),
    ],
)
def test_who_is_signed_in(claims: dict[str, str], name: str) -> None:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")

    class Credential:
        def get_token(self, *scopes: str, **_options: Any) -> SimpleNamespace:
            assert scopes == (MANAGEMENT_SCOPE,)
            return SimpleNamespace(token=f"eyJhIjoxfQ.{payload}.x", expires_on=0)

    assert signed_in_as(Credential()) == name  # type: ignore[arg-type]


@pytest.mark.parametrize("token", ["opaque", "a.b.c", "..", "eyJ.W10.x"])
def test_a_token_that_is_no_jwt_names_nobody(token: str) -> None:
    class Credential:
        def get_token(self, *_scopes: str, **_options: Any) -> SimpleNamespace:
            return SimpleNamespace(token=token, expires_on=0)

    assert signed_in_as(Credential()) == "somebody unnamed"  # type: ignore[arg-type]


def test_a_refused_sign_in_at_the_lab(tmp_path: Path) -> None:
    root = make("root")
    ca_file = tmp_path / "root.pem"
    ca_file.write_bytes(root.pem)
    with serving(root.issue("localhost", host="localhost", purpose=SERVER), tmp_path) as server:
        authority = f"https://{server.host}"
        login = ServicePrincipal(authority, "acc50000-1ab0-4000-8000-000000000002", "client-id", "the-labs-secret")
        base = at(server.host, ca_file)
        target = Target(**{**vars(base), "kind": "lab", "login": login})
        issuer = f"{authority}/{login.tenant_id}"
        found = {
            "issuer": f"{issuer}/v2.0",
            "authorization_endpoint": f"{issuer}/oauth2/v2.0/authorize",
            "token_endpoint": f"{issuer}/oauth2/v2.0/token",
        }
        no = {"error": "invalid_client", "error_description": "AADSTS7000215: not the-labs-secret"}
        server.plan = Plan(200, found, times=1, then=Plan(401, no))
        with pytest.raises(HubError, match="the lab did not accept this workspace's sign-in") as refused:
            signed_in_as(open_credential(target), target=target)
        assert "AADSTS7000215" in refused.value.detail
        assert "the-labs-secret" not in refused.value.render()
        assert refused.value.status == 401
        gone = ServicePrincipal("https://localhost:1", login.tenant_id, "client-id", "the-labs-secret")
        nowhere = Target(**{**vars(target), "login": gone})
        with pytest.raises(HubError, match="is not running") as unreachable:
            signed_in_as(open_credential(nowhere), target=nowhere)
        assert unreachable.value.things_to_try == ("start it: invoke lab-up",)


def test_nobody_signed_in_to_azure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DefaultAzureCredential for real, held to one way that fails at once: without az on PATH."""
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "AzureCliCredential")
    monkeypatch.setenv("PATH", str(tmp_path))
    tenant = "01234567-89ab-cdef-0123-456789abcdef"
    target = Target(**{**vars(at("localhost:1", tmp_path)), "ca_file": None, "tenant_id": tenant})
    credential = open_credential(target)
    with pytest.raises(HubError, match="nobody is signed in to Azure here") as refused:
        signed_in_as(credential, target=target)
    assert f"sign in: az login --tenant {tenant}" in refused.value.things_to_try
    assert "Azure CLI" in refused.value.detail


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for az is a shell script")
def test_the_configured_tenant_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    az = tmp_path / "az"
    az.write_text(
        '#!/bin/sh\necho "$*" >> "$0.log"\n'
        f'echo \'{{"accessToken": "{TOKEN}", "expires_on": 4102444800, "expiresOn": "2100-01-01 00:00:00.000000"}}\'\n'
    )
    az.chmod(0o700)
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "AzureCliCredential")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    tenant = "01234567-89ab-cdef-0123-456789abcdef"
    target = Target(**{**vars(at("localhost:1", tmp_path)), "ca_file": None, "tenant_id": tenant})
    assert signed_in_as(open_credential(target), target=target) == "somebody"
    assert f"--tenant {tenant}" in (tmp_path / "az.log").read_text()


def test_sdk_loggers_stay_quiet_under_invoke_d(monkeypatch: pytest.MonkeyPatch) -> None:
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.DEBUG)
    try:
        quiet_sdk_loggers()
        quiet_sdk_loggers()
        for name in ("azure.core.pipeline.policies.http_logging_policy", "msal.application", "urllib3.connectionpool"):
            assert not logging.getLogger(name).isEnabledFor(logging.INFO)
        assert len(logging.getLogger("azure").handlers) == 1
    finally:
        root.setLevel(before)


def test_importing_the_hub_imports_no_azure() -> None:
    code = (
        "import sys, thingmint.device, thingmint.hub.certificates, thingmint.hub.credentials, thingmint.hub.registry\n"
        "import thingmint.hub.registry_rest, thingmint.hub.registry_sdk, thingmint.hub.refusals\n"
        "sys.exit([name for name in sys.modules if name.split('.')[0] in ('azure', 'msal', 'requests', 'uamqp')] or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
