"""What devices send, from the hub's built-in endpoint, which speaks as an Event Hub does: azure-eventhub, an extra."""

import datetime as dt
import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from thingmint.errors import HubError, InputError, ThingmintError
from thingmint.hub.credentials import quiet_sdk_loggers
from thingmint.hub.evidence import scrub
from thingmint.hub.transport import client_options, patiently
from thingmint.target import Target

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

POLICY = "service"  # the least that may read: ServiceConnect
_LOOK_SECONDS = 1.0
_DEVICE = b"iothub-connection-device-id"


@dataclass(frozen=True)
class Event:
    device_id: str
    received_at: dt.datetime
    body: bytes
    properties: dict[str, str]


@dataclass(frozen=True)
class Endpoint:
    """Where the hub's events are read. Whoever has the string reads them all: it is never shown."""

    name: str
    connection_string: str = field(repr=False)


def require_extra() -> None:
    """Raises InputError where azure-eventhub is not installed: most never read events on Azure."""
    if importlib.util.find_spec("azure.eventhub") is None:
        raise InputError(
            "events of a hub on Azure are read by azure-eventhub, which is not installed here.",
            things_to_try=[f'install the extra `events`: "{sys.executable}" -m pip install -e ".[events]"'],
        )


def endpoint(target: Target, credential: "TokenCredential") -> Endpoint:
    """The built-in one. Asking for the policy's key takes a sign-in that may. Raises HubError."""
    from azure.mgmt.iothub import IotHubClient

    quiet_sdk_loggers()
    client: Any = IotHubClient(credential, target.subscription_id, base_url=target.arm_url, **client_options(target))
    where = (target.resource_group, target.hub)

    def ask() -> Endpoint:
        hub = client.iot_hub_resource.get(*where)
        rule = client.iot_hub_resource.get_keys_for_key_name(*where, POLICY)
        return endpoint_of(hub.properties.event_hub_endpoints or {}, str(rule.primary_key), target)

    with client:
        return patiently(target, f"asking for the events of {target.hub}", ask, service="management")


def endpoint_of(endpoints: Mapping[str, Any], key: str, target: Target) -> Endpoint:
    found = endpoints.get("events")
    if found is None or not found.endpoint or not found.path:
        raise HubError(f"the hub {target.hub} has no built-in endpoint for events.")
    parts = {
        "Endpoint": found.endpoint,
        "SharedAccessKeyName": POLICY,
        "SharedAccessKey": key,
        "EntityPath": found.path,
    }
    return Endpoint(str(found.path), ";".join(f"{name}={value}" for name, value in parts.items()))


def follow(target: Target, source: Endpoint, tell: Callable[[Event | None], None]) -> None:
    """What arrives from now on, until this is interrupted, or `tell` raises; it is given None where nothing arrived for a while.

    Raises HubError where reading fails.
    """
    sdk: Any = importlib.import_module("azure.eventhub")
    quiet_sdk_loggers()
    failures: list[Exception] = []
    own: list[Exception] = []
    client = sdk.EventHubConsumerClient.from_connection_string(source.connection_string, consumer_group="$Default")

    def heard(_partition: Any, event: Any) -> None:
        try:
            tell(event_of(event) if event is not None else None)
        except (OSError, ThingmintError) as error:  # the SDK would take it for a failure of its own
            own.append(error)
            client.close()  # which ends receive()

    def failed(_partition: Any, error: Exception) -> None:
        failures.append(error)
        client.close()

    with client:
        client.receive(on_event=heard, on_error=failed, starting_position="@latest", max_wait_time=_LOOK_SECONDS)
    if own:
        raise own[0]
    if failures:
        raise HubError(
            f"reading the events of {target.hub} failed.",
            detail=scrub(str(failures[0]), target).replace(source.connection_string, "***"),
            things_to_try=["is port 5671 (AMQP) open in the firewall?", "run the same command again"],
        )


def event_of(event: Any) -> Event:
    """From azure-eventhub's EventData, whose body is bytes, whole or in pieces: devices send no other kind."""
    data = event.body
    return Event(
        device_id=_text(event.system_properties.get(_DEVICE, b"")),
        received_at=event.enqueued_time,
        body=data if isinstance(data, bytes) else b"".join(data),
        properties={_text(name): _text(value) for name, value in (event.properties or {}).items()},
    )


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
