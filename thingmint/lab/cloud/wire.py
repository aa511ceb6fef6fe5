"""How the services say no: a Refusal carries the answer for the client and the reason for the log."""

import datetime as dt
import json
import re
import secrets
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse

from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.records import NEVER

DEEPEST_JSON = 64  # levels; of a twin's ten are allowed, and nothing else that the services take has as many


class Refusal(Exception):  # noqa: N818 - the field's word
    """A request that the service declines. `reason` is for the log: plain words, nothing secret."""

    def __init__(
        self, status: int, body: Mapping[str, Any], reason: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(reason)
        self.status = status
        self.body = body
        self.reason = reason
        self.headers = headers

    def response(self) -> JSONResponse:
        return JSONResponse(dict(self.body), self.status, dict(self.headers or {}))


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def moment(at: dt.datetime) -> str:
    """ISO 8601 as the services write it."""
    return at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def timestamp(at: dt.datetime | None) -> str:
    """The registry's: "never" is year 1 there."""
    return moment(at) if at else NEVER


def new_etag() -> str:
    """Opaque to clients; of the shape of the service's own (AAAADEqHziw=): a new one at each change."""
    import base64

    return base64.b64encode(b"\0\0\0" + secrets.token_bytes(5)).decode()


def arm_error(status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None) -> Refusal:
    """The envelope of Azure Resource Manager itself."""
    return Refusal(status, {"error": {"code": code, "message": message}}, message, headers)


# https://learn.microsoft.com/azure/iot-hub: the resource provider's own errors are not in ARM's envelope.
_HTTP_STATUS_NAMES = {400: "BadRequest", 404: "NotFound", 412: "PreconditionFailed"}


def provider_error(code: int, message: str) -> Refusal:
    """An error of Microsoft.Devices: numeric code, status name, and a message that ends in "errorcode: IH…"."""
    status = code // 1000
    told = (
        f"{message} If you contact a support representative please include this correlation identifier: "
        f"{uuid.uuid4()}, timestamp: {now():%Y-%m-%d %H:%M:%SZ}, errorcode: IH{code}."
    )
    return Refusal(status, {"code": code, "httpStatusCode": _HTTP_STATUS_NAMES[status], "message": told}, message)


# Numbers and names: the service's error codes as listed in its troubleshooting reference and its SDKs.
REGISTRY_ERRORS = {
    "ArgumentInvalid": 400004,
    "IotHubFormatError": 400006,
    "DeviceDefinedMultipleTimes": 400011,
    "IotHubUnauthorizedAccess": 401002,
    "DeviceNotFound": 404001,
    "DeviceNotOnline": 404103,
    "IotHubNotFound": 404000,  # the lab's own
    "DeviceAlreadyExists": 409001,
    "PreconditionFailed": 412001,
    "DeviceMaximumQueueDepthExceeded": 403004,
    "MessageTooLarge": 413001,
    # https://learn.microsoft.com/dotnet/api/microsoft.azure.devices.common.exceptions.errorcode
    "ThrottlingException": 429001,
    "ThrottlingBacklogTimeout": 429003,
    "ServerError": 500001,
    "ServiceUnavailable": 503001,
    "GatewayTimeout": 504101,
}


def registry_error(name: str, message: str, *, reason: str = "") -> Refusal:
    """An error of the hub's own REST: Message and ExceptionMessage, the error's name in a header."""
    body = {
        "Message": f"ErrorCode:{name};{message}",
        "ExceptionMessage": f"Tracking ID:{uuid.uuid4().hex}-TimeStamp:{now():%m/%d/%Y %H:%M:%S}",
    }
    return Refusal(
        REGISTRY_ERRORS[name] // 1000,
        body,
        reason or message,
        {"iothub-errorcode": name, "iothub-errornumber": str(REGISTRY_ERRORS[name])},
    )


def not_done(request: Request, what: str = "") -> Refusal:
    text = f"the lab does not do this: {request.method} {request.scope['path']}" + (f" ({what})" if what else "")
    return Refusal(501, {"error": {"code": "NotImplemented", "message": text}, "Message": text}, text)


async def read_json(request: Request, error: Refusal) -> Any:
    """The body, or `error` where it is no JSON that could be sent back."""
    try:
        return from_json(await request.body())
    except ValueError:
        raise error from None


def from_json(text: bytes) -> Any:
    """Raises ValueError for what is no JSON, and for what could not be kept and sent back.

    Python alone reads NaN and half characters, and gives up on deep nesting: somewhere, and each time elsewhere.
    """
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    _require_shallow(value)
    return value


def _require_shallow(value: Any) -> None:
    level = [value]
    for _ in range(DEEPEST_JSON):
        level = [below for one in level if isinstance(one, dict | list) for below in _below(one)]
    if any(isinstance(one, dict | list) for one in level):
        raise ValueError("it is nested too deep")


def _below(one: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return one.values() if isinstance(one, dict) else one


def page_size(request: Request, usual: int, largest: int, error: Refusal) -> int:
    """How many a page may have; `error` where the client gave no number."""
    given = request.headers.get("x-ms-max-item-count", str(usual))
    if not re.fullmatch(r"\d{1,6}", given, re.ASCII) or int(given) == 0:
        raise error
    return min(int(given), largest)


def log_refusal(hub: Hub, request: HTTPConnection, refusal: Refusal) -> None:
    """Who, what, why. Never the query or the headers: they may hold secrets."""
    client = f"{request.client.host}:{request.client.port}" if request.client else "?"
    agent = request.headers.get("user-agent", "no user agent")[:60]
    method = request.scope.get("method", "websocket")
    asked = f"{method} {request.scope['path'][:200]} → {refusal.status}"
    hub.refused(f"{client} ({agent})", f"{asked}: {refusal.reason}", door="https", device=_is_device(request))


def _is_device(request: HTTPConnection) -> bool:
    """Whoever shows a certificate, speaks MQTT in a websocket, or registers itself."""
    handshake = getattr(request.state, "handshake", None)
    registers = re.match(r"/[^/]+/registrations/", request.scope["path"])
    return request.scope["type"] == "websocket" or bool(registers or (handshake and handshake.shown))
