"""Device identities by the registry's REST (api-version 2021-04-12) over azure-core: for where uamqp has no wheel."""

import base64
import datetime as dt
import functools
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, quote_plus

from thingmint.errors import HubError
from thingmint.hub import bulk
from thingmint.hub.credentials import REGISTRY_SCOPE
from thingmint.hub.evidence import http_date
from thingmint.hub.identity import (
    ALL_DEVICES,
    API_VERSION,
    PAGE_SIZE,
    Identity,
    Refused,
    SharedAccess,
    identity_of,
    read_connection_string,
)
from thingmint.hub.obstacles import is_missing_hub
from thingmint.hub.transport import READ_SECONDS, open_transport, patiently
from thingmint.hub.twin import Returned, Twin, twin_of
from thingmint.target import Target

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.core.rest import HttpResponse

_SAS_SECONDS = 3600
_T = TypeVar("_T")
_Page = tuple[list[Identity], str]


class RestRegistry:
    """See `Registry`."""

    def __init__(self, target: Target, credential: "TokenCredential | None") -> None:
        from azure.core import PipelineClient
        from azure.core.pipeline.policies import BearerTokenCredentialPolicy, UserAgentPolicy

        self._target = target
        self._access = read_connection_string(target) if target.connection_string else None
        policies: list[Any] = [UserAgentPolicy(base_user_agent="thingmint")]
        if self._access is None:
            if credential is None:
                raise ValueError("a credential is needed where the target has no connection string")
            policies.append(BearerTokenCredentialPolicy(credential, REGISTRY_SCOPE))
        self._client: PipelineClient[Any, Any] = PipelineClient(
            f"https://{target.registry_host}", policies=policies, transport=open_transport(target)
        )

    def create(self, device_id: str) -> Identity:
        wanted = {
            "deviceId": device_id,
            "status": "enabled",
            "authentication": {"type": "certificateAuthority"},
            "capabilities": {"iotEdge": False},
        }
        path = _device(device_id)
        return self._ask(f"registering {device_id}", lambda: identity_of(self._send("PUT", path, wanted).json()))

    def create_many(self, device_ids: Sequence[str], *, on_wait: Callable[[float], None]) -> tuple[Refused, ...]:
        return bulk.create_many(
            self._target, device_ids, lambda items: self._request("POST", "/devices", items), on_wait=on_wait
        )

    def disable(self, device_id: str, *, etag: str) -> Identity:
        path, headers = _device(device_id), {"If-Match": f'"{etag}"'}

        def step() -> Identity:
            device = self._send("GET", path).json() | {"status": "disabled"}
            return identity_of(self._send("PUT", path, device, headers=headers).json())

        return self._ask(f"disabling {device_id}", step)

    def get(self, device_id: str) -> Identity | None:
        try:
            return self._ask(f"reading {device_id}", lambda: identity_of(self._send("GET", _device(device_id)).json()))
        except HubError as refusal:
            if refusal.status == 404 and not is_missing_hub(refusal.code):
                return None
            raise

    def list(self) -> tuple[Identity, ...]:
        found: list[Identity] = []
        continuation = ""
        while True:
            page, continuation = self._ask("listing the hub's devices", functools.partial(self._page, continuation))
            found += page
            if not continuation:
                return tuple(found)

    def delete(self, device_id: str) -> None:
        step = functools.partial(self._send, "DELETE", _device(device_id), headers={"If-Match": '"*"'})
        try:
            self._ask(f"deleting {device_id}", step)
        except HubError as refusal:
            if refusal.status != 404:
                raise

    def twin(self, device_id: str) -> Twin:
        return self._ask(
            f"reading the twin of {device_id}", lambda: twin_of(self._send("GET", _twin(device_id)).json())
        )

    def desire(self, device_id: str, values: Mapping[str, Any]) -> Twin:
        patch = {"properties": {"desired": values}}
        return self._ask(
            f"changing the twin of {device_id}",
            lambda: twin_of(self._send("PATCH", _twin(device_id), patch).json()),
        )

    def call(self, device_id: str, method: str, payload: Any, *, seconds: int) -> Returned:
        wanted = {"methodName": method, "payload": payload, "responseTimeoutInSeconds": seconds}

        def step() -> Returned:
            path = f"{_twin(device_id)}/methods"
            answer = self._request("POST", path, wanted, seconds=seconds + READ_SECONDS)
            answer.raise_for_status()
            result = answer.json()
            return Returned(int(result["status"]), result.get("payload"))

        return self._ask(f"calling {method} of {device_id}", step)

    def server_time(self) -> dt.datetime:
        headers = self._ask("asking the hub for its time", lambda: self._send("GET", "/devices?top=1").headers)
        moment = http_date(headers.get("Date"))
        if moment is None:
            raise HubError("asking the hub for its time failed: its answer has no Date.")
        return moment

    def close(self) -> None:
        self._client.close()

    def _page(self, continuation: str) -> _Page:
        headers = {"x-ms-max-item-count": str(PAGE_SIZE)}
        if continuation:
            headers["x-ms-continuation"] = continuation
        answer = self._send("POST", "/devices/query", {"query": ALL_DEVICES}, headers=headers)
        return [identity_of(twin) for twin in answer.json()], answer.headers.get("x-ms-continuation") or ""

    def _send(
        self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None
    ) -> "HttpResponse":
        answer = self._request(method, path, body, headers=headers)
        answer.raise_for_status()
        return answer

    def _request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        seconds: float | None = None,
    ) -> "HttpResponse":
        from azure.core.rest import HttpRequest

        sent = {"Accept": "application/json", **(headers or {})}
        if self._access is not None:
            sent["Authorization"] = shared_access_signature(self._access, time.time() + _SAS_SECONDS)
        url = f"https://{self._target.registry_host}{path}{'&' if '?' in path else '?'}api-version={API_VERSION}"
        # The transport reads with its own time-out unless it is told another.
        patience: dict[str, Any] = {} if seconds is None else {"read_timeout": seconds}
        request = HttpRequest(method, url, headers=sent, json=body)
        answer: HttpResponse = self._client.send_request(request, **patience)
        return answer

    def _ask(self, doing: str, step: Callable[[], _T]) -> _T:
        return patiently(self._target, doing, step, service="registry")


def shared_access_signature(access: SharedAccess, expires: float) -> str:
    """An Authorization header by the hub's rule: HMAC-SHA256 over the resource and the expiry (seconds since 1970)."""
    resource = quote_plus(access.host)
    text = f"{resource}\n{int(expires)}".encode()
    signature = base64.b64encode(hmac.digest(base64.b64decode(access.key), text, hashlib.sha256)).decode()
    return (
        f"SharedAccessSignature sr={resource}&sig={quote_plus(signature)}&se={int(expires)}&skn={quote(access.policy)}"
    )


def _device(device_id: str) -> str:
    return f"/devices/{quote(device_id, safe='')}"


def _twin(device_id: str) -> str:
    return f"/twins/{quote(device_id, safe='')}"
