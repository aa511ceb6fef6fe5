"""The device registry's REST: create, read, update, delete, list, and in bulk."""

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.records import Device
from thingmint.lab.cloud.registry import commands, methods, queries, twins
from thingmint.lab.cloud.registry.access import REGISTRY_READ, REGISTRY_WRITE, Access
from thingmint.lab.cloud.registry.answers import no_json, not_found, read_object, require_device, require_etag
from thingmint.lab.cloud.registry.identities import created, identity_json, require_id, updated
from thingmint.lab.cloud.signin.tokens import Signer
from thingmint.lab.cloud.twin import etag
from thingmint.lab.cloud.wire import REGISTRY_ERRORS, Refusal, not_done, read_json, registry_error

# https://learn.microsoft.com/rest/api/iothub/service/devices, version 2021-04-12
MOST_LISTED = 1000
MOST_IN_BULK = 100
_IMPORT_MODES = (
    *("create", "createOrUpdate", "update", "delete", "updateTwin"),
    *("createOrUpdateIfMatchETag", "updateIfMatchETag", "deleteIfMatchETag", "updateTwinIfMatchETag"),
)


def routes(hub: Hub, signer: Signer) -> list[Route]:
    registry = _Registry(hub)
    access = Access(hub, signer)

    async def one(request: Request) -> Response:
        access.require(request, REGISTRY_READ if request.method in ("GET", "HEAD") else REGISTRY_WRITE, "CRUD")
        device_id = require_id(request.path_params["device_id"])
        if request.method == "GET":
            return registry.show(device_id)
        if request.method == "PUT":
            return registry.put(device_id, await read_object(request), request.headers.get("if-match"))
        if request.method == "DELETE":
            return registry.delete(device_id, request.headers.get("if-match"))
        raise not_done(request)

    async def many(request: Request) -> Response:
        if request.method == "GET":
            access.require(request, REGISTRY_READ, "CRUD")
            return registry.list(request.query_params.get("top", str(MOST_LISTED)))
        if request.method == "POST":
            access.require(request, REGISTRY_WRITE, "CRUD")
            return registry.bulk(await read_json(request, no_json()))
        raise not_done(request)

    every = ["GET", "PUT", "POST", "DELETE", "PATCH"]
    return [
        *queries.routes(hub, access),
        *twins.routes(hub, access),
        *methods.routes(hub, access),
        *commands.routes(hub, access),
        Route("/devices", many, methods=every),
        Route("/devices/{device_id}", one, methods=every),
    ]


class _Registry:
    """The operations. Each is committed before it is answered."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._store = hub.store

    def show(self, device_id: str) -> Response:
        return _answer(require_device(self._store, device_id))

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
            raise not_found(device_id)
        require_etag(existing.etag, if_match, f"'{device_id}'")
        device = self._save(updated(existing, body), "updated")
        self._hub.changed()
        return _answer(device)

    def delete(self, device_id: str, if_match: str | None) -> Response:
        existing = require_device(self._store, device_id)
        # The reference says of this request that it requires If-Match.
        if if_match is None:
            raise registry_error("PreconditionFailed", "Deleting a device requires the header If-Match.")
        require_etag(existing.etag, if_match, f"'{device_id}'")
        self._remove(device_id)
        self._hub.changed()
        return Response(status_code=204)

    def list(self, top: str) -> Response:
        number = int(top) if re.fullmatch(r"\d{1,6}", top, re.ASCII) else 0
        if not 1 <= number <= MOST_LISTED:
            raise registry_error("ArgumentInvalid", f"top must be a number from 1 to {MOST_LISTED}.")
        return JSONResponse([identity_json(device) for device in self._store.devices.page(limit=number)])

    def bulk(self, items: Any) -> Response:
        """Each item by itself, all in one transaction; 400 if any failed, and the rest is done all the same."""
        if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
            raise no_json()
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
        if mode not in _IMPORT_MODES:
            raise registry_error("ArgumentInvalid", f"There is no import mode {mode[:40]!r}.")
        kind = mode.removesuffix("IfMatchETag")
        existing = self._store.devices.get(device_id)
        if kind == "create" and existing:
            raise registry_error("DeviceAlreadyExists", f"A device with ID '{device_id}' is already registered.")
        if kind in ("update", "delete", "updateTwin") and existing is None:
            raise not_found(device_id)
        if kind != mode and existing:
            self._require_etags(existing, item, kind)
        if kind == "delete":
            self._remove(device_id)
            return
        before, twin = self._store.twins.get(device_id), None
        if item.get("tags") is not None or item.get("properties") is not None:
            # "existing information is overwritten", says the reference of what an item tells of the twin.
            twin = twins.after(before, item, whole=True)  # before anything is saved: all of an item is done, or nothing
        if kind != "updateTwin":
            self._save(updated(existing, item) if existing else created(device_id, item), "imported")
        if twin:
            twins.save(self._hub, before, twin, item)

    def _require_etags(self, existing: Device, item: dict[str, Any], kind: str) -> None:
        """The twin's etag is looked at apart from the device's, where it is given."""
        whose = f"'{existing.device_id}'"
        if kind != "updateTwin":
            require_etag(existing.etag, str(item.get("eTag", "")), whose)
        if kind == "updateTwin" or item.get("twinETag"):
            current = etag(self._store.twins.get(existing.device_id))
            require_etag(current, str(item.get("twinETag", "")), f"the twin of {whose}")

    def _save(self, device: Device, what: str) -> Device:
        self._store.devices.put(device)
        self._hub.journal.write(f"device {device.device_id!r} {what} ({device.status}, {device.authentication.type})")
        return device

    def _remove(self, device_id: str) -> None:
        self._store.devices.delete(device_id)
        self._hub.journal.write(f"device {device_id!r} deleted")


def _answer(device: Device) -> Response:
    return JSONResponse(identity_json(device), headers={"ETag": f'"{device.etag}"'})
