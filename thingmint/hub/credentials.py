"""Who signs in: DefaultAzureCredential for Azure, the lab's own service principal for the lab. Tokens are never shown."""

import base64
import json
import logging
from typing import TYPE_CHECKING, Any

from thingmint.hub.refusals import refusals
from thingmint.hub.transport import client_options
from thingmint.target import Target

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, AccessTokenInfo, TokenCredential, TokenRequestOptions

    Credential = TokenCredential  # for those who hand it on and must not know the SDK

MANAGEMENT_SCOPE = "https://management.azure.com/.default"
REGISTRY_SCOPE = "https://iothubs.azure.net/.default"
PROVISIONING_SCOPE = "https://azure-devices-provisioning.net/.default"
"""The audiences of Azure Resource Manager, of every hub's device registry and of every provisioning service."""

# msal keeps an answer of 429 or 5xx for a minute, and gives it to whoever asks again: below it, asking again helps.
_SIGN_IN_RETRIES = {"retry_total": 3, "retry_connect": 0, "retry_backoff_factor": 0.2}
_SDK_LOGGERS = ("azure", "msal", "msrest", "urllib3", "requests", "requests_oauthlib", "oauthlib", "uamqp", "paho")
# What a token calls its owner, the most telling first: a person, then an application.
_NAME_CLAIMS = ("upn", "unique_name", "preferred_username", "app_displayname", "appid", "azp", "oid")


def quiet_sdk_loggers() -> None:
    """Hold the SDKs at WARNING: `invoke -d` sets the root logger to DEBUG, where they print requests and tokens.

    And let Python's handler of last resort not print their warnings: what they warn of is raised anyway.
    """
    for name in _SDK_LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())


def open_credential(target: Target) -> "TokenCredential":
    """A credential for this target. Asks nothing yet: the first token is requested by the first call.

    Raises HubError if the environment's own sign-in settings (AZURE_…) contradict each other.
    """
    quiet_sdk_loggers()
    with refusals(target, "preparing the sign-in"):
        if target.login is not None:
            from azure.identity import ClientSecretCredential

            return ClientSecretCredential(
                target.login.tenant_id,
                target.login.client_id,
                target.login.secret,
                authority=target.login.authority,
                # There is no other authority to ask whether this one is genuine: the lab's CA file vouches for it.
                disable_instance_discovery=True,
                **client_options(target) | _SIGN_IN_RETRIES,
            )
        from azure.identity import DefaultAzureCredential

        if target.tenant_id is None:
            return DefaultAzureCredential()
        return _InTenant(DefaultAzureCredential(additionally_allowed_tenants=[target.tenant_id]), target.tenant_id)


def signed_in_as(credential: "TokenCredential", scope: str = MANAGEMENT_SCOPE, *, target: Target | None = None) -> str:
    """The display name of who is signed in: asks for a token and reads its claims, without checking its signature.

    For people to read, never to decide by. Raises HubError if nobody is signed in.
    """
    with refusals(target, "signing in"):
        token = credential.get_token(scope).token
    claims = _claims(token)
    return next((str(claims[name]) for name in _NAME_CLAIMS if claims.get(name)), "somebody unnamed")


def _claims(token: str) -> dict[str, Any]:
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError):  # no JWT: Azure says that clients must not rely on the format
        return {}
    return claims if isinstance(claims, dict) else {}


class _InTenant:
    """DefaultAzureCredential asked for tokens of one tenant, which it takes by the call and not at construction."""

    def __init__(self, credential: Any, tenant_id: str) -> None:
        self._credential = credential
        self._tenant_id = tenant_id

    def get_token(self, *scopes: str, **options: Any) -> "AccessToken":
        options.setdefault("tenant_id", self._tenant_id)
        token: AccessToken = self._credential.get_token(*scopes, **options)
        return token

    def get_token_info(self, *scopes: str, options: "TokenRequestOptions | None" = None) -> "AccessTokenInfo":
        wanted: TokenRequestOptions = {**(options or {})}
        wanted.setdefault("tenant_id", self._tenant_id)
        token: AccessTokenInfo = self._credential.get_token_info(*scopes, options=wanted)
        return token

    def close(self) -> None:
        self._credential.close()
