"""Device identities as JSON: what the registry accepts, and how it shows them."""

import re
import secrets
from dataclasses import replace
from typing import Any

from thingmint.lab.cloud.records import Authentication, Device, Twin
from thingmint.lab.cloud.twin import etag, section_json
from thingmint.lab.cloud.wire import new_etag, now, registry_error, timestamp
from thingmint.lab.state import random_key

# https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-identity-registry#device-identity-properties
_ID = re.compile(r"[A-Za-z0-9\-:.+%_#*?!(),=@;$']{1,128}", re.ASCII)
LONGEST_REASON = 128


def valid_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def require_id(text: object) -> str:
    if not isinstance(text, str) or not valid_id(text):
        raise registry_error("ArgumentInvalid", f"The device id {str(text)[:140]!r} is invalid.")
    return text


def created(device_id: str, body: dict[str, Any]) -> Device:
    """A new identity from a request's body. Raises Refusal."""
    return _apply(
        Device(
            device_id=device_id,
            generation_id=str(secrets.randbelow(10**18)),
            etag=new_etag(),
            status="enabled",
            status_reason=None,
            status_updated=None,
            authentication=Authentication("sas"),
        ),
        body,
    )


def updated(device: Device, body: dict[str, Any]) -> Device:
    """The identity with a request's body over it, and a new etag. Raises Refusal."""
    return _apply(replace(device, etag=new_etag()), body)


def _apply(device: Device, body: dict[str, Any]) -> Device:
    status = body.get("status") or device.status
    if status not in ("enabled", "disabled"):
        raise registry_error("ArgumentInvalid", f"The status {status!r} is neither enabled nor disabled.")
    reason = body.get("statusReason")
    if reason is not None and (not isinstance(reason, str) or len(reason) > LONGEST_REASON):
        raise registry_error("ArgumentInvalid", f"statusReason is a text of at most {LONGEST_REASON} characters.")
    capabilities = body.get("capabilities")
    return replace(
        device,
        status=status,
        status_reason=reason,
        status_updated=now() if status != device.status else device.status_updated,
        authentication=_authentication(body.get("authentication"), device.authentication),
        iot_edge=isinstance(capabilities, dict) and capabilities.get("iotEdge") is True,
    )


def _authentication(value: Any, previous: Authentication) -> Authentication:
    given = value if isinstance(value, dict) else {}
    kind = given.get("type") or previous.type
    if kind == "certificateAuthority":
        return Authentication("certificateAuthority")
    if kind == "selfSigned":
        both = given.get("x509Thumbprint")
        thumbprints = both if isinstance(both, dict) else {}
        primary = _thumbprint(thumbprints.get("primaryThumbprint")) or previous.primary_thumbprint
        secondary = _thumbprint(thumbprints.get("secondaryThumbprint")) or previous.secondary_thumbprint
        if primary is None and secondary is None:
            raise registry_error("ArgumentInvalid", "Authentication of type selfSigned needs a thumbprint.")
        return Authentication("selfSigned", primary_thumbprint=primary, secondary_thumbprint=secondary)
    if kind == "sas":
        pair = given.get("symmetricKey")
        keys = pair if isinstance(pair, dict) else {}
        return Authentication(
            "sas",
            primary_key=_text(keys.get("primaryKey")) or previous.primary_key or random_key(),
            secondary_key=_text(keys.get("secondaryKey")) or previous.secondary_key or random_key(),
        )
    raise registry_error("ArgumentInvalid", f"The authentication type {str(kind)[:40]!r} is not known.")


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _thumbprint(value: object) -> str | None:
    if value in (None, ""):
        return None
    # SHA-1 or SHA-256 in hexadecimal
    if not isinstance(value, str) or not re.fullmatch(r"[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64}", value, re.ASCII):
        raise registry_error("ArgumentInvalid", "A thumbprint is 40 or 64 hexadecimal digits.")
    return value.upper()


def identity_json(device: Device) -> dict[str, Any]:
    return {
        "deviceId": device.device_id,
        "generationId": device.generation_id,
        "etag": device.etag,
        "connectionState": _connection(device),
        "status": device.status,
        "statusReason": device.status_reason,
        "connectionStateUpdatedTime": timestamp(device.connection_updated),
        "statusUpdatedTime": timestamp(device.status_updated),
        "lastActivityTime": timestamp(device.last_activity),
        "cloudToDeviceMessageCount": device.commands,
        "authentication": {
            "symmetricKey": {
                "primaryKey": device.authentication.primary_key,
                "secondaryKey": device.authentication.secondary_key,
            },
            "x509Thumbprint": _thumbprints(device),
            "type": device.authentication.type,
        },
        "capabilities": {"iotEdge": device.iot_edge},
        "deviceScope": None,
        "parentScopes": [],
    }


def twin_json(device: Device, twin: Twin) -> dict[str, Any]:
    """A twin with its device's own fields, as it is read and queried. Without tags, it has no `tags`."""
    return {
        "deviceId": device.device_id,
        "etag": etag(twin),
        "deviceEtag": device.etag,
        "status": device.status,
        "statusReason": device.status_reason,
        "statusUpdateTime": timestamp(device.status_updated),
        "connectionState": _connection(device),
        "lastActivityTime": timestamp(device.last_activity),
        "cloudToDeviceMessageCount": device.commands,
        "authenticationType": device.authentication.type,
        "x509Thumbprint": _thumbprints(device),
        "modelId": "",
        "version": twin.version,
        **({"tags": twin.tags} if twin.tags else {}),
        "properties": {"desired": section_json(twin.desired), "reported": section_json(twin.reported)},
        "capabilities": {"iotEdge": device.iot_edge},
    }


def _connection(device: Device) -> str:
    return "Connected" if device.connected else "Disconnected"


def _thumbprints(device: Device) -> dict[str, str | None]:
    authentication = device.authentication
    return {
        "primaryThumbprint": authentication.primary_thumbprint,
        "secondaryThumbprint": authentication.secondary_thumbprint,
    }
