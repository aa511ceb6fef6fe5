"""The device registry's REST: create, read, update, delete, list, in bulk, and the query of all devices."""

import base64
import binascii
import re
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.records import Device
from thingmint.lab.cloud.registry.identities import created, identity_json, require_id, twin_json, updated
from thingmint.lab.cloud.signin.tokens import REGISTRY_AUDIENCES, Signer, TokenProblem, check_sas
from thingmint.lab.cloud.wire import REGISTRY_ERRORS, Refusal, not_done, read_json, registry_error

# https://learn.microsoft.com/rest/api/iothub/service/devices, version 2021-04-12
MOST_LISTED = 1000
MOST_IN_BULK = 100
_QUERY_OF_ALL = re.compile(r"\s*select\s+\*\s+from\s+devices\s*;?\s*", re.IGNORECASE | re.ASCII)
_READERS = ("iothubowner", "registryRead", "registryReadWrite")
_WRITERS = ("iothubowner", "registryReadWrite")


def routes(hub: Hub, signer: Signer) -> list[Route]:
    registry = _Registry(hub)
    hosts = frozenset({f"{name}:{hub.https_port}" for name in ("localhost", "127.0.0.1")} | {hub.role.hub_host.lower()})

    def require_caller(request: Request, policies: tuple[str, ...]) -> None:
        scheme, _, credential = request.headers.get("authorization", "").partition(" ")
        try:
            if scheme == "SharedAccessSignature":
                policy = check_sas(credential, hub.secrets.policy_keys, hosts)
                if policy not in policies:
                    raise registry_error(
                        "IotHubUnauthorized", "Unauthorized", reason=f"the policy {policy!r} has no right to this"
                    )
            elif scheme.lower() == "bearer":
                signer.check(credential.strip(), REGISTRY_AUDIENCES)
            else:
                raise TokenProblem("", "there is no Authorization header with a token or shared access signature")
        except TokenProblem as problem:
            raise registry_error("IotHubUnauthorizedAccess", "Unauthorized", reason=problem.reason) from None
        if not re.fullmatch(r"\d{4}-\d\d-\d\d(-preview)?", request.query_params.get("api-version", ""), re.ASCII):
            raise registry_error("ArgumentInvalid", "The query parameter api-version is missing or invalid.")

    async def one(request: Request) -> Response:
        require_caller(request, _READERS if request.method in ("GET", "HEAD") else _WRITERS)
        device_id = require_id(request.path_params["device_id"])
        if request.method == "GET":
            return registry.show(device_id)
        if request.method == "PUT":
            return registry.put(device_id, await _object(request), request.headers.get("if-match"))
        if request.method == "DELETE":
            return registry.delete(device_id, request.headers.get("if-match"))
        raise not_done(request)

    async def many(request: Request) -> Response:
        if request.method == "GET":
            require_caller(request, _READERS)
            return registry.list(request.query_params.get("top", str(MOST_LISTED)))
        if request.method == "POST":
            require_caller(request, _WRITERS)
            return registry.bulk(await read_json(request, _no_json()))
        raise not_done(request)

    async def query(request: Request) -> Response:
        if request.method != "POST":
            return await one_named_query(request)
        require_caller(request, _READERS)
        text = str((await _object(request)).get("query", ""))
        if not _QUERY_OF_ALL.fullmatch(text):
            raise not_done(request, "of all queries only: SELECT * FROM devices")
        return registry.query(
            request.headers.get("x-ms-max-item-count", "100"), request.headers.get("x-ms-continuation", "")
        )

    async def one_named_query(request: Request) -> Response:
        request.path_params["device_id"] = "query"  # also a valid device id
        return await one(request)

    methods = ["GET", "PUT", "POST", "DELETE", "PATCH"]
    return [
        Route("/devices", many, methods=methods),
        Route("/devices/query", query, methods=methods),
        Route("/devices/{device_id}", one, methods=methods),
    ]


def _no_json() -> Refusal:
    return registry_error("IotHubFormatError", "The request body is no JSON of the expected form.")


async def _object(request: Request) -> dict[str, Any]:
    body = await read_json(request, _no_json())
    if not isinstance(body, dict):
        raise _no_json()
    return body


