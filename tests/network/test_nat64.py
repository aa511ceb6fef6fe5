"""RFC 6052 by its own vectors, the article's address, and round trips for all prefixes."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thingmint.network import nat64

# Section 2.4 of the RFC.
VECTORS = [
    ("2001:db8::/32", "2001:db8:c000:221::"),
    ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
    ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
    ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
    ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"),
    ("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"),
    ("64:ff9b::/96", "64:ff9b::192.0.2.33"),
]


@st.composite
def prefixes(draw: st.DrawFn) -> IPv6Network:
    """A prefix of global unicast addresses (2000::/3), octet 8 zero."""
    length = draw(st.sampled_from(nat64.LENGTHS))
    octets = bytearray(draw(st.binary(min_size=16, max_size=16)))
    octets[0], octets[8] = 0x20 | octets[0] & 0x1F, 0
    return IPv6Network((bytes(octets), length), strict=False)


def servers() -> st.SearchStrategy[IPv4Address]:
    return st.integers(1 << 24, 2**32 - 1).map(IPv4Address)  # not in 0.0.0.0/8, where no server is


@pytest.mark.parametrize(("prefix", "address"), VECTORS)
def test_the_rfcs_vectors_both_ways(prefix: str, address: str) -> None:
    network, six, four = IPv6Network(prefix), IPv6Address(address), IPv4Address("192.0.2.33")
    assert nat64.embed(four, network) == six
    assert nat64.extract(six, network.prefixlen) == four
    assert nat64.is_prefix(network)


def test_the_articles_address_fits_one_length_alone() -> None:
    (reading,) = nat64.possible(IPv6Address("2001:8004:11d0:4e2a::d46:4ac3"))
    assert (str(reading.ipv4), str(reading.prefix)) == ("13.70.74.195", "2001:8004:11d0:4e2a::/96")
    assert not reading.known_from


@settings(deadline=None)
@given(servers(), prefixes())
def test_what_is_embedded_is_found_again(ipv4: IPv4Address, prefix: IPv6Network) -> None:
    address = nat64.embed(ipv4, prefix)
    assert address in prefix
    assert address.packed[8] == 0
    assert nat64.extract(address, prefix.prefixlen) == ipv4
    assert nat64.known(address, [(prefix, "somebody")]) == nat64.Reading(ipv4, prefix, "somebody")
    found = nat64.possible(address)
    assert nat64.Reading(ipv4, prefix) in found
    assert 96 not in [one.prefix.prefixlen for one in found[1:]]  # it is first wherever it is possible


def test_of_two_prefixes_that_match_the_longer_one_counts() -> None:
    wide, narrow = (IPv6Network("2001:db8::/32"), "wide"), (IPv6Network("2001:db8:122:344::/96"), "narrow")
    address = IPv6Address("2001:db8:122:344::c000:221")
    for order in ([wide, narrow], [narrow, wide]):
        found = nat64.known(address, order)
        assert found
        assert (found.known_from, str(found.ipv4)) == ("narrow", "192.0.2.33")
    assert nat64.known(IPv6Address("2001:db9::1"), [wide, narrow]) is None


def test_what_follows_the_ipv4_address_is_ignored_where_the_prefix_is_known() -> None:
    address = IPv6Address("2001:db8:c000:221::dead")
    known = nat64.known(address, [(IPv6Network("2001:db8::/32"), "")])
    assert known
    assert str(known.ipv4) == "192.0.2.33"
    assert 32 not in [one.prefix.prefixlen for one in nat64.possible(address)]


@pytest.mark.parametrize(
    "address",
    ["2001:db8:1:1:123:1::", "::", "::1", "fe80::d46:4ac3", "ff02::d46:4ac3", "::ffff:13.70.74.195", "2001:db8::7"],
)
def test_an_address_that_stands_for_no_server(address: str) -> None:
    assert nat64.possible(IPv6Address(address)) == []


def test_an_address_with_bits_at_octet_8_is_nobodys_whatever_the_prefix() -> None:
    assert nat64.known(IPv6Address("2001:db8:c000:221:100::"), [(IPv6Network("2001:db8::/32"), "")]) is None


@pytest.mark.parametrize(
    ("ipv4", "prefix", "said"),
    [
        ("10.1.2.3", "64:ff9b::/96", "translators drop"),
        ("192.168.0.1", "2001:db8::/32", "inside the same network"),
        ("224.0.0.1", "2001:db8::/32", "inside the same network"),
        ("13.70.74.195", "64:ff9b:1::/48", "RFC 8215"),
        ("10.1.2.3", "64:ff9b:1:abcd::/96", "RFC 8215"),
    ],
)
def test_a_server_that_cannot_be_reached_from_everywhere_is_doubted(ipv4: str, prefix: str, said: str) -> None:
    assert said in (nat64.doubt(IPv4Address(ipv4), IPv6Network(prefix)) or "")


@pytest.mark.parametrize("prefix", ["64:ff9b::/96", "2001:8004:11d0:4e2a::/96", "2001:db8::/32"])
def test_a_global_server_is_not_doubted(prefix: str) -> None:
    assert nat64.doubt(IPv4Address("13.70.74.195"), IPv6Network(prefix)) is None
