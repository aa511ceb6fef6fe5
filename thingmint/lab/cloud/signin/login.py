"""The sign-in: openid configuration, keys and tokens, by two doors.

At localhost, the lab's own application alone gets a token, with its secret: there a wrong secret is refused. At the
service's own name everybody does: programs come with whatever client, secret and tenant they were given. It is a name
in a header, which everybody on this machine can send: the secret keeps nobody out, it rehearses what a wrong one meets.
What clients send is neither kept nor told to the log.
"""

import hmac
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.signin.answers import refusal
from thingmint.lab.cloud.signin.tokens import (
    ARM_AUDIENCES,
    LIFETIME,
    PROVISIONING_AUDIENCES,
    REGISTRY_AUDIENCES,
    Signer,
)
from thingmint.lab.cloud.tls import SIGN_IN
from thingmint.lab.cloud.wire import Refusal

_ANY_TENANT = {"common", "organizations", "consumers"}
_TENANT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
# The names that the sign-in of Azure's public cloud tells its libraries it is known by.
_ALIASES = [SIGN_IN, "login.windows.net", "login.microsoft.com", "sts.windows.net"]


@dataclass(frozen=True)
class _Door:
    """Where a request came in. `tenant` is whom its token is for."""

    base: str
    issuer: str
    tenant: str
    everybody: bool


def routes(hub: Hub, signer: Signer) -> list[Route]:
    def door(request: Request) -> _Door:
        named = str(request.path_params["tenant"])
        if request.headers.get("host", "").partition(":")[0].casefold() == SIGN_IN:
            base = f"https://{SIGN_IN}"
            if named.casefold() in _ANY_TENANT:  # the service's own answer has the braces
                return _Door(f"{base}/{named}", f"{base}/{{tenantid}}/v2.0", hub.role.tenant_id, everybody=True)
            # A tenant may be named by its domain, too.
            tenant = named if _TENANT_ID.fullmatch(named) else hub.role.tenant_id
            return _Door(f"{base}/{tenant}", f"{base}/{tenant}/v2.0", tenant, everybody=True)
        if named.casefold() != hub.role.tenant_id.casefold():
            raise refusal(400, "invalid_tenant", 90002, f"Tenant '{named}' not found.")
        base = f"https://localhost:{hub.https_port}/{hub.role.tenant_id}"
        return _Door(base, signer.issuer, hub.role.tenant_id, everybody=False)

    async def configuration(request: Request) -> JSONResponse:
        entrance = door(request)
        version = "/v2.0" if "/v2.0/" in request.scope["path"] else ""
        # https://openid.net/specs/openid-connect-discovery-1_0.html, section 3
        return JSONResponse(
            {
                "issuer": entrance.issuer,
                "authorization_endpoint": f"{entrance.base}/oauth2{version}/authorize",
                "token_endpoint": f"{entrance.base}/oauth2{version}/token",
                "device_authorization_endpoint": f"{entrance.base}/oauth2/v2.0/devicecode",
                "jwks_uri": f"{entrance.base}/discovery{version}/keys",
                "response_types_supported": ["token"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["ES256"],
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
            }
        )

    async def instance(request: Request) -> JSONResponse:
        """Microsoft's libraries ask it whether an authority is genuine, and by which names it is known."""
        asked = request.query_params.get("authorization_endpoint", "")
        authority = re.fullmatch(rf"https://{re.escape(SIGN_IN)}/([^/]+)/oauth2/.*", asked, re.IGNORECASE)
        if authority is None:
            raise refusal(400, "invalid_instance", 50049, "Unknown or invalid instance.")
        return JSONResponse(
            {
                "tenant_discovery_endpoint": f"https://{SIGN_IN}/{authority[1]}/v2.0/.well-known/openid-configuration",
                "api-version": "1.1",
                "metadata": [{"preferred_network": SIGN_IN, "preferred_cache": _ALIASES[1], "aliases": _ALIASES}],
            }
        )

    async def keys(request: Request) -> JSONResponse:
        door(request)
        return JSONResponse(signer.jwks())

    async def token(request: Request) -> JSONResponse:
        entrance = door(request)
        text = (await request.body()).decode("utf-8", errors="replace")
        form = {name: values[-1] for name, values in parse_qs(text, keep_blank_values=True).items()}
        if form.get("grant_type") != "client_credentials":
            raise _applications_alone()
        client = form.get("client_id", "")
        (_require_somebody if entrance.everybody else _require_the_labs_own)(hub, form)
        resource = (form.get("resource") or form.get("scope", "").split(" ")[0].removesuffix("/.default")).rstrip("/")
        if resource not in (*ARM_AUDIENCES, *REGISTRY_AUDIENCES, *PROVISIONING_AUDIENCES):
            raise refusal(
                400,
                "invalid_resource",
                500011,
                f"The resource principal named {resource[:80]} was not found.",
                told="a token was asked for what is no service of the lab's",
            )
        issued = signer.token(client[:64], resource, tenant_id=entrance.tenant)
        seconds = int(LIFETIME.total_seconds())
        answer: dict[str, Any] = {
            "token_type": "Bearer",
            "expires_in": seconds,
            "ext_expires_in": seconds,
            "access_token": issued,
        }
        if "/v2.0/" not in request.scope["path"]:
            # https://learn.microsoft.com/previous-versions/azure/active-directory/azuread-dev/v1-oauth2-client-creds-grant-flow
            times = {"expires_in": str(seconds), "ext_expires_in": str(seconds), "expires_on": str(_in(seconds))}
            answer |= times | {"not_before": str(_in(0)), "resource": form.get("resource", resource)}
        return JSONResponse(answer, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})  # RFC 6749, 5.1

    async def device_code(_request: Request) -> JSONResponse:
        """Where `az login` without a browser begins: asked for here, so that it is told and not left to guess."""
        raise _applications_alone()

    return [
        Route("/common/discovery/instance", instance),
        Route("/{tenant}/v2.0/.well-known/openid-configuration", configuration),
        Route("/{tenant}/.well-known/openid-configuration", configuration),
        Route("/{tenant}/discovery/v2.0/keys", keys),
        Route("/{tenant}/discovery/keys", keys),
        Route("/{tenant}/oauth2/v2.0/token", token, methods=["POST"]),
        Route("/{tenant}/oauth2/token", token, methods=["POST"]),
        Route("/{tenant}/oauth2/v2.0/devicecode", device_code, methods=["POST"]),
    ]


def _applications_alone() -> Refusal:
    told = "The lab signs in applications alone (grant client_credentials): az login --service-principal."
    return refusal(400, "unsupported_grant_type", 70003, told)


def _in(seconds: int) -> int:
    return int(time.time()) + seconds


def _require_somebody(_hub: Hub, form: Mapping[str, str]) -> None:
    if not form.get("client_id"):
        raise refusal(400, "invalid_request", 900144, "The request body must contain the parameter: 'client_id'.")
    if not (form.get("client_secret") or form.get("client_assertion")):
        raise refusal(
            401,
            "invalid_client",
            7000216,
            "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.",
        )


def _require_the_labs_own(hub: Hub, form: Mapping[str, str]) -> None:
    client = form.get("client_id", "")
    if client.casefold() != hub.secrets.client_id:
        raise refusal(
            400,
            "unauthorized_client",
            700016,
            f"Application with identifier '{client[:64]}' was not found.",
            told="the sign-in at localhost is for the lab's own application, and this is another",
        )
    if not hmac.compare_digest(form.get("client_secret", "").encode(), hub.secrets.client_secret.encode()):
        raise refusal(401, "invalid_client", 7000215, "Invalid client secret provided.")
