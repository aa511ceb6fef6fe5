"""The table of failures: what the firmware or the modem prints, what that means, and what to try.

A new one is a row of SIGNS: how the message begins (word for word, since that is what the log is searched for), the rest
as a pattern, and the cause, or a function of the match that gives it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from thingmint.firmware.log import numbers


class Stage(Enum):
    """Where it goes wrong, and so what proves that it is over."""

    NETWORK = "network"  # over when the device is registered
    HUB = "hub"  # over when it is connected
    LINK = "link"  # of a connection that stood already: not a failure to connect


@dataclass(frozen=True)
class Cause:
    """`vague`: it says that something failed, and another line why."""

    name: str
    says: str
    things_to_try: tuple[str, ...] = ()
    stage: Stage = Stage.HUB
    vague: bool = False
    of_route: bool = False  # what a missing IPv6 prefix looks like


@dataclass(frozen=True)
class Sign:
    """`head` + `rest` is a pattern for the beginning of a message."""

    head: str
    rest: str
    cause: Callable[[re.Match[str]], Cause | None]

    def read(self, message: str) -> Cause | None:
        if not message.startswith(self.head):
            return None
        found = re.compile(self.rest).match(message, len(self.head))
        return self.cause(found) if found else None


_LOAD = "load the modem, each credential proven by its digest: invoke provision --imei ID --port P"
_CREDS = "see what the modem holds: invoke creds --port P"
_DEBUG = "log more: CONFIG_MQTT_HELPER_LOG_LEVEL_DBG=y, then read the log again"
_COVERAGE = "check antenna, coverage, and that the SIM card is active and of a network with LTE-M or NB-IoT"

NO_PREFIX = Cause(
    "no-ipv6-prefix",
    "the device asked before its IPv6 connection was ready: the network sends the IPv6 prefix after the connection is up "
    "(+CGEV: IPV6), and until then no name is resolved and no server is reached.",
    (
        "let the application wait for the PDN event of IPv6 (+CGEV: IPV6) before it connects; the article waits a second",
        "or try again in the application after a failure",
    ),
)
NO_DNS64 = Cause(
    "no-dns64",
    "the network gives IPv6 alone, and the hub's name was resolved to an IPv4 address, which is not reached from there: "
    "its resolver makes no IPv6 address of it (DNS64).",
    (
        "does the network have NAT64 and DNS64? On a machine in it: invoke nat64 --discover",
        "ask the operator for an APN with NAT64, or one with IPv4",
    ),
)
CERTIFICATE = Cause(
    "certificate",
    "the hub rejected the device, and its library asks whether the device certificate is valid.",
    (
        "is the device registered, and its CA verified? invoke device --imei ID, invoke verify",
        "are the device's files whole? invoke ca-check",
        _LOAD,
    ),
    vague=True,
)
USER_NAME = Cause(
    "user-name",
    "the user name (host name, device id, API version) is longer than the firmware's buffer for it.",
    (
        "build with a larger CONFIG_AZURE_IOT_HUB_USER_NAME_BUF_SIZE: it was 128 before SDK 2.4",
        "or use a shorter hub name or id",
    ),
)
NAT = Cause(
    "nat-timeout",
    "the network had forgotten the connection (NAT time-out): the MQTT ping was not answered.",
    ("ping more often: a smaller CONFIG_MQTT_KEEPALIVE", "ask the operator for its time-out, often a few minutes"),
    Stage.LINK,
)
NOT_ASSIGNED = Cause(
    "dps-not-assigned",
    "the provisioning service assigned the device to no hub.",
    (
        "is there an enrolment for this device, or for its CA, and is that CA verified at the provisioning service?",
        "is the registration id (CONFIG_AZURE_IOT_HUB_DPS_REG_ID) the certificate's common name?",
        "is a hub linked to the provisioning service?",
    ),
)
DPS_TIMEOUT = Cause(
    "dps-timeout",
    "the provisioning service did not answer in time.",
    (
        "check the ID scope: CONFIG_AZURE_IOT_HUB_DPS_ID_SCOPE",
        "allow more time: CONFIG_AZURE_IOT_HUB_DPS_TIMEOUT_SEC",
        _DEBUG,
    ),
)
CRASH = Cause(
    "crash",
    "the firmware crashed (a fatal error of Zephyr).",
    (
        "the lines before it say where",
        "a stack may be too small: CONFIG_MAIN_STACK_SIZE, CONFIG_THREAD_ANALYZER=y shows it",
    ),
)
FAILED = Cause(
    "connection-failed", "the connection to the hub failed, and the log does not say why.", (_DEBUG,), vague=True
)
DENIED = Cause(
    "registration-denied",
    "the network refuses the device (+CEREG: 3).",
    (
        "is the SIM card active, and may it use LTE-M or NB-IoT here?",
        "is roaming allowed?",
        "does the network bar this IMEI?",
    ),
    Stage.NETWORK,
)
NO_SIM = Cause(
    "no-sim",
    "the modem cannot use its SIM card (+CEREG: 90).",
    (
        "push the SIM card in as far as it goes, then switch off and on",
        "a SIM card with a PIN: switch the PIN off in a telephone",
    ),
    Stage.NETWORK,
)
IPV6_FAILED = Cause(
    "ipv6-failed",
    "the network gave no IPv6 prefix (+CGEV: IPV6 FAIL).",
    (
        "check the APN and its contract: does it have IPv6?",
        "build for both families, or for IPv4 (CONFIG_PDN_DEFAULT_FAM_IPV4V6)",
    ),
    Stage.NETWORK,
)


def _resolver(found: re.Match[str]) -> Cause:
    number = int(found[1])
    things = {
        2: (
            "is the host name right? CONFIG_AZURE_IOT_HUB_HOSTNAME",
            "in an IPv6-only network the resolver needs DNS64: the hub itself has IPv4 alone",
            "an SDK before 2.4 asks for IPv4 alone (its mqtt_helper is AF_INET only)",
        ),
        3: (
            "is there coverage, and data left on the contract?",
            "try again: the first question after registering is often lost",
        ),
        6: ("build for the family that the network has (CONFIG_PDN_DEFAULT_FAM_…)",),
    }
    things[5] = things[2]
    return Cause(
        "resolver",
        f"the hub's name was not resolved: error {numbers.of_resolver(number)}.",
        things.get(abs(number), ("is the device registered? Its log shows it before this line", _COVERAGE)),
        of_route=True,
    )


def _connect(found: re.Match[str]) -> Cause:
    number = int(found[1])
    says = f"no connection to the server: error {numbers.of_errno(number)}."
    match abs(number):
        case 22:
            says += " So it is where the sec tag is empty, or lacks a server root, certificate or key, or where these are no pair."
            return Cause("credentials", says, (_CREDS, _LOAD, "is CONFIG_MQTT_HELPER_SEC_TAG the tag that was loaded?"))
        case 45 | 111 | 104 | 113:
            says += " Where the server can be reached, that is TLS: its certificate is not trusted, or the device's is refused."
            return Cause(
                "tls",
                says,
                (
                    "does the sec tag hold the hub's server root (DigiCert Global Root G2)? invoke creds --port P",
                    _LOAD,
                    "a lab's root trusts the lab alone, Azure's trusts Azure alone",
                    "is port 8883 open on the way?",
                ),
            )
        case 114 | 115 | 118 | 125 | 106:
            return Cause(
                "no-route",
                says,
                (
                    "does the network have the family of that address? Build for the one it has",
                    "in an IPv6-only network: wait for +CGEV: IPV6 before connecting",
                    _COVERAGE,
                ),
                of_route=True,
            )
        case 116 | 11:
            return Cause(
                "timeout",
                says,
                (
                    "is port 8883 open on the way?",
                    "IPv6: is the NAT64 prefix of that address the operator's?",
                    _COVERAGE,
                ),
            )
        case 12 | 105 | 122:
            return Cause(
                "memory", says, ("give the firmware larger buffers or heap: CONFIG_HEAP_MEM_POOL_SIZE", _DEBUG)
            )
    return Cause("connect", says, (_CREDS, _DEBUG))


def _helper(found: re.Match[str]) -> Cause:
    return Cause(
        "helper", f"no connection to the server: error {numbers.of_errno(int(found[1]))}.", (_DEBUG,), vague=True
    )


def _rejected(found: re.Match[str]) -> Cause:
    number = int(found[1])
    says = f"the hub rejected the device with return code {number}"
    if words := numbers.RETURN_CODES.get(number):
        says += f": {words}"
    things = {
        1: ("the hub speaks MQTT 3.1.1: CONFIG_MQTT_VERSION_3_1_1=y",),
        2: ("is CONFIG_AZURE_IOT_HUB_DEVICE_ID the id that is registered? invoke devices",),
        3: ("try again later", "is the hub's daily quota used up, or is it stopped?"),
        4: ("are host name and device id those of the hub? CONFIG_AZURE_IOT_HUB_HOSTNAME, …_DEVICE_ID",),
    }
    return Cause(
        "rejected",
        f"{says}.",
        (
            *things.get(number, ()),
            "is the device registered on this hub, and enabled? invoke device --imei ID, invoke devices",
            "is the CA that signed it verified there? invoke verify",
            "is the certificate in the modem this device's, and still valid? invoke provision --imei ID --port P",
        ),
    )


def _input(found: re.Match[str]) -> Cause:
    says = f"the connection broke while the device read from it: error {numbers.of_errno(int(found[1]))}."
    return Cause(
        "input", says, ("the hub closes the old connection when the same id connects elsewhere", _COVERAGE), Stage.LINK
    )


def _socket(found: re.Match[str]) -> Cause:
    says = {
        "HUP": "the hub, or the network on the way, closed the connection (POLLHUP).",
        "ERR": "the connection broke (POLLERR).",
        "NVAL": "the socket had been closed on this side (POLLNVAL).",
    }[found[1]]
    return Cause(
        f"poll{found[1].lower()}",
        says,
        ("does the same id connect elsewhere? Then one throws the other out", _COVERAGE),
        Stage.LINK,
    )


def _registration(found: re.Match[str]) -> Cause | None:
    return {3: DENIED, 90: NO_SIM}.get(int(found[1]))


def _esm(found: re.Match[str]) -> Cause | None:
    number = int(found[1])
    if number in numbers.FAMILY_ONLY or number == 0:
        return None
    words = numbers.ESM.get(number, "a cause without a name here (3GPP TS 24.301, 9.9.4.4)")
    return Cause(
        "esm",
        f"the network did not give a data connection, cause {number}: {words}.",
        ("check the APN: CONFIG_PDN_DEFAULT_APN, or the network that the firmware was built for", _COVERAGE),
        Stage.NETWORK,
    )


def _always(cause: Cause) -> Callable[[re.Match[str]], Cause]:
    return lambda _: cause


CEREG = r"(?:\d,)?(\d{1,2})\b"
"""The state alone (what the modem says by itself), or behind the mode (what it answers)."""

SIGNS = (
    Sign("getaddrinfo() failed, error", r":? (-?\d{1,5})", _resolver),
    Sign("mqtt_connect, error: ", r"(-?\d{1,5})", _connect),
    Sign("mqtt_helper_connect failed, error: ", r"(-?\d{1,5})", _helper),
    Sign("Connection was rejected with return code ", r"(\d{1,3})", _rejected),
    Sign("Is the device certificate valid?", "", _always(CERTIFICATE)),
    Sign("Failed to get user name", "", _always(USER_NAME)),
    Sign("The device was not assigned", "", _always(NOT_ASSIGNED)),
    Sign("DPS timed out", "", _always(DPS_TIMEOUT)),
    Sign("Cloud MQTT keepalive ping failed: ", "", _always(NAT)),
    Sign("Cloud MQTT input error: ", r"(-?\d{1,5})", _input),
    Sign("Socket error: POLL", r"(HUP|ERR|NVAL)", _socket),
    Sign("AZURE_IOT_HUB_EVT_CONNECTION_FAILED", "", _always(FAILED)),
    Sign(">>> ZEPHYR FATAL ERROR", "", _always(CRASH)),
    Sign("+CEREG: ", CEREG, _registration),
    Sign("+CGEV: IPV6 FAIL", "", _always(IPV6_FAILED)),
    Sign("+CNEC_ESM: ", r"(\d{1,3})", _esm),
)


def of(message: str) -> Cause | None:
    """What the message gives away, if it tells of a failure."""
    return next((cause for sign in SIGNS if (cause := sign.read(message))), None)
