"""RFC 6052: an IPv4 address inside an IPv6 one, both ways, for all six prefix lengths. Pure: nothing is asked here."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

LENGTHS = (32, 40, 48, 56, 64, 96)
WELL_KNOWN = IPv6Network("64:ff9b::/96")
LOCAL_USE = IPv6Network("64:ff9b:1::/48")  # RFC 8215
_U = 8  # the octet that is zero in every such address
_NOWHERE = IPv4Network("0.0.0.0/8")  # "this network": no server has such an address


@dataclass(frozen=True)
class Reading:
    """One way to read an IPv6 address: `ipv4` behind `prefix`. `known_from` says who vouches for the prefix, if anybody."""

    ipv4: IPv4Address
    prefix: IPv6Network
    known_from: str = ""


def octets(length: int) -> tuple[int, ...]:
    """Where the IPv4 address stands behind a prefix of `length` bits: right after it, octet 8 left out."""
    first = length // 8
    return tuple(place for place in range(first, first + 5) if place != _U)[:4]


def is_prefix(network: IPv6Network) -> bool:
    """Whether it can be a NAT64 prefix: one of the six lengths, octet 8 zero."""
    return network.prefixlen in LENGTHS and network.network_address.packed[_U] == 0


def embed(ipv4: IPv4Address, prefix: IPv6Network) -> IPv6Address:
    """The address that stands for `ipv4` in a network with this prefix."""
    packed = bytearray(prefix.network_address.packed)
    for place, octet in zip(octets(prefix.prefixlen), ipv4.packed, strict=True):
        packed[place] = octet
    return IPv6Address(bytes(packed))


def extract(address: IPv6Address, length: int) -> IPv4Address:
    """What stands behind the first `length` bits. What follows it is ignored, as translators do."""
    return IPv4Address(bytes(address.packed[place] for place in octets(length)))


def prefix_of(address: IPv6Address, length: int) -> IPv6Network:
    """Its first `length` bits."""
    return IPv6Network((address, length), strict=False)


def known(address: IPv6Address, prefixes: Iterable[tuple[IPv6Network, str]]) -> Reading | None:
    """The reading behind the longest of `prefixes` that matches; each comes with the name of who vouches for it."""
    matching = [(prefix, source) for prefix, source in prefixes if address in prefix]
    if not matching or address.packed[_U]:
        return None
    prefix, source = max(matching, key=lambda one: one[0].prefixlen)
    return Reading(extract(address, prefix.prefixlen), prefix, source)


def possible(address: IPv6Address) -> list[Reading]:
    """Every reading of an address whose prefix nobody knows, /96 first: that is what nearly all networks have.

    The rest behind the IPv4 address is zero in all that is made by the RFC. None: nothing is embedded in it.
    """
    if address.packed[_U] or not _is_unicast(address):
        return []
    found = [
        Reading(extract(address, length), prefix_of(address, length))
        for length in (96, 32, 40, 48, 56, 64)
        if not any(address.packed[octets(length)[-1] + 1 :])
    ]
    return [one for one in found if one.ipv4 not in _NOWHERE]


def _is_unicast(address: IPv6Address) -> bool:
    odd = address.is_multicast or address.is_link_local or address.is_loopback or address.is_unspecified
    return not odd and address.ipv4_mapped is None


def doubt(ipv4: IPv4Address, prefix: IPv6Network) -> str | None:
    """Why a device may not reach that IPv4 server through that prefix, or None."""
    if prefix.subnet_of(LOCAL_USE):
        return f"{prefix} is for use inside one network (RFC 8215): elsewhere it leads nowhere"
    if ipv4.is_global and not ipv4.is_multicast:
        return None
    if prefix == WELL_KNOWN:
        return f"{ipv4} is no global address, and translators drop those behind {WELL_KNOWN} (RFC 6052)"
    return f"{ipv4} is no global address: only a translator inside the same network reaches it"
