"""The simulated device's own firmware: it connects with what its modem holds, and logs as Nordic's Azure sample does.

It comes back after its connection ended, as an application in a product does: Nordic's own sample only logs that.
The article reads such a log by eye. The numbers of failures are newlib's (errno); which of them a real modem gives for
which failed handshake was not measured, so that each failure to connect is ECONNREFUSED here.
"""

import contextlib
import dataclasses
import random
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from thingmint import files
from thingmint.device import conversation, registration
from thingmint.errors import CheckError, HubError, InputError
from thingmint.lab.thing.application import MODULE, Application, Log
from thingmint.target import PROVISIONING_DEVICES, Target

_ROOT, _CERTIFICATE, _KEY = 0, 1, 2  # credential types of AT%CMNG
_ECONNREFUSED, _EINVAL = 111, 22
_NOT_AUTHORISED = 5  # MQTT 3.1.1, 3.2.2.3
_CONNECT_SECONDS, _AGAIN_SECONDS = 60.0, 8.0  # for a connection to stand, the first time and later; and its keep-alive
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 4.0  # before the next attempt: a desk's; a real device takes minutes
_DPS = "azure_iot_hub_dps"


class Holder(Protocol):
    """What the firmware sees of the modem's storage: a TLS socket is told a sec tag, and the modem does the rest."""

    def read(self, tag: int, kind: int) -> bytes | None: ...


@dataclass(frozen=True)
class Build:
    """What the application was built with: the values of its Kconfig fragment.

    With an `id_scope` it knows no hub, and asks the provisioning service for one.
    """

    device_id: str
    target: Target
    sec_tag: int = 10
    secondary_tag: int = 11
    id_scope: str | None = None


def id_scope_in(image: bytes) -> str | None:
    """The one that an application was built with, told by the strings in its image; None without the provisioning service."""
    found = re.search(rb"0ne[0-9A-Fa-f]{8}", image) if PROVISIONING_DEVICES.encode() in image else None
    return found[0].decode() if found else None


def run(
    build: Build,
    modem: Holder,
    emit: Callable[[str], None],
    *,
    heard: Callable[[str], None] = lambda _body: None,
    pause: Callable[[float], None] | None = None,
    there: Callable[[], bool] = lambda: True,
) -> str:
    """Boot, connect, send one event, and return its body. `emit` is handed each line of the log.

    `heard` is called with the body once the hub has acknowledged it. With `pause`, which waits for some seconds, it goes
    on as the sample does, until that or `emit` raises; once it was connected, it connects again whenever its connection
    ends, as long as there is a hub to be reached at all (`there`).

    Raises CheckError where a credential is missing or unusable, HubError where the hub refuses; the log tells it first.
    """
    log = Log(emit)
    log.emit("*** Booting thingmint's simulated device ***")
    log.write("inf", MODULE, "Azure IoT Hub sample started")
    log.write("inf", MODULE, f"Device ID: {build.device_id}")
    if not build.id_scope:
        log.write("inf", MODULE, f"Host name: {build.target.hub_host}")
    log.write("inf", MODULE, "Connecting to LTE network")
    log.write("inf", MODULE, "Network registration status: Connected - home network")
    log.write("inf", MODULE, "Connected to LTE network")
    log.write("inf", MODULE, "AZURE_IOT_HUB_EVT_CONNECTING")
    application = Application(log, heard, pause)
    with tempfile.TemporaryDirectory(prefix="thingmint-") as folder:
        try:
            loaded = _Loaded.of(build, modem, Path(folder))
            with _naming_the_tag(build):
                found = _assigned(build, loaded, log) if build.id_scope else build
                _stay(found, loaded, log, application, pause, there)
        except (CheckError, HubError) as error:
            if application.connected:
                raise
            _log_failure(log, error)
            error.things_to_try = (
                *error.things_to_try,
                f"have it wait for AT commands: invoke modem --app at_client --imei {build.device_id}",
                f"then load it again: invoke provision --imei {build.device_id} --port auto",
            )
            raise
    return application.said


def _stay(
    build: Build,
    loaded: "_Loaded",
    log: Log,
    application: Application,
    pause: Callable[[float], None] | None,
    there: Callable[[], bool],
) -> None:
    """Speak, and with `pause` come back again and again. Raises what the connection ended with if nothing is there then."""
    broke: HubError | None = None
    while True:
        try:
            _speak(build, loaded, log, application, _AGAIN_SECONDS if broke else _CONNECT_SECONDS)
        except HubError as error:
            if not application.connected:  # never yet
                raise
            if application.failures:
                _log_failure(log, error)
            else:
                log.write("inf", MODULE, "AZURE_IOT_HUB_EVT_DISCONNECTED")
                broke = error
            if pause is None or not there():
                raise broke or error from None
        else:
            return
        wait = min(_FIRST_WAIT * 2.0**application.failures, _LONGEST_WAIT) * random.uniform(0.5, 1.0)  # noqa: S311
        application.failures += 1
        log.write("inf", MODULE, f"Next attempt to connect in {wait:.1f} seconds")
        pause(wait)
        log.told_why = False
        log.write("inf", MODULE, "AZURE_IOT_HUB_EVT_CONNECTING")


