"""Device identities as values, and the protocol that both implementations of the registry hold to."""

import base64
import binascii
import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from thingmint.errors import InputError
from thingmint.hub.twin import Returned, Twin
from thingmint.target import Target

API_VERSION = "2021-04-12"
ALL_DEVICES = "SELECT * FROM devices"
PAGE_SIZE = 1000
"""Devices a page of the query; the service may give fewer. S1 allows 20 queries a minute and unit."""
MOST_IN_BULK = 100
"""Devices a bulk call: https://learn.microsoft.com/rest/api/iothub/service/bulk-registry/update-registry"""
ALREADY_EXISTS = "DeviceAlreadyExists"


@dataclass(frozen=True)
class Identity:
    """A device identity as the hub holds it; times are UTC."""

    device_id: str
    authentication: str  # certificateAuthority, selfSigned, sas or none
    status: str  # enabled or disabled
    connection_state: str  # Connected or Disconnected
    last_activity: dt.datetime | None  # None: never
    etag: str
    thumbprints: tuple[
        str, ...
    ] = ()  # upper-case hex, SHA-1 or SHA-256: the certificates that a selfSigned one goes by


@dataclass(frozen=True)
class Refused:
    """An id that the hub did not register, and its words for why. `code` is ALREADY_EXISTS if the id is taken."""

    device_id: str
    code: str
    message: str


class Registry(Protocol):
    """One hub's device identities (api-version 2021-04-12).

    Every method raises HubError, nothing else, when the hub refuses or cannot be reached. Each may be run again after
    it was cut off: `create` then says so with status 409, `delete` with 404, which the caller judges.
    """

    def create(self, device_id: str) -> Identity:
        """An enabled identity that is authenticated by certificate authority. Status 409 if the id is taken."""

    def create_many(self, device_ids: Sequence[str], *, on_wait: Callable[[float], None]) -> tuple[Refused, ...]:
        """As `create`, for many ids (each once), MOST_IN_BULK a call. Those that the hub refused, in their order.

        Where the hub throttles, this waits for it, long if need be, and tells `on_wait` the seconds before each wait.
        HubError is for what concerns a call as a whole: the calls before it are carried out, its own may be. Run
        again, the ids that were registered come back as ALREADY_EXISTS.
        """

    def get(self, device_id: str) -> Identity | None:
        """None if there is none of that id."""

    def list(self) -> tuple[Identity, ...]:
        """All, in the hub's order, by query and page by page. The query's view trails writes by seconds."""

    def disable(self, device_id: str, *, etag: str) -> Identity:
        """An identity that may no longer connect, otherwise as it is. Status 412 if it is no longer the one of that etag."""

    def delete(self, device_id: str) -> None:
        """Whatever its etag. One that is gone already is no error."""

    def twin(self, device_id: str) -> Twin:
        """Status 404 if there is no device of that id."""

    def desire(self, device_id: str, values: Mapping[str, Any]) -> Twin:
        """Desired properties, merged into those that are there; None removes. Status 400 if the hub does not take them."""

    def call(self, device_id: str, method: str, payload: Any, *, seconds: int) -> Returned:
        """Call the device's method, and wait `seconds` (5 to 300) for its answer.

        Code DeviceNotOnline if it is not connected, GatewayTimeout if it does not answer: whether it did something is
        then unknown.
        """

    def server_time(self) -> dt.datetime:
        """The hub's clock, from the Date header of an authenticated answer: UTC, whole seconds."""

    def close(self) -> None:
        """Give connections back."""


@dataclass(frozen=True)
class SharedAccess:
    """What a service connection string says."""

    host: str
    policy: str
    key: str = field(repr=False)  # base64


def read_connection_string(target: Target) -> SharedAccess:
    """Raises InputError, which never shows the string, if it is malformed or of another hub."""
    things = [
        f"fetch it: az iot hub connection-string show --hub-name {target.hub} --policy-name registryReadWrite",
        "or sign in without one: azure.auth: identity",
    ]
    parts = dict(part.strip().split("=", 1) for part in (target.connection_string or "").split(";") if "=" in part)
    try:
        access = SharedAccess(parts["HostName"], parts["SharedAccessKeyName"], parts["SharedAccessKey"])
        base64.b64decode(access.key, validate=True)
    except KeyError as missing:
        raise InputError(
            f"the hub's connection string has no {missing.args[0]}: it must be a shared access policy's.",
            things_to_try=things,
        ) from None
    except binascii.Error:
        raise InputError("the key in the hub's connection string is no base64.", things_to_try=things) from None
    if set(parts) - {"HostName", "SharedAccessKeyName", "SharedAccessKey"}:
        raise InputError("the hub's connection string is a device's, or has unknown parts.", things_to_try=things)
    if access.host.casefold() != target.registry_host.casefold():
        raise InputError(
            f"the connection string is of {access.host}, but the configured hub is {target.registry_host}.",
            things_to_try=["name that hub in azure.hub", *things],
        )
    return access


def utc(text: str | dt.datetime | None) -> dt.datetime | None:
    """A time of the registry's JSON; the year 1 is its word for never."""
    if not text:
        return None
    moment = dt.datetime.fromisoformat(text) if isinstance(text, str) else text
    if moment.year == 1:
        return None
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)


def identity_of(device: Mapping[str, Any]) -> Identity:
    """From a device's JSON (GET, PUT) or a twin's (query), which differ in two names."""
    authentication = device.get("authentication") or {}
    return Identity(
        device_id=str(device["deviceId"]),
        authentication=str(authentication.get("type") or device.get("authenticationType") or ""),
        status=str(device.get("status") or ""),
        connection_state=str(device.get("connectionState") or ""),
        last_activity=utc(device.get("lastActivityTime")),
        # A twin's `etag` is the twin's own.
        etag=str(device.get("deviceEtag") or device.get("etag") or ""),
        thumbprints=thumbprints_of((authentication.get("x509Thumbprint") or {}).values()),
    )


def thumbprints_of(given: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(one.upper() for one in given if one)
