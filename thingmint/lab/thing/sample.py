"""The simulated device's own firmware: it connects with what its modem holds, and logs as Nordic's Azure sample does.

The article reads such a log by eye. The numbers of failures are newlib's (errno); which of them a real modem gives for
which failed handshake was not measured, so that each failure to connect is ECONNREFUSED here.
"""

import dataclasses
import json
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from thingmint import device, files
from thingmint.errors import CheckError, HubError, InputError
from thingmint.target import Target

_ROOT, _CERTIFICATE, _KEY = 0, 1, 2  # credential types of AT%CMNG
_ECONNREFUSED, _EINVAL = 111, 22
_NOT_AUTHORISED = 5  # MQTT 3.1.1, 3.2.2.3
_MODULE = "azure_iot_hub_sample"


class Holder(Protocol):
    """What the firmware sees of the modem's storage: a TLS socket is told a sec tag, and the modem does the rest."""

    def read(self, tag: int, kind: int) -> bytes | None: ...


@dataclass(frozen=True)
class Build:
    """What the application was built with: the values of its Kconfig fragment."""

    device_id: str
    target: Target
    sec_tag: int = 10
    secondary_tag: int = 11


def run(build: Build, modem: Holder, emit: Callable[[str], None]) -> str:
    """Boot, connect, send one event, and return its body. `emit` is handed each line of the log.

    Raises CheckError where a credential is missing or unusable, HubError where the hub refuses; the log tells it first.
    """
    log = _Log(emit)
    log.emit("*** Booting thingmint's simulated device ***")
    log.write("inf", _MODULE, "Azure IoT Hub sample started")
    log.write("inf", _MODULE, f"Device ID: {build.device_id}")
    log.write("inf", _MODULE, f"Host name: {build.target.hub_host}")
    log.write("inf", _MODULE, "Connecting to LTE network")
    log.write("inf", _MODULE, "Network registration status: Connected - home network")
    log.write("inf", _MODULE, "Connected to LTE network")
    log.write("inf", _MODULE, "AZURE_IOT_HUB_EVT_CONNECTING")
    body = json.dumps({"temperature": round(random.uniform(20, 30), 1), "timestamp": int(time.time())})  # noqa: S311
    with tempfile.TemporaryDirectory(prefix="thingmint-") as folder:
        try:
            _speak(build, _Loaded.of(build, modem, Path(folder)), log, body)
        except (CheckError, HubError) as error:
            _log_failure(log, error)
            error.things_to_try = (
                *error.things_to_try,
                f"have it wait for AT commands: invoke modem --app at_client --imei {build.device_id}",
                f"then load it again: invoke provision --imei {build.device_id} --port auto",
            )
            raise
    log.write("inf", _MODULE, "Event was successfully sent")
    return body


def _speak(build: Build, loaded: "_Loaded", log: "_Log", body: str) -> None:
    def connected() -> None:
        log.write("dbg", "mqtt_helper", "mqtt_evt_handler: MQTT mqtt_client connected")
        log.write("inf", _MODULE, "AZURE_IOT_HUB_EVT_CONNECTED")
        log.write("inf", _MODULE, "AZURE_IOT_HUB_EVT_READY")
        log.write("inf", _MODULE, f"Sending event:{body}")

    log.write("dbg", "mqtt_helper", f"broker_init: Resolving IP address for {build.target.hub_host}")
    if build.target.mqtt_proxy:
        log.write("dbg", "mqtt_helper", f"broker_init: IPv4 Address found {build.target.mqtt_proxy[0]} (AF_INET)")
    try:
        device.send_telemetry(
            dataclasses.replace(build.target, ca_file=loaded.roots),
            build.device_id,
            certificate_chain=loaded.certificate,
            key=loaded.key,
            body=body,
            connected=connected,
        )
    except InputError:  # it names the files of a folder that is gone
        raise CheckError(
            f"what the modem holds in sec tag {build.sec_tag} is no pair: the certificate is not of that private key.",
        ) from None


def _log_failure(log: "_Log", error: CheckError | HubError) -> None:
    if isinstance(error, HubError) and error.status == 401:
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
        self._boot = time.monotonic()

    def write(self, level: str, module: str, text: str) -> None:
        micros = round((time.monotonic() - self._boot) * 1_000_000)
        seconds, rest = divmod(micros, 1_000_000)
        clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        self.emit(f"[{clock}.{rest // 1000:03},{rest % 1000:03}] <{level}> {module}: {text}")
