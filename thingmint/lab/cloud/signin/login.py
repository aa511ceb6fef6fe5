"""The sign-in: openid configuration, keys, and the token endpoint for one application, the lab's own."""

import hmac
import uuid
from typing import Any
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.signin.tokens import (
    ARM_AUDIENCES,
    LIFETIME,
    PROVISIONING_AUDIENCES,
    REGISTRY_AUDIENCES,
    Signer,
)
from thingmint.lab.cloud.wire import Refusal, now


def routes(hub: Hub, signer: Signer) -> list[Route]:
    base = f"https://localhost:{hub.https_port}/{hub.role.tenant_id}"

    def require_tenant(request: Request) -> None:
        tenant = request.path_params["tenant"]
        if tenant.casefold() != hub.role.tenant_id.casefold():
            raise _refusal(400, "invalid_tenant", 90002, f"Tenant '{tenant}' not found.")

    async def configuration(request: Request) -> JSONResponse:
        require_tenant(request)
        # https://openid.net/specs/openid-connect-discovery-1_0.html, section 3
        return JSONResponse(
            {
                "issuer": signer.issuer,
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "response_types_supported": ["token"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["ES256"],
                "token_endpoint_auth_methods_supported": ["client_secret_post"],
            }
        )

    async def keys(request: Request) -> JSONResponse:
        require_tenant(request)
        return JSONResponse(signer.jwks())

    async def token(request: Request) -> JSONResponse:
        require_tenant(request)
        text = (await request.body()).decode("utf-8", errors="replace")
        form = {name: values[-1] for name, values in parse_qs(text, keep_blank_values=True).items()}
        grant = form.get("grant_type", "")
        if grant != "client_credentials":
            raise _refusal(400, "unsupported_grant_type", 70003, f"The lab does not do the grant '{grant[:40]}'.")
        client_id = form.get("client_id", "")
        if client_id.casefold() != hub.secrets.client_id:
            raise _refusal(
                400, "unauthorized_client", 700016, f"Application with identifier '{client_id[:64]}' was not found."
            )
        given = form.get("client_secret", "").encode()
        if not hmac.compare_digest(given, hub.secrets.client_secret.encode()):
            raise _refusal(401, "invalid_client", 7000215, "Invalid client secret provided.")
        resource = form.get("scope", "").split(" ")[0].removesuffix("/.default").rstrip("/")
        if resource not in (*ARM_AUDIENCES, *REGISTRY_AUDIENCES, *PROVISIONING_AUDIENCES):
            raise _refusal(
                400, "invalid_resource", 500011, f"The resource principal named {resource[:80]} was not found."
            )
        seconds = int(LIFETIME.total_seconds())
        return JSONResponse(
            {
                "token_type": "Bearer",
                "expires_in": seconds,
                "ext_expires_in": seconds,
                "access_token": signer.token(hub.secrets.client_id, resource),
            },
            headers={"Cache-Control": "no-store", "Pragma": "no-cache"},  # RFC 6749, 5.1
        )

    return [
        Route("/{tenant}/v2.0/.well-known/openid-configuration", configuration),
        Route("/{tenant}/.well-known/openid-configuration", configuration),
        Route("/{tenant}/discovery/v2.0/keys", keys),
        Route("/{tenant}/oauth2/v2.0/token", token, methods=["POST"]),
    ]


def _refusal(status: int, error: str, code: int, message: str) -> Refusal:
    """An error as the sign-in writes it; its texts begin with AADSTS and a number."""
    trace, correlation, moment = uuid.uuid4(), uuid.uuid4(), f"{now():%Y-%m-%d %H:%M:%SZ}"
    body: dict[str, Any] = {
        "error": error,
        "error_description": f"AADSTS{code}: {message} Trace ID: {trace} Correlation ID: {correlation} "
        f"Timestamp: {moment}",
        "error_codes": [code],
        "timestamp": moment,
        "trace_id": str(trace),
        "correlation_id": str(correlation),
    }
    return Refusal(status, body, message)