def _speak(build: Build, loaded: "_Loaded", log: Log, application: Application, timeout: float) -> None:
    _resolve(build.target.hub_host, build.target, log)
    conversation.converse(
        dataclasses.replace(build.target, ca_file=loaded.roots),
        build.device_id,
        application.talk,
        certificate_chain=loaded.certificate,
        key=loaded.key,
        timeout=timeout,
    )


def _assigned(build: Build, loaded: "_Loaded", log: Log) -> Build:
    """Registered at the provisioning service, which says which hub it is for, and what it is called there."""
    scope = build.id_scope or ""
    log.write("dbg", _DPS, f"dps_id_scope_set: Setting DPS ID scope: {scope}")
    log.write("dbg", _DPS, f"dps_reg_id_set: Setting DPS registration ID: {build.device_id}")
    log.write("dbg", _DPS, "dps_state_set: State transition: DPS_STATE_DISCONNECTED --> DPS_STATE_CONNECTING")
    _resolve(PROVISIONING_DEVICES, build.target, log)
    try:
        assigned = registration.register(
            dataclasses.replace(build.target, ca_file=loaded.roots),
            scope,
            build.device_id,
            certificate_chain=loaded.certificate,
            key=loaded.key,
        )
    except HubError as error:
        if error.status is not None:
            log.write("err", _DPS, "The device was not assigned to hub")
            log.write("err", _DPS, "The registration was not successful, no IoT Hub was assigned")
        else:
            log.write("err", "mqtt_helper", f"mqtt_connect, error: -{_ECONNREFUSED}")
            log.write("err", _DPS, f"mqtt_helper_connect failed, error: -{_ECONNREFUSED}")
        raise
    log.write("dbg", _DPS, "dps_state_set: State transition: DPS_STATE_CONNECTING --> DPS_STATE_CONNECTED")
    log.write("dbg", _DPS, "on_connack: MQTT connected")
    log.write("dbg", _DPS, "topic_subscribe: Successfully subscribed to DPS topics")
    log.write("dbg", _DPS, "handle_reg_update: DPS registration request response received")
    told = f"Device ID {assigned.device_id} is now registered to {assigned.hub_host}"
    log.write("dbg", _DPS, f"on_reg_completed: {told}")
    target = dataclasses.replace(build.target, hub_host=assigned.hub_host)
    return dataclasses.replace(build, device_id=assigned.device_id, target=target)


@contextlib.contextmanager
def _naming_the_tag(build: Build) -> Iterator[None]:
    try:
        yield
    except InputError:  # it names the files of a folder that is gone
        raise CheckError(
            f"what the modem holds in sec tag {build.sec_tag} is no pair: the certificate is not of that private key.",
        ) from None


def _resolve(host: str, target: Target, log: Log) -> None:
    log.write("dbg", "mqtt_helper", f"broker_init: Resolving IP address for {host}")
    if target.mqtt_proxy:
        log.write("dbg", "mqtt_helper", f"broker_init: IPv4 Address found {target.mqtt_proxy[0]} (AF_INET)")


def _log_failure(log: Log, error: CheckError | HubError) -> None:
    if log.told_why:
        pass
    elif isinstance(error, HubError) and error.status == 401:
        log.write("err", "azure_iot_hub", f"Connection was rejected with return code {_NOT_AUTHORISED}")
        log.write("wrn", "azure_iot_hub", "Is the device certificate valid?")
    else:
        number = _EINVAL if isinstance(error, CheckError) else _ECONNREFUSED
        log.write("err", "mqtt_helper", f"mqtt_connect, error: -{number}")
        log.write("err", "azure_iot_hub", f"mqtt_helper_connect failed, error: -{number}")
    log.write("inf", MODULE, "AZURE_IOT_HUB_EVT_CONNECTION_FAILED")


@dataclass(frozen=True)
class _Loaded:
    """The sec tags' bytes, untouched, as files: the SDK that stands for the modem's TLS wants files."""

    roots: Path
    certificate: Path
    key: Path

    @classmethod
    def of(cls, build: Build, modem: Holder, folder: Path) -> "_Loaded":
        """`folder` is its owner's alone. Raises CheckError naming what the sec tags lack."""
        found = {kind: modem.read(build.sec_tag, kind) for kind in (_ROOT, _CERTIFICATE, _KEY)}
        names = {_ROOT: "server root", _CERTIFICATE: "client certificate", _KEY: "private key"}
        missing = [name for kind, name in names.items() if not found[kind]]
        if missing:
            raise CheckError(
                f"the modem's sec tag {build.sec_tag} holds no {', no '.join(missing)}.",
            )
        roots = (found[_ROOT] or b"") + (modem.read(build.secondary_tag, _ROOT) or b"")
        made = cls(folder / "roots.pem", folder / "device.pem", folder / "device.key")
        for path, content in (
            (made.roots, roots),
            (made.certificate, found[_CERTIFICATE]),
            (made.key, found[_KEY]),
        ):
            files.create(path, content or b"", mode=files.SECRET)
        return made
