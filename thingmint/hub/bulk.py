"""Many identities by bulk calls: what each call says and how its answer is read, for both implementations."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from thingmint.errors import HubError
from thingmint.hub.evidence import scrub
from thingmint.hub.identity import ALREADY_EXISTS, MOST_IN_BULK, Refused
from thingmint.hub.transport import patiently
from thingmint.target import Target

Send = Callable[[list[dict[str, Any]]], Any]
"""Posts the items of one call; returns the HTTP answer, of whichever library, without judging its status."""

# The reference shows names; the service sends numbers.
_NAMES = {"409001": ALREADY_EXISTS}


def create_many(
    target: Target, device_ids: Sequence[str], send: Send, *, on_wait: Callable[[float], None]
) -> tuple[Refused, ...]:
    """See `Registry.create_many`."""
    refused: list[Refused] = []
    for start in range(0, len(device_ids), MOST_IN_BULK):
        refused += _create_call(target, device_ids[start : start + MOST_IN_BULK], send, on_wait)
    return tuple(refused)


def _create_call(
    target: Target, device_ids: Sequence[str], send: Send, on_wait: Callable[[float], None]
) -> list[Refused]:
    doing = f"registering {device_ids[0]}"
    if len(device_ids) > 1:
        doing += f" to {device_ids[-1]} ({len(device_ids)} devices)"
    items = [_item(device_id) for device_id in device_ids]
    result = patiently(target, doing, lambda: _result(doing, send(items)), service="registry", on_wait=on_wait)
    errors = [_refused(error, target) for error in result.get("errors") or []]
    named = {error.device_id: error for error in errors}
    if result["isSuccessful"] == bool(errors) or not named.keys() <= set(device_ids):
        raise HubError(
            f"{doing} failed: the hub's answer does not tell which of them are registered.",
            detail="\n".join(f"{error.device_id} {error.code}: {error.message}" for error in errors),
            things_to_try=["run the same command again: a step that was carried out already is recognised"],
        )
    return [named[device_id] for device_id in device_ids if device_id in named]


def _item(device_id: str) -> dict[str, Any]:
    return {
        "id": device_id,
        "importMode": "create",
        "status": "enabled",
        "authentication": {"type": "certificateAuthority"},
        "capabilities": {"iotEdge": False},
    }


def _result(doing: str, answer: Any) -> Mapping[str, Any]:
    """With status 200 or 400; but 400 may be a refusal of the whole call too, and 200 may be somebody else's."""
    if answer.status_code in (200, 400):
        body = answer.json()
        if isinstance(body, dict) and isinstance(body.get("isSuccessful"), bool):
            return body
    answer.raise_for_status()
    raise HubError(f"{doing} failed: the answer is not one to a bulk call.", detail=f"HTTP {answer.status_code}")


def _refused(error: Mapping[str, Any], target: Target) -> Refused:
    code = str(error.get("errorCode") or "")
    message = scrub(str(error.get("errorStatus") or ""), target)
    return Refused(str(error.get("deviceId") or ""), _NAMES.get(code, code), message)
