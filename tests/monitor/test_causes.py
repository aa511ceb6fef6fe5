"""Every row of the table of failures, by the line that a device prints."""

import pytest

from tests.monitor.logs import TRYING, concluded, log
from thingmint.firmware.log import numbers, telling
from thingmint.firmware.log.causes import SIGNS

ROWS = [
    ("<err> mqtt_helper: getaddrinfo() failed, error -2", "resolver", "NONAME"),
    ("<err> mqtt_helper: getaddrinfo() failed, error -3", "resolver", "AGAIN"),
    ("<err> mqtt_helper: getaddrinfo() failed, error: -11", "resolver", "SYSTEM"),
    ("<err> mqtt_helper: getaddrinfo() failed, error -77", "resolver", "without a name"),
    ("<err> mqtt_helper: mqtt_connect, error: -22", "credentials", "sec tag is empty"),
    ("<err> mqtt_helper: mqtt_connect, error: -45", "tls", "EDEADLK"),
    ("<err> mqtt_helper: mqtt_connect, error: -111", "tls", "not trusted"),
    ("<err> mqtt_helper: mqtt_connect, error: -114", "no-route", "ENETUNREACH"),
    ("<err> mqtt_helper: mqtt_connect, error: -116", "timeout", "ETIMEDOUT"),
    ("<err> mqtt_helper: mqtt_connect, error: -12", "memory", "ENOMEM"),
    ("<err> mqtt_helper: mqtt_connect, error: -128", "connect", "ENOTCONN"),
    ("<err> mqtt_helper: mqtt_connect, error: -9999", "connect", "without a name"),
    ("<err> azure_iot_hub: mqtt_helper_connect failed, error: -111", "helper", "ECONNREFUSED"),
    *(
        (f"<err> azure_iot_hub: Connection was rejected with return code {number}", "rejected", words)
        for number, words in numbers.RETURN_CODES.items()
    ),
    ("<err> azure_iot_hub: Connection was rejected with return code 77", "rejected", "return code 77."),
    ("<wrn> azure_iot_hub: Is the device certificate valid?", "certificate", "device certificate is valid"),
    ("<err> azure_iot_hub: Failed to get user name, az error: 0x80010003", "user-name", "longer than"),
    ("<err> azure_iot_hub_dps: The device was not assigned to hub", "dps-not-assigned", "to no hub"),
    ("<err> azure_iot_hub: DPS timed out, connection attempt terminated", "dps-timeout", "in time"),
    ("<err> mqtt_helper: Cloud MQTT keepalive ping failed: -116", "nat-timeout", "NAT time-out"),
    ("<err> mqtt_helper: Cloud MQTT input error: -128", "input", "ENOTCONN"),
    ("<dbg> mqtt_helper: mqtt_helper_poll_loop: Socket error: POLLHUP", "pollhup", "closed the connection"),
    ("<dbg> mqtt_helper: mqtt_helper_poll_loop: Socket error: POLLERR", "pollerr", "broke"),
    ("<dbg> mqtt_helper: mqtt_helper_poll_loop: Socket error: POLLNVAL", "pollnval", "on this side"),
    ("<inf> azure_iot_hub_sample: AZURE_IOT_HUB_EVT_CONNECTION_FAILED", "connection-failed", "does not say why"),
    ("<err> os: >>> ZEPHYR FATAL ERROR 4: Kernel panic on CPU 0", "crash", "crashed"),
    ("+CEREG: 3", "registration-denied", "refuses"),
    ('+CEREG: 90,"FFFE","FFFFFFFF"', "no-sim", "SIM card"),
    ("+CGEV: IPV6 FAIL 0", "ipv6-failed", "no IPv6 prefix"),
    ("+CNEC_ESM: 27,0", "esm", "APN"),
    ("+CNEC_ESM: 111,0", "esm", "without a name"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "name", "said"), ROWS, ids=lambda value: str(value)[-40:])
def test_a_line_of_the_table_names_its_cause_and_what_to_try(line: str, name: str, said: str) -> None:
    found = concluded(log(TRYING, line))
    assert [one.cause.name for one in found.failures] == [name]
    assert said in telling.failure(found)
    assert telling.things_to_try(found)


def test_every_row_of_the_table_is_tried_here() -> None:
    assert not [sign.head for sign in SIGNS if not any(sign.head in line for line, *_ in ROWS)]


def test_a_line_that_only_says_that_it_failed_gives_way_to_one_that_says_why() -> None:
    found = concluded(
        log(
            "<err> azure_iot_hub: Connection was rejected with return code 5",
            "<wrn> azure_iot_hub: Is the device certificate valid?",
            "<err> azure_iot_hub: mqtt_helper_connect failed, error: -111",
            "<inf> azure_iot_hub_sample: AZURE_IOT_HUB_EVT_CONNECTION_FAILED",
        )
    )
    assert [one.cause.name for one in found.failures] == ["rejected"]


def test_numbers_are_newlibs() -> None:
    assert "ENETUNREACH" in numbers.of_errno(-114)
    assert "without a name" in numbers.of_errno(-101)  # Linux's
