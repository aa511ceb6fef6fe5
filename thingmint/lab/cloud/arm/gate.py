"""The way into Azure Resource Manager: a token, an API version, a subscription, and then the operation that is meant."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.signin.callers import authorization, has_api_version
from thingmint.lab.cloud.signin.tokens import ARM_AUDIENCES, Signer, TokenProblem
from thingmint.lab.cloud.wire import arm_error, not_done

Names = Mapping[str, str]
"""What stands in the path at each place in braces."""

_ROOTS = ("/subscriptions", "/subscriptions/{rest:path}", "/tenants")

Do = Callable[[Request, Names], Awaitable[Response]]


@dataclass(frozen=True)
class Operation:
    """One operation as Azure's reference writes it: its path begins at the root, with names in braces."""

    method: str
    path: str
    do: Do

    def match(self, path: str) -> Names | None:
        """None if it is another operation's path. ARM's paths ignore case."""
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(self.path))
        found = re.fullmatch(pattern, path, re.IGNORECASE | re.ASCII)
        return found.groupdict() if found else None


def routes(hub: Hub, signer: Signer, operations: Iterable[Operation]) -> list[Route]:
    table = tuple(operations)

    async def endpoint(request: Request) -> Response:
        _require_token(request, signer)
        if not has_api_version(request):
            raise arm_error(
                400,
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.",
            )
        # As ARM does, a doubled slash is taken for one: `az resource show` sends it.
        path = re.sub("/+", "/", str(request.scope["path"])).rstrip("/")
        for operation in table:
            if operation.method == request.method and (names := operation.match(path)) is not None:
                _require_subscription(hub, names)
                return await operation.do(request, names)
        raise not_done(request)

    methods = ["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH"]
    return [Route(root, endpoint, methods=methods) for root in _ROOTS]


def _require_token(request: Request, signer: Signer) -> None:
    scheme, token = authorization(request)
    challenge = f'Bearer authorization_uri="{signer.issuer.removesuffix("/v2.0")}"'
    if scheme.lower() != "bearer" or not token:
        raise arm_error(
            401,
            "AuthenticationFailed",
            "Authentication failed. The 'Authorization' header is missing.",
            headers={"WWW-Authenticate": challenge},
        )
    try:
        signer.check(token, ARM_AUDIENCES)
    except TokenProblem as problem:
        raise arm_error(
            401,
            problem.code,
            f"Authentication failed: {problem.reason}.",
            headers={"WWW-Authenticate": f'{challenge}, error="invalid_token"'},
        ) from None


def _require_subscription(hub: Hub, names: Names) -> None:
    subscription = names.get("subscription")
    if subscription is not None and subscription.casefold() != hub.role.subscription_id.casefold():
        raise arm_error(404, "SubscriptionNotFound", f"The subscription '{subscription}' could not be found.")
    group = names.get("group")
    if group is not None and hub.store.resources.get("group", group) is None:
        raise arm_error(404, "ResourceGroupNotFound", f"Resource group '{group}' could not be found.")
