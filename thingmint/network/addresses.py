"""The gates through which addresses enter: each refuses with what the text is instead, and how it would be right."""

import ipaddress
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network

from thingmint.errors import InputError
from thingmint.network.nat64 import LENGTHS

_DNS_PORT = 53


@dataclass(frozen=True)
class ResolverAddress:
    """A DNS resolver, by number: nothing else could look up its name."""

    host: str
    port: int = _DNS_PORT

    def __str__(self) -> str:
        if self.port == _DNS_PORT:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def ipv6(text: str, option: str) -> IPv6Address:
    """Raises InputError naming the option. `64:ff9b::192.0.2.33` is IPv6, too."""
    if _is_ipv4(text):
        raise InputError(
            f"{option} {text} is an IPv4 address, and an IPv6 address is read.",
            things_to_try=[f"what it is behind a prefix: --ipv4 {text} --prefix 64:ff9b::/96"],
        )
    try:
        address = IPv6Address(text)
    except ValueError as error:
        raise InputError(
            f"{option} {text!r} is no IPv6 address: {_why(error, text)}.", things_to_try=[_hint(text, option)]
        ) from None
    if address.scope_id is not None:
        raise InputError(
            f"{option} {text!r} has a zone (after the %): it is valid on one link alone, where there is no NAT64.",
            things_to_try=["take the address that the device's log shows behind `IPv6 Address found`"],
        )
    return address


def ipv4(text: str, option: str) -> IPv4Address:
    """Raises InputError naming the option."""
    try:
        return IPv4Address(text)
    except ValueError as error:
        if _is_ipv6(text):
            raise InputError(
                f"{option} {text} is an IPv6 address, and an IPv4 address is converted.",
                things_to_try=[f"to read it: --address {text}"],
            ) from None
        raise InputError(
            f"{option} {text!r} is no IPv4 address: {_why(error, text)}.",
            things_to_try=["four numbers from 0 to 255, without leading zeros, e.g. 13.70.74.195"],
        ) from None


def prefix(text: str, where: str) -> IPv6Network:
    """A NAT64 prefix. Raises InputError naming `where` it stands."""
    given, slash, length = text.partition("/")
    if not slash:
        raise InputError(f"{where} {text!r} has no length.", things_to_try=[f"nearly all networks have 96: {given}/96"])
    address = ipv6(given, where)
    lengths = ", ".join(f"/{one}" for one in LENGTHS)
    if length not in {str(one) for one in LENGTHS}:
        raise InputError(f"{where} {text!r} has a length that NAT64 does not.", things_to_try=[f"one of {lengths}"])
    network = IPv6Network((address, int(length)), strict=False)
    if network.network_address != address:
        raise InputError(
            f"{where} {text}: bits are set behind the first {length}.",
            things_to_try=[f"that prefix is {network}", f"or the length is another: {lengths}"],
        )
    if network.network_address.packed[8]:
        raise InputError(
            f"{where} {text}: bits 64 to 71 are not zero, as RFC 6052 has it for every NAT64 prefix.",
            things_to_try=["see what the network has: invoke nat64 --discover"],
        )
    return network


def resolver(text: str, option: str) -> ResolverAddress:
    """ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT; a router's link-local address has its zone. Raises InputError."""
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::([0-9]{1,5}))?", text, re.ASCII)
    plain = re.fullmatch(r"([0-9.]+):([0-9]{1,5})", text, re.ASCII)
    host, port = bracketed.groups() if bracketed else plain.groups() if plain else (text, None)
    number = _DNS_PORT if port is None else int(port)
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        found = None
    zone = host.partition("%")[2]
    if found is None or not 1 <= number <= 65535 or not re.fullmatch(r"[\w.@-]*", zone, re.ASCII):
        raise InputError(
            f"{option} {text!r} is no resolver's address.",
            things_to_try=[
                "its number, not its name, e.g. 192.0.2.53 or 2001:db8::53",
                "with a port: [2001:db8::53]:5353",
            ],
        )
    return ResolverAddress(str(found), number)


def _is_ipv4(text: str) -> bool:
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True


def _is_ipv6(text: str) -> bool:
    try:
        return IPv6Address(text).scope_id is None
    except ValueError:
        return False


def _why(error: ValueError, text: str) -> str:
    """Python's own words without the text, which stands before them already."""
    return str(error).removesuffix(f" in {text!r}").replace(f"{text!r}", "it")


def _hint(text: str, option: str) -> str:
    """The address that may be meant: out of a URL's brackets, without spaces or a prefix's length."""
    alone = text.strip().partition("/")[0].strip("[]")
    return f"the address alone: {option} {alone}" if _is_ipv6(alone) else "e.g. 2001:8004:11d0:4e2a::d46:4ac3"
