"""What a log proves, and what it does not."""

import pytest

from tests.monitor.logs import (
    ARTICLE,
    BOOT,
    CONNECTED,
    DISCONNECTED,
    IPV6_ONLY,
    PREFIX,
    REGISTERED,
    SENT,
    TRYING,
    UNRESOLVED,
    concluded,
    log,
)  # fmt: skip
from thingmint.firmware.log import telling
from thingmint.firmware.log.conclusions import Conclusions, Embedded
from thingmint.firmware.log.story import conclude

STATES = "<dbg> mqtt_helper: mqtt_state_set: State transition: MQTT_STATE_CONNECTING --> MQTT_STATE_CONNECTED"


def told(found: Conclusions) -> str:
    return "\n".join(telling.sentences(found))


def test_the_articles_own_lines() -> None:
    found = concluded(ARTICLE.encode())
    assert found.host == "iot-hub001-0xacc5-dev.azure-devices.net"
    assert found.address == "2001:8004:11d0:4e2a::d46:4ac3"
    assert found.embedded == Embedded("2001:8004:11d0:4e2a::/96", "13.70.74.195")
    assert not found.reached
    assert "which is no proof" in told(found)
    assert "nothing was concluded" in telling.failure(found)


def test_a_good_run_from_boot_to_events() -> None:
    found = concluded(
        log(
            BOOT,
            "<inf> azure_iot_hub_sample: Connecting to LTE network",
            REGISTERED,
            "<inf> azure_iot_hub_sample: Connected to LTE network",
            TRYING,
            *(line[19:] for line in ARTICLE.splitlines() if line != "..."),
            CONNECTED,
            "<inf> azure_iot_hub_sample: AZURE_IOT_HUB_EVT_READY",
            '<inf> azure_iot_hub_sample: Sending event:{"temperature":25.1,"timestamp":49101}',
            SENT,
            SENT,
        )
    )
    assert found.reached
    assert (found.connections, found.events, found.reboots) == (1, 2, 0)
    assert told(found).splitlines() == [
        "Registered in the home network.",
        "iot-hub001-0xacc5-dev.azure-devices.net was resolved to 2001:8004:11d0:4e2a::d46:4ac3.",
        "The device speaks IPv6.",
        "That is a NAT64 address: prefix 2001:8004:11d0:4e2a::/96, and 13.70.74.195 in it.",
        "Connected to the hub.",
        "2 events sent.",
    ]


def test_an_ipv4_only_log() -> None:
    found = concluded(
        log(
            "+CEREG: 5",
            "+CGEV: ME PDN ACT 0,0",
            "<dbg> mqtt_helper: broker_init: IPv4 Address found 13.70.74.195 (AF_INET)",
            STATES,
        )
    )
    assert found.reached
    assert (found.family, found.registration, found.embedded) == ("IPv4", "roaming", None)
    assert concluded(log("+CGEV: ME PDN ACT 0,0")).family == "IPv4"
    assert concluded(log("+CNEC_ESM: 50,0")).family == "IPv4"


def test_an_ipv6_only_log() -> None:
    assert concluded(log("+CNEC_ESM: 51,0")).family == "IPv6"
    early = concluded(log(IPV6_ONLY, UNRESOLVED))
    assert [one.cause.name for one in early.failures] == ["no-ipv6-prefix"]
    late = concluded(log("+CGEV: ME PDN ACT 0", UNRESOLVED, PREFIX))
    assert late.failures[0].cause.name == "no-ipv6-prefix"
    right = concluded(log(IPV6_ONLY, PREFIX, UNRESOLVED))
    assert [one.cause.name for one in right.failures] == ["resolver"]
    assert "DNS64" in "\n".join(telling.things_to_try(right))
    assert concluded(log(IPV6_ONLY, UNRESOLVED, PREFIX, CONNECTED)).reached


def test_how_an_address_is_read_is_handed_in() -> None:
    asked: list[str] = []

    def read(address: str) -> Embedded:
        asked.append(address)
        return Embedded("64:ff9b::/96", "192.0.2.1")

    found = conclude(ARTICLE.encode().splitlines(keepends=True), read)
    assert found.embedded == Embedded("64:ff9b::/96", "192.0.2.1")
    conclude([b"<dbg> mqtt_helper: broker_init: IPv4 Address found 13.70.74.195 (AF_INET)\n"], read)
    assert asked == ["2001:8004:11d0:4e2a::d46:4ac3"]


@pytest.mark.parametrize(
    "proof",
    [CONNECTED, "<inf> app: AZURE_IOT_HUB_EVT_READY", STATES, STATES.replace("State transition: ", "")],
)
def test_what_proves_a_connection(proof: str) -> None:
    assert concluded(log(proof)).reached
    assert not concluded(log(proof.replace("_EVT_READY", "_EVT_X").replace("CONNECTED", "DISCONNECTED"))).reached


def test_the_provisioning_service_is_not_the_hub() -> None:
    dps = "<dbg> mqtt_helper: broker_init: Resolving IP address for global.azure-devices-provisioning.net"
    hub = "<dbg> mqtt_helper: broker_init: Resolving IP address for h.azure-devices.net"
    assert not concluded(log(dps, STATES)).reached
    assert concluded(log(dps, STATES, hub, STATES)).reached


def test_colours_bare_stamps_and_urcs_inside_records() -> None:
    found = concluded(
        b"\x1b[0m[00:00:01.000,000] \x1b[0m<inf> app: Network registration status: Connected - roaming\x1b[0m\r\n"
        b"[00000000] <dbg> app: at_handler: +CGEV: ME PDN ACT 0,1\r\n"
        b"[00000000] \x1b[1;31m<err> mqtt_helper: mqtt_connect, error: -111\x1b[0m\r\n"
    )
    assert (found.registration, found.family) == ("roaming", "IPv6")
    assert found.failures[0].cause.name == "tls"


