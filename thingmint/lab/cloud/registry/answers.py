"""What the registry's operations share: bodies, etags, and the device that is not there."""

from typing import Any

from starlette.requests import Request

from thingmint.lab.cloud.records import Device
from thingmint.lab.cloud.store.store import Store
from thingmint.lab.cloud.wire import Refusal, read_json, registry_error


def no_json() -> Refusal:
    return registry_error("IotHubFormatError", "The request body is no JSON of the expected form.")


async def read_object(request: Request) -> dict[str, Any]:
    body = await read_json(request, no_json())
    if not isinstance(body, dict):
        raise no_json()
    return body


def require_device(store: Store, device_id: str) -> Device:
    device = store.devices.get(device_id)
    if device is None:
        raise not_found(device_id)
    return device


def not_found(device_id: str) -> Refusal:
    return registry_error("DeviceNotFound", f"The device with ID '{device_id}' is not registered.")


def require_etag(current: str, given: str, whose: str) -> None:
    if given.strip('"') not in (current, "*"):
        raise registry_error("PreconditionFailed", f"The etag given for {whose} is not its current one.")
