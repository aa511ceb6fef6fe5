"""Device identities through azure-iot-hub (IoTHubRegistryManager, api-version 2021-04-12)."""

import datetime as dt
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from thingmint.errors import HubError
from thingmint.hub import bulk, transport
from thingmint.hub.evidence import http_date
from thingmint.hub.identity import (
    ALL_DEVICES,
    PAGE_SIZE,
    Identity,
    Refused,
    read_connection_string,
    thumbprints_of,
    utc,
)
from thingmint.hub.obstacles import is_missing_hub
from thingmint.hub.refusals import refusals
from thingmint.hub.transport import patiently
from thingmint.hub.twin import Returned, Twin, section_of
from thingmint.target import Target

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

_T = TypeVar("_T")


class SdkRegistry:
    """See `Registry`."""

    def __init__(self, target: Target, credential: "TokenCredential | None") -> None:
        self._target = target
        self._credential = credential
        self._opened = False
        if target.connection_string:
            read_connection_string(target)
        elif credential is None:
            raise ValueError("a credential is needed where the target has no connection string")

    @functools.cached_property
    def _manager(self) -> Any:
        """At first use: the import takes 0.3 s, and the constructor asks for a token (for AMQP, which stays shut)."""
        from azure.iot.hub import IoTHubRegistryManager

        target = self._target
        with refusals(target, "signing in at the hub", service="registry"):
            if target.connection_string:
                manager: Any = IoTHubRegistryManager.from_connection_string(target.connection_string)
            else:
                manager = IoTHubRegistryManager.from_token_credential(target.registry_host, self._credential)
        config = manager.protocol.config
        config.connection.timeout = (transport.CONNECT_SECONDS, transport.READ_SECONDS)
        config.connection.verify = transport.verify(target)
        config.proxies.use_env_settings = not target.local
        config.session_configuration_callback = _without_retries
        self._opened = True
        return manager

    def create(self, device_id: str) -> Identity:
        return self._ask(
            f"registering {device_id}",
            lambda: _read_device(self._manager.create_device_with_certificate_authority(device_id, "enabled")),
        )

    def create_many(self, device_ids: Sequence[str], *, on_wait: Callable[[float], None]) -> tuple[Refused, ...]:
        def send(items: list[dict[str, Any]]) -> Any:
            # The manager's own bulk_create_or_update_devices gives an empty result for a refusal of the whole call.
            return self._manager.protocol.bulk_registry.update_registry(items, raw=True).response

        return bulk.create_many(self._target, device_ids, send, on_wait=on_wait)

    def get(self, device_id: str) -> Identity | None:
        try:
            return self._ask(f"reading {device_id}", lambda: _read_device(self._manager.get_device(device_id)))
        except HubError as refusal:
            if refusal.status == 404 and not is_missing_hub(refusal.code):
                return None
            raise

    def list(self) -> tuple[Identity, ...]:
        from azure.iot.hub.models import QuerySpecification

        wanted = QuerySpecification(query=ALL_DEVICES)
        found: list[Identity] = []
        continuation: str | None = None
        while True:
            ask = functools.partial(self._manager.query_iot_hub, wanted, continuation, str(PAGE_SIZE))
            page = self._ask("listing the hub's devices", ask)
            found += [_read_twin(twin) for twin in page.items or []]
            continuation = page.continuation_token
            if not continuation:
                return tuple(found)

    def disable(self, device_id: str, *, etag: str) -> Identity:
        def step() -> Identity:
            # The manager's own updates would set another authentication, too.
            device = self._manager.get_device(device_id)
            device.status = "disabled"
            put = self._manager.protocol.devices.create_or_update_identity
            return _read_device(put(device_id, device, if_match=f'"{etag}"'))

        return self._ask(f"disabling {device_id}", step)

    def delete(self, device_id: str) -> None:
        try:
            self._ask(f"deleting {device_id}", lambda: self._manager.delete_device(device_id))
        except HubError as refusal:
            if refusal.status != 404:
                raise

    def twin(self, device_id: str) -> Twin:
        return self._ask(
            f"reading the twin of {device_id}", lambda: _read_whole_twin(self._manager.get_twin(device_id))
        )

    def desire(self, device_id: str, values: Mapping[str, Any]) -> Twin:
        from azure.iot.hub import models

        patch = models.Twin(properties=models.TwinProperties(desired=dict(values)))
        return self._ask(
            f"changing the twin of {device_id}",
            lambda: _read_whole_twin(self._manager.update_twin(device_id, patch)),
        )

    def call(self, device_id: str, method: str, payload: Any, *, seconds: int) -> Returned:
        from azure.iot.hub.models import CloudToDeviceMethod

        wanted = CloudToDeviceMethod(method_name=method, payload=payload, response_timeout_in_seconds=seconds)
        patience = (transport.CONNECT_SECONDS, seconds + transport.READ_SECONDS)

        def step() -> Returned:
            # The manager's own invoke_device_method takes no time-out, and sends "" for None.
            result = self._manager.protocol.devices.invoke_method(device_id, wanted, timeout=patience)
            return Returned(int(result.status), result.payload)

        return self._ask(f"calling {method} of {device_id}", step)

    def server_time(self) -> dt.datetime:
        answer = self._ask(
            "asking the hub for its time",
            # The manager's own get_devices gives the list without the answer's headers.
            lambda: self._manager.protocol.devices.get_devices(top=1, raw=True),
        )
        moment = http_date(answer.response.headers.get("Date"))
        if moment is None:
            raise HubError("asking the hub for its time failed: its answer has no Date.")
        return moment

    def close(self) -> None:
        if self._opened:
            self._manager.protocol.close()

    def _ask(self, doing: str, step: Callable[[], _T]) -> _T:
        return patiently(self._target, doing, step, service="registry")


def _without_retries(session: Any, _config: Any, _options: Any, **arguments: Any) -> dict[str, Any]:
    """msrest calls this before each request. Its configured policy came too late: the session has one already.

    Its own retries would try untrusted certificates for seconds, repeat what may have been carried out, wait hours if
    told to, and hide the last answer's status.
    """
    from urllib3.util import Retry

    for adapter in session.adapters.values():
        adapter.max_retries = Retry(total=0, raise_on_status=False)
    return arguments


def _read_device(device: Any) -> Identity:
    both = device.authentication.x509_thumbprint if device.authentication else None
    return Identity(
        device_id=str(device.device_id),
        authentication=str(device.authentication.type if device.authentication else ""),
        status=str(device.status or ""),
        connection_state=str(device.connection_state or ""),
        last_activity=utc(device.last_activity_time),
        etag=str(device.etag or ""),
        thumbprints=thumbprints_of((both.primary_thumbprint, both.secondary_thumbprint) if both else ()),
    )


def _read_whole_twin(twin: Any) -> Twin:
    return Twin(
        device_id=str(twin.device_id),
        desired=section_of(twin.properties.desired),
        reported=section_of(twin.properties.reported),
        connected=twin.connection_state == "Connected",
    )


def _read_twin(twin: Any) -> Identity:
    return Identity(
        device_id=str(twin.device_id),
        authentication=str(twin.authentication_type or ""),
        status=str(twin.status or ""),
        connection_state=str(twin.connection_state or ""),
        last_activity=utc(twin.last_activity_time),
        etag=str(twin.device_etag or ""),  # `etag` is the twin's own
    )
