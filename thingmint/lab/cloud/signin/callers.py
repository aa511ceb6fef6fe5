"""What each service's REST asks of a request before anything else: who sends it, and for which version."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request

from thingmint.lab.cloud.signin.tokens import Signer, TokenProblem, check_sas

_API_VERSION = re.compile(r"\d{4}-\d\d-\d\d(-preview)?", re.ASCII)


def authorization(request: Request) -> tuple[str, str]:
    """The scheme of the header, and the credential behind it."""
    scheme, _, credential = request.headers.get("authorization", "").partition(" ")
    return scheme, credential.strip()


def has_api_version(request: Request) -> bool:
    return _API_VERSION.fullmatch(request.query_params.get("api-version", "")) is not None


@dataclass(frozen=True)
class Callers:
    """Whom a service takes: by a token for one of its audiences, or by a key of one of its policies."""

    signer: Signer
    audiences: tuple[str, ...]
    policies: Mapping[str, tuple[str, str]]
    hosts: frozenset[str]

    def check(self, request: Request) -> str | None:
        """The policy whose key signed; None by a token, which has every right. Raises TokenProblem."""
        scheme, credential = authorization(request)
        if scheme == "SharedAccessSignature":
            return check_sas(credential, self.policies, self.hosts, str(request.scope["path"]))
        if scheme.lower() != "bearer":
            raise TokenProblem("", "there is no Authorization header with a token or shared access signature")
        self.signer.check(credential, self.audiences)
        return None
