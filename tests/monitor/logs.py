"""Logs for the tests: the article's own lines, and others in the same form."""

from thingmint.firmware.log.conclusions import Conclusions
from thingmint.firmware.log.story import conclude
from thingmint.workflows.firmware.monitoring import embedded_in

ARTICLE = """\
[00:00:04.396,423] <dbg> mqtt_helper: broker_init: Resolving IP address for iot-hub001-0xacc5-dev.azure-devices.net
[00:00:04.595,703] <dbg> mqtt_helper: broker_init: IPv6 Address found 2001:8004:11d0:4e2a::d46:4ac3 (AF_INET6)
...
[00:00:08.191,101] <dbg> mqtt_helper: mqtt_evt_handler: MQTT mqtt_client connected
"""
BOOT = "*** Booting Zephyr OS build v3.2.99-ncs2 ***"
REGISTERED = "<inf> azure_iot_hub_sample: Network registration status: Connected - home network"
TRYING = "<inf> azure_iot_hub_sample: AZURE_IOT_HUB_EVT_CONNECTING"
CONNECTED = "<inf> azure_iot_hub_sample: AZURE_IOT_HUB_EVT_CONNECTED"
DISCONNECTED = "<inf> azure_iot_hub_sample: AZURE_IOT_HUB_EVT_DISCONNECTED"
SENT = "<inf> azure_iot_hub_sample: Event was successfully sent"
IPV6_ONLY = "+CGEV: ME PDN ACT 0,1"
PREFIX = "+CGEV: IPV6 0"
UNRESOLVED = "<err> mqtt_helper: getaddrinfo() failed, error -2"


def log(*lines: str) -> bytes:
    """As the device writes them: a stamp before each record, CRLF."""
    return "".join(
        f"{f'[00:00:{n:02}.460,540] ' * line.startswith('<')}{line}\r\n" for n, line in enumerate(lines)
    ).encode()


def concluded(text: bytes) -> Conclusions:
    return conclude(text.splitlines(keepends=True), embedded_in)
