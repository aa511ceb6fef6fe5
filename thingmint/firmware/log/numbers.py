"""What the firmware's numbers mean: newlib's errno (not Linux's), the resolver's errors, MQTT's and the network's codes."""

ERRNO = {
    11: ("EAGAIN", "it was asked too early, or no answer came in time"),
    12: ("ENOMEM", "the device is out of memory"),
    22: ("EINVAL", "the modem does not take what it was given"),
    45: ("EDEADLK", "the modem gave the TLS handshake up"),
    95: ("EOPNOTSUPP", "the modem does not do what was asked for"),
    104: ("ECONNRESET", "the other side broke the connection off"),
    105: ("ENOBUFS", "the modem has no buffer left"),
    106: ("EAFNOSUPPORT", "the address is of a family that this connection does not have"),
    111: ("ECONNREFUSED", "the connection was refused, by the server or in the TLS handshake"),
    113: ("ECONNABORTED", "the connection was broken off on this side"),
    114: ("ENETUNREACH", "there is no way to that network"),
    115: ("ENETDOWN", "the network connection is down"),
    116: ("ETIMEDOUT", "no answer came in time"),
    118: ("EHOSTUNREACH", "there is no way to that host"),
    120: ("EALREADY", "it is under way already"),
    122: ("EMSGSIZE", "a message is larger than its buffer"),
    125: ("EADDRNOTAVAIL", "the device has no address of that family"),
    128: ("ENOTCONN", "there is no connection"),
}
RESOLVER = {
    2: ("NONAME", "the name has no address of this family"),
    3: ("AGAIN", "the name server did not answer"),
    4: ("FAIL", "the name server failed"),
    5: ("NODATA", "the name has no address"),
    6: ("FAMILY", "the name was asked for in a family that is not supported"),
    11: ("SYSTEM", "the modem could not ask"),
    101: ("CANCELED", "the question was cancelled"),
}
RETURN_CODES = {
    1: "the hub does not speak this version of MQTT",
    2: "the hub does not take this client id",
    3: "the hub is not available at the moment",
    4: "user name or password are not as the hub wants them",
    5: "the hub does not let this device in",
}
ESM = {
    8: "the operator bars this SIM card",
    26: "the network has no resources at the moment",
    27: "the access point name (APN) is missing or unknown",
    28: "the network does not know this type of connection (PDN type)",
    29: "user name or password of the access point are wrong",
    30: "the gateway rejected the connection",
    31: "the network rejected the connection",
    32: "the network does not have this service",
    33: "the SIM card's contract does not include this service",
    34: "the service is out of order at the moment",
}
FAMILY_ONLY = {50: "IPv4", 51: "IPv6"}
"""ESM causes that are no failure: the network gives this family alone."""


def of_errno(number: int) -> str:
    """`-111 (ECONNREFUSED): the connection was refused`, or the number alone."""
    return _named(number, ERRNO)


def of_resolver(number: int) -> str:
    return _named(number, RESOLVER)


def _named(number: int, table: dict[int, tuple[str, str]]) -> str:
    if abs(number) not in table:
        return f"{number}, a number without a name here"
    name, words = table[abs(number)]
    return f"{number} ({name}): {words}"
