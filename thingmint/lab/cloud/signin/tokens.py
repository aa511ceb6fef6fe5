"""Signed tokens: the lab's sign-in issues them, ARM and the registry check them. Shared access signatures too."""

import base64
import binascii
import datetime as dt
import hashlib
import hmac
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from thingmint.lab.state import Role

ARM_AUDIENCES = ("https://management.azure.com", "https://management.core.windows.net")
REGISTRY_AUDIENCES = ("https://iothubs.azure.net",)
PROVISIONING_AUDIENCES = ("https://azure-devices-provisioning.net",)
LIFETIME = dt.timedelta(hours=1)
_ALGORITHM = "ES256"


class TokenProblem(Exception):  # noqa: N818
    """Why a token or signature is not accepted. `code` is what ARM calls it."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True)
class Signer:
    """The key of this lab's sign-in. In memory only: a token does not outlive the lab that issued it."""

    issuer: str
    tenant_id: str
    key: ec.EllipticCurvePrivateKey
    key_id: str

    @classmethod
    def fresh(cls, role: Role, port: int) -> "Signer":
        issuer = f"https://localhost:{port}/{role.tenant_id}/v2.0"
        return cls(issuer, role.tenant_id, ec.generate_private_key(ec.SECP256R1()), uuid.uuid4().hex)

    def token(
        self, client_id: str, audience: str, *, tenant_id: str | None = None, lifetime: dt.timedelta = LIFETIME
    ) -> str:
        issued = int(time.time())
        # The claims of an application's token: https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
        claims = {
            "iss": self.issuer,
            "aud": audience,
            "iat": issued,
            "nbf": issued,
            "exp": issued + int(lifetime.total_seconds()),
            "tid": tenant_id or self.tenant_id,
            "appid": client_id,
            "oid": client_id,
            "sub": client_id,
            "idtyp": "app",
            "ver": "2.0",
            "uti": uuid.uuid4().hex,
        }
        return jwt.encode(claims, self.key, algorithm=_ALGORITHM, headers={"kid": self.key_id})

    def check(self, token: str, audiences: tuple[str, ...]) -> str:
        """The client id it was issued to. Raises TokenProblem."""
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self.key.public_key(),
                algorithms=[_ALGORITHM],
                issuer=self.issuer,
                audience=audiences,
                options={"require": ["exp", "iss", "aud", "appid"]},
            )
        except jwt.ExpiredSignatureError:
            raise TokenProblem("ExpiredAuthenticationToken", "the access token has expired") from None
        except jwt.InvalidAudienceError:
            raise TokenProblem(
                "InvalidAuthenticationTokenAudience",
                f"the access token was issued for another audience than {audiences[0]}",
            ) from None
        except jwt.InvalidIssuerError:
            raise TokenProblem(
                "InvalidAuthenticationTokenTenant", f"the access token was not issued by {self.issuer}"
            ) from None
        except jwt.InvalidSignatureError:
            raise TokenProblem(
                "InvalidAuthenticationToken", "the access token's signature is not by this lab's key"
            ) from None
        except jwt.PyJWTError:
            raise TokenProblem("InvalidAuthenticationToken", "the access token is no valid JWT of this lab") from None
        return str(claims["appid"])

    def jwks(self) -> dict[str, Any]:
        key = jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {"keys": [{**key, "use": "sig", "kid": self.key_id, "alg": _ALGORITHM}]}


def check_sas(text: str, policies: Mapping[str, tuple[str, str]], hosts: frozenset[str], path: str = "/") -> str:
    """The policy of `policies`, by either of its keys, whose signature for `path` at one of `hosts` it is.

    Raises TokenProblem. https://learn.microsoft.com/azure/iot-hub/iot-hub-dev-guide-sas: the signature is HMAC-SHA256
    over the URL-encoded resource, a newline and the expiry. The resource is a prefix by segments, and in lower case.
    """
    fields = {name: values[0] for name, values in parse_qs(text, keep_blank_values=True).items()}
    raw = dict(part.partition("=")[::2] for part in text.split("&"))
    try:
        resource, signature, expiry, policy = raw["sr"], fields["sig"], raw["se"], fields["skn"]
        expires = int(expiry)
    except (KeyError, ValueError):
        raise TokenProblem("", "the shared access signature lacks sr, sig, se or skn") from None
    keys = policies.get(policy)
    if keys is None:
        raise TokenProblem("", f"there is no shared access policy {policy!r}")
    expected = {
        base64.b64encode(hmac.digest(base64.b64decode(key), f"{resource}\n{expiry}".encode(), hashlib.sha256))
        for key in keys
    }
    try:
        given = base64.b64encode(base64.b64decode(signature.replace(" ", "+"), validate=True))
    except (binascii.Error, ValueError):
        given = b""
    if not any([hmac.compare_digest(given, one) for one in expected]):  # noqa: C419 - all compared: constant time
        raise TokenProblem("", f"the shared access signature is not by a key of the policy {policy!r}")
    if expires <= time.time():
        raise TokenProblem("", f"the shared access signature of {policy!r} has expired")
    host, _, place = unquote(resource).lower().partition("/")
    if host not in hosts:
        raise TokenProblem("", "the shared access signature is for another host")
    if not f"{path.lower()}/".startswith(f"/{place.rstrip('/')}/" if place.rstrip("/") else "/"):
        raise TokenProblem("", f"the shared access signature is for another resource of {host}")
    return policy