class _Registry:
    """The operations. Each is committed before it is answered."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._store = hub.store

    def show(self, device_id: str) -> Response:
        return _answer(self._existing(device_id))

    def put(self, device_id: str, body: dict[str, Any], if_match: str | None) -> Response:
        if body.get("deviceId", device_id) != device_id:
            raise registry_error("ArgumentInvalid", "The device id of the body differs from that of the URL.")
        existing = self._store.devices.get(device_id)
        if if_match is None:
            if existing:
                raise registry_error("DeviceAlreadyExists", f"A device with ID '{device_id}' is already registered.")
            device = self._save(created(device_id, body), "registered")
            self._hub.changed()
            return _answer(device)
        if existing is None:
            raise _not_found(device_id)
        _require_etag(existing, if_match)
        device = self._save(updated(existing, body), "updated")
        self._hub.changed()
        return _answer(device)

    def delete(self, device_id: str, if_match: str | None) -> Response:
        existing = self._existing(device_id)
        # The reference says of this request that it requires If-Match.
        if if_match is None:
            raise registry_error("PreconditionFailed", "Deleting a device requires the header If-Match.")
        _require_etag(existing, if_match)
        self._remove(device_id)
        self._hub.changed()
        return Response(status_code=204)

    def list(self, top: str) -> Response:
        number = int(top) if re.fullmatch(r"\d{1,6}", top, re.ASCII) else 0
        if not 1 <= number <= MOST_LISTED:
            raise registry_error("ArgumentInvalid", f"top must be a number from 1 to {MOST_LISTED}.")
        return JSONResponse([identity_json(device) for device in self._store.devices.page(limit=number)])

    def query(self, page_size: str, continuation: str) -> Response:
        if not re.fullmatch(r"\d{1,6}", page_size, re.ASCII) or int(page_size) == 0:
            raise registry_error("ArgumentInvalid", "x-ms-max-item-count must be a positive number.")
        try:
            after = base64.b64decode(continuation, validate=True).decode()
        except (binascii.Error, ValueError):
            raise registry_error("ArgumentInvalid", "x-ms-continuation is not one of this hub's.") from None
        size = min(int(page_size), MOST_LISTED)
        found = self._store.devices.page(after=after, limit=size + 1)
        page = found[:size]
        headers = {"x-ms-item-type": "Twin"}
        if len(found) > size:
            headers["x-ms-continuation"] = base64.b64encode(page[-1].device_id.encode()).decode()
        return JSONResponse([twin_json(device) for device in page], headers=headers)

    def bulk(self, items: Any) -> Response:
        """Each item by itself, all in one transaction; 400 if any failed, and the rest is done all the same."""
        if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
            raise _no_json()
        if len(items) > MOST_IN_BULK:
            raise registry_error("ArgumentInvalid", f"A bulk operation takes at most {MOST_IN_BULK} devices.")
        if len({str(item.get("id")) for item in items}) < len(items):
            raise registry_error("DeviceDefinedMultipleTimes", "A bulk operation names each device once.")
        errors: list[dict[str, Any]] = []
        with self._store.transaction():
            for item in items:
                try:
                    self._bulk_item(item)
                except Refusal as refusal:
                    # A number, as the service sends it; its reference shows a name.
                    code = REGISTRY_ERRORS[(refusal.headers or {})["iothub-errorcode"]]
                    device_id = str(item.get("id", ""))
                    self._hub.refused(f"the bulk item {device_id!r}", refusal.reason, door="https")
                    errors.append({"deviceId": device_id, "errorCode": code, "errorStatus": refusal.reason})
        self._hub.changed()
        result = {"isSuccessful": not errors, "errors": errors, "warnings": []}
        return JSONResponse(result, 400 if errors else 200)

    def _bulk_item(self, item: dict[str, Any]) -> None:
        device_id = require_id(item.get("id"))
        mode = str(item.get("importMode") or "createOrUpdate")
        kind = mode.removesuffix("IfMatchETag")
        existing = self._store.devices.get(device_id)
        if kind != mode and existing:
            _require_etag(existing, str(item.get("eTag", "")))
        if kind == "create" and existing:
            raise registry_error("DeviceAlreadyExists", f"A device with ID '{device_id}' is already registered.")
        if kind in ("update", "delete") and existing is None:
            raise _not_found(device_id)
        if kind == "delete":
            self._remove(device_id)
        elif kind in ("create", "update", "createOrUpdate"):
            self._save(updated(existing, item) if existing else created(device_id, item), "imported")
        else:
            raise registry_error("ArgumentInvalid", f"The import mode {mode[:40]!r} is not done by the lab.")

    def _existing(self, device_id: str) -> Device:
        device = self._store.devices.get(device_id)
        if device is None:
            raise _not_found(device_id)
        return device

    def _save(self, device: Device, what: str) -> Device:
        self._store.devices.put(device)
        self._hub.journal.write(f"device {device.device_id!r} {what} ({device.status}, {device.authentication.type})")
        return device

    def _remove(self, device_id: str) -> None:
        self._store.devices.delete(device_id)
        self._hub.journal.write(f"device {device_id!r} deleted")


def _require_etag(device: Device, given: str) -> None:
    if given.strip('"') not in (device.etag, "*"):
        raise registry_error("PreconditionFailed", f"The etag given for '{device.device_id}' is not its current one.")


def _not_found(device_id: str) -> Refusal:
    return registry_error("DeviceNotFound", f"The device with ID '{device_id}' is not registered.")


def _answer(device: Device) -> Response:
    return JSONResponse(identity_json(device), headers={"ETag": f'"{device.etag}"'})