def test_a_boot_is_counted_once_whatever_banners_it_prints() -> None:
    boot = (
        BOOT,
        "I: Starting bootloader",
        "<inf> mcuboot: Jumping to the first image slot",
        BOOT,
        "*** Booting nRF Connect SDK v2.6 ***",
    )
    assert concluded(log(*boot, TRYING)).reboots == 0
    assert concluded(log(*boot, TRYING, *boot, "<inf> other: hello", *boot)).reboots == 2
    assert concluded(log("<inf> other: it began earlier", *boot)).reboots == 1


def test_after_a_reboot_it_has_to_register_and_connect_again() -> None:
    found = concluded(log(REGISTERED, CONNECTED, BOOT))
    assert (found.registration, found.connected, found.reached) == ("", False, True)
    again = concluded(log(REGISTERED, CONNECTED, BOOT, TRYING, UNRESOLVED))
    assert not again.reached
    assert "did not reach the hub again" in telling.failure(again)


def test_failures_are_counted_and_overcome_by_a_connection() -> None:
    failing = concluded(
        log(TRYING, UNRESOLVED, TRYING, UNRESOLVED, TRYING, "<err> mqtt_helper: mqtt_connect, error: -116")
    )
    assert [(one.cause.name, one.times) for one in failing.failures] == [("timeout", 1), ("resolver", 2)]
    assert "(2 times)" in telling.failure(failing)
    good = concluded(log(TRYING, UNRESOLVED, TRYING, CONNECTED))
    assert (good.reached, good.failures, good.overcome) == (True, (), 1)
    assert "1 failed attempt before that came to a good end." in told(good)


def test_a_connection_that_ends_is_no_failure_to_connect() -> None:
    found = concluded(
        log(CONNECTED, "<dbg> mqtt_helper: mqtt_evt_handler: MQTT_EVT_DISCONNECT: result = -116", DISCONNECTED,
            "<err> mqtt_helper: Cloud MQTT keepalive ping failed: -116", TRYING, CONNECTED)
    )  # fmt: skip
    assert found.reached
    assert (found.connections, found.disconnects) == (2, 1)
    assert [one.cause.name for one in found.lost] == ["nat-timeout"]
    assert "Disconnected, and connected again." in told(found)
    assert not concluded(log(TRYING, "<dbg> mqtt_helper: loop: Socket error: POLLHUP")).reached


def test_dropped_messages_make_a_missing_line_prove_nothing() -> None:
    found = concluded(log("--- 14 messages dropped ---", SENT, "--- 2 messages dropped ---"))
    assert found.dropped == 16
    assert "may have happened" in told(found)
    assert any("CONFIG_LOG_BUFFER_SIZE" in thing for thing in telling.things_to_try(found))
    assert "does not show the connection" in told(found)


def test_registration_that_is_lost_and_found() -> None:
    assert concluded(log('+CEREG: 1,"002F","0012BEEF",7', "+CEREG: 2")).registration == "lost"
    assert concluded(log("+CEREG: 2", '+CEREG: 5,1,"002F","0012BEEF",9')).registration == "home"
    assert concluded(log("+CEREG: 3", "+CEREG: 5")).failures == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "the log is empty"),
        (b"\x00\xff\xfe" * 1000, "no line of this is one of Zephyr's log"),
        (b"Jan  1 00:00:00 host sshd[1]: MQTT mqtt_client connected\n", "no line of this is one of Zephyr's log"),
        (log(BOOT, "The AT host sample started", "Ready"), "runs the AT client"),
        (log(BOOT, "<inf> blinky: on", "<inf> blinky: off"), "neither a connection to the hub nor a failure"),
    ],
)
def test_nothing_concluded_says_what_the_log_is(text: bytes, said: str) -> None:
    found = concluded(text)
    assert not found.reached
    assert said in telling.failure(found)
    assert telling.things_to_try(found)


CONNECTED_AND_SENT = (CONNECTED, SENT)


@pytest.mark.parametrize(
    "lines",
    [
        ("<err> mqtt_helper: getaddrinfo() failed, error -3", *CONNECTED_AND_SENT, "+CGEV: IPV6 0"),
        (*CONNECTED_AND_SENT, "+CGEV: IPV6 FAIL 0"),
        (*CONNECTED_AND_SENT, "+CNEC_ESM: 27,1"),
        (*CONNECTED_AND_SENT, "<err> date_time: getaddrinfo() failed, error -11"),
    ],
    ids=["an early name, then IPv4", "IPv6 fails later", "a second PDN", "another module's name"],
)
def test_what_fails_beside_a_connection_is_no_failure_to_reach_the_hub(lines: tuple[str, ...]) -> None:
    found = concluded(log(*lines))
    assert found.reached, telling.failure(found)


def test_an_ipv4_address_on_an_ipv6_network_is_a_matter_of_dns64() -> None:
    found = concluded(
        log(
            "+CGEV: ME PDN ACT 0,1",
            "<dbg> mqtt_helper: broker_init: Resolving IP address for hub.azure-devices.net",
            "<dbg> mqtt_helper: broker_init: IPv4 Address found 13.70.74.195 (AF_INET)",
            "<err> mqtt_helper: mqtt_connect, error: -118",
        )
    )
    assert "DNS64" in telling.failure(found)
    assert "before its IPv6 connection was ready" not in telling.failure(found)
