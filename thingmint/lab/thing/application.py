"""What Nordic's Azure sample does once it is connected, and the log that it writes."""

import json
import random
import re
import time
from collections.abc import Callable
from typing import Any

from thingmint.device import conversation

MODULE = "azure_iot_hub_sample"
_INTERVAL_SECONDS = 20
_TICK_SECONDS = 0.1
_LARGEST_INT = 2**31 - 1  # of C's int


class Log:
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


class Application:
    """What Nordic's sample does once it is connected: an event at each interval, which its twin can change, and an LED.

    A method that it does not know, it leaves without an answer.
    """

    def __init__(self, log: Log, heard: Callable[[str], None], pause: Callable[[float], None] | None) -> None:
        self._log = log
        self._heard = heard
        self._pause = pause
        self._interval = _INTERVAL_SECONDS
        self._due = 0.0
        self._unsent = ""  # an event that the hub has not acknowledged: it is sent again
        self.connected = False  # at some time
        self.failures = 0  # since then
        self.said = ""  # in its first event

    def talk(self, line: conversation.Line) -> None:
        self._log.write("dbg", "mqtt_helper", "mqtt_evt_handler: MQTT mqtt_client connected")
        self.connected, self.failures = True, 0
        self._tell("AZURE_IOT_HUB_EVT_CONNECTED")
        self._tell("AZURE_IOT_HUB_EVT_READY")
        desired = line.twin().get("desired", {})
        self._tell("AZURE_IOT_HUB_EVT_TWIN_RECEIVED")
        self._apply(self._wanted(desired))
        said = self._send(line)
        if not self.said:
            self.said = said
            self._heard(said)
        while self._pause:
            self._pause(_TICK_SECONDS)
            while not line.news.empty():
                self._hear(line, line.news.get())
            if time.monotonic() >= self._due:
                self._send(line)

    def _send(self, line: conversation.Line) -> str:
        event = {"temperature": round(random.uniform(20, 30), 1), "timestamp": int(time.time())}  # noqa: S311
        body = self._unsent = self._unsent or json.dumps(event)
        self._tell(f"Sending event:{body}")
        line.send(body)
        self._unsent = ""
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
            self._log.write("wrn", MODULE, "Invalid telemetry interval format received")
            return -1
        if isinstance(value, str):
            digits = re.match(r"\s*([+-]?\d{1,9})", value, re.ASCII)
            return int(digits[1]) if digits else 0
        return min(int(value), _LARGEST_INT)

    def _tell(self, text: str) -> None:
        self._log.write("inf", MODULE, text)
