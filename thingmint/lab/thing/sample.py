"""The simulated device's own firmware: it connects with what its modem holds, and logs as Nordic's Azure sample does.

The article reads such a log by eye. The numbers of failures are newlib's (errno); which of them a real modem gives for
which failed handshake was not measured, so that each failure to connect is ECONNREFUSED here.
"""

import contextlib
import dataclasses
import json
import random
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from thingmint import files
from thingmint.device import conversation, registration
from thingmint.errors import CheckError, HubError, InputError
from thingmint.target import PROVISIONING_DEVICES, Target

_ROOT, _CERTIFICATE, _KEY = 0, 1, 2  # credential types of AT%CMNG
_ECONNREFUSED, _EINVAL = 111, 22
_NOT_AUTHORISED = 5  # MQTT 3.1.1, 3.2.2.3
_INTERVAL_SECONDS = 20
_TICK_SECONDS = 0.1
_LARGEST_INT = 2**31 - 1  # of C's int
_MODULE, _DPS = "azure_iot_hub_sample", "azure_iot_hub_dps"


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
) -> str:
    """Boot, connect, send one event, and return its body. `emit` is handed each line of the log.

    `heard` is called with the body once the hub has acknowledged it. With `pause`, which waits for some seconds, it goes
    on as the sample does, until that or `emit` raises.

    Raises CheckError where a credential is missing or unusable, HubError where the hub refuses; the log tells it first.
    """
    log = _Log(emit)
    log.emit("*** Booting thingmint's simulated device ***")
    log.write("inf", _MODULE, "Azure IoT Hub sample started")
    log.write("inf", _MODULE, f"Device ID: {build.device_id}")
    if not build.id_scope:
        log.write("inf", _MODULE, f"Host name: {build.target.hub_host}")
    log.write("inf", _MODULE, "Connecting to LTE network")
    log.write("inf", _MODULE, "Network registration status: Connected - home network")
    log.write("inf", _MODULE, "Connected to LTE network")
    log.write("inf", _MODULE, "AZURE_IOT_HUB_EVT_CONNECTING")
    application = _Application(log, heard, pause)
    with tempfile.TemporaryDirectory(prefix="thingmint-") as folder:
        try:
            loaded = _Loaded.of(build, modem, Path(folder))
            with _naming_the_tag(build):
                _speak(_assigned(build, loaded, log) if build.id_scope else build, loaded, log, application)
        except (CheckError, HubError) as error:
            if application.connected:
                log.write("inf", _MODULE, "AZURE_IOT_HUB_EVT_DISCONNECTED")
                raise
            _log_failure(log, error)
            error.things_to_try = (
                *error.things_to_try,
                f"have it wait for AT commands: invoke modem --app at_client --imei {build.device_id}",
                f"then load it again: invoke provision --imei {build.device_id} --port auto",
            )
            raise
    return application.said


def _speak(build: Build, loaded: "_Loaded", log: "_Log", application: "_Application") -> None:
    _resolve(build.target.hub_host, build.target, log)
    conversation.converse(
        dataclasses.replace(build.target, ca_file=loaded.roots),
        build.device_id,
        application.talk,
        certificate_chain=loaded.certificate,
        key=loaded.key,
    )


