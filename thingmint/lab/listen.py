"""--listen: an address of this machine on which real devices reach the lab's MQTT endpoint, and nothing else of it."""

import ipaddress
import socket
from dataclasses import dataclass

from thingmint.errors import InputError

_EXAMPLE = "--listen 192.168.1.20"


@dataclass(frozen=True)
class Listen:
    host: str
    """As it was given, a name or the address: what a device may know the lab by."""
    address: str

    def __str__(self) -> str:
        return self.host if self.host == self.address else f"{self.host} ({self.address})"


def parse(text: str | None) -> Listen | None:
    """None stays None. Raises InputError unless it is one address of this machine that others can reach."""
    if text is None:
        return None
    try:
        found = socket.getaddrinfo(text, 0, type=socket.SOCK_STREAM) if text.isascii() and text else []
    except (OSError, UnicodeError):
        found = []
    if not found:
        raise InputError(f"--listen {text!r} is no address, and no name of one.", things_to_try=[_EXAMPLE])
    family, _, _, _, place = found[0]
    address = ipaddress.ip_address(str(place[0]).partition("%")[0])
    if address.is_unspecified:
        raise InputError(
            f"--listen {text} names every network at once: name the one that the device reaches.",
            things_to_try=[_EXAMPLE],
        )
    if address.is_loopback:
        raise InputError(
            f"--listen {text} is this machine alone, where the lab listens anyway.", things_to_try=["leave it out"]
        )
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind(place)
    except OSError as error:
        raise InputError(
            f"--listen {text}: this machine cannot listen there ({error.strerror}).",
            things_to_try=["name an address of this machine: `ip address`, `ifconfig` or `ipconfig` shows them"],
        ) from None
    return Listen(text, str(address))