class _Application:
    """What Nordic's sample does once it is connected: an event at each interval, which its twin can change, and an LED.

    A method that it does not know, it leaves without an answer.
    """

    def __init__(self, log: "_Log", heard: Callable[[str], None], pause: Callable[[float], None] | None) -> None:
        self._log = log
        self._heard = heard
        self._pause = pause
        self._interval = _INTERVAL_SECONDS
        self._due = 0.0
        self.connected = False
        self.said = ""  # in its first event

    def talk(self, line: conversation.Line) -> None:
        self._log.write("dbg", "mqtt_helper", "mqtt_evt_handler: MQTT mqtt_client connected")
        self.connected = True
        self._tell("AZURE_IOT_HUB_EVT_CONNECTED")
        self._tell("AZURE_IOT_HUB_EVT_READY")
        desired = line.twin().get("desired", {})
        self._tell("AZURE_IOT_HUB_EVT_TWIN_RECEIVED")
        self._apply(self._wanted(desired))
        self.said = self._send(line)
        self._heard(self.said)
        while self._pause:
            self._pause(_TICK_SECONDS)
            while not line.news.empty():
                self._hear(line, line.news.get())
            if time.monotonic() >= self._due:
                self._send(line)

    def _send(self, line: conversation.Line) -> str:
        event = {"temperature": round(random.uniform(20, 30), 1), "timestamp": int(time.time())}  # noqa: S311
        body = json.dumps(event)
        self._tell(f"Sending event:{body}")
        line.send(body)
        self._tell("Event was successfully sent")
        self._tell(f"Next event will be sent in {self._interval} seconds")
        self._due = time.monotonic() + self._interval
        return body

    def _hear(self, line: conversation.Line, news: conversation.News) -> None:
        match news:
            case conversation.Desired(values=values):
                self._tell("AZURE_IOT_HUB_EVT_TWIN_DESIRED_RECEIVED")
                if (interval := self._wanted(values)) >= 0:
                    line.report({"telemetryInterval": interval})
                    self._apply(interval)
                    self._tell(f"New telemetry interval has been applied: {interval}")
                    self._tell("AZURE_IOT_HUB_EVT_TWIN_RESULT_SUCCESS")
            case conversation.Call(method=method, payload=payload, answer=answer):
                self._tell("AZURE_IOT_HUB_EVT_DIRECT_METHOD")
                self._tell(f"Method name: {method}")
                self._tell(f"Payload: {json.dumps(payload)}")
                if method == "led":
                    answer(200, {"it": "worked"})
                else:
                    self._tell("Unknown direct method")
            case conversation.Said(body=body):
                self._tell("AZURE_IOT_HUB_EVT_DATA_RECEIVED")
                self._tell(f"Received payload: {body.decode(errors='replace')}")
            case conversation.Gone():
                raise line.broke()

    def _apply(self, interval: int) -> None:
        if interval > 0:
            self._interval, self._due = interval, 0.0  # the next event leaves at once

    def _wanted(self, desired: dict[str, Any]) -> int:
        """As the sample reads it: a number, or a text that begins with one, else 0; -1 where there is neither."""
        if "telemetryInterval" not in desired:
            self._tell("No 'telemetryInterval' object in the device twin")
            return -1
        value = desired["telemetryInterval"]
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            self._log.write("wrn", _MODULE, "Invalid telemetry interval format received")
            return -1
        if isinstance(value, str):
            digits = re.match(r"\s*([+-]?\d{1,9})", value, re.ASCII)
            return int(digits[1]) if digits else 0
        return min(int(value), _LARGEST_INT)

    def _tell(self, text: str) -> None:
        self._log.write("inf", _MODULE, text)


def _assigned(build: Build, loaded: "_Loaded", log: "_Log") -> Build:
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


def _resolve(host: str, target: Target, log: "_Log") -> None:
    log.write("dbg", "mqtt_helper", f"broker_init: Resolving IP address for {host}")
    if target.mqtt_proxy:
        log.write("dbg", "mqtt_helper", f"broker_init: IPv4 Address found {target.mqtt_proxy[0]} (AF_INET)")


def _log_failure(log: "_Log", error: CheckError | HubError) -> None:
    if log.told_why:
        pass
    elif isinstance(error, HubError) and error.status == 401:
        log.write("err", "azure_iot_hub", f"Connection was rejected with return code {_NOT_AUTHORISED}")
        log.write("wrn", "azure_iot_hub", "Is the device certificate valid?")
    else:
        number = _EINVAL if isinstance(error, CheckError) else _ECONNREFUSED
        log.write("err", "mqtt_helper", f"mqtt_connect, error: -{number}")
        log.write("err", "azure_iot_hub", f"mqtt_helper_connect failed, error: -{number}")
    log.write("inf", _MODULE, "AZURE_IOT_HUB_EVT_CONNECTION_FAILED")


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


class _Log:
    """Zephyr's format: `[hh:mm:ss.mmm,uuu] <level> module: text`, counted from the boot."""

    def __init__(self, emit: Callable[[str], None]) -> None:
        self.emit = emit
        self.told_why = False
        self._boot = time.monotonic()

    def write(self, level: str, module: str, text: str) -> None:
        self.told_why = self.told_why or level == "err"
        micros = round((time.monotonic() - self._boot) * 1_000_000)
        seconds, rest = divmod(micros, 1_000_000)
        clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        self.emit(f"[{clock}.{rest // 1000:03},{rest % 1000:03}] <{level}> {module}: {text}")
