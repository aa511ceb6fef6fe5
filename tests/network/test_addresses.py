"""What is typed as an address: taken as it is, or refused with what it is instead."""

import pytest

from thingmint.errors import InputError
from thingmint.network import addresses


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2001:8004:11D0:4E2A::D46:4AC3", "2001:8004:11d0:4e2a::d46:4ac3"),
        ("64:ff9b::13.70.74.195", "64:ff9b::d46:4ac3"),
        ("2001:8004:11d0:4e2a:0000:0000:0d46:4ac3", "2001:8004:11d0:4e2a::d46:4ac3"),
    ],
)
def test_every_notation_of_ipv6_is_read(text: str, meant: str) -> None:
    assert str(addresses.ipv6(text, "--address")) == meant


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("13.70.74.195", "--ipv4 13.70.74.195"),
        ("fe80::1%eth0", "has a zone"),
        ("fe80::1%\x1b[31m", "has a zone"),
        ("2001:db8::1%", "no IPv6 address"),
        ("[64:ff9b::d46:4ac3]", "--address 64:ff9b::d46:4ac3"),
        (" 64:ff9b::d46:4ac3", "--address 64:ff9b::d46:4ac3"),
        ("64:ff9b::d46:4ac3/96", "--address 64:ff9b::d46:4ac3"),
        ("64:ff9b::13.70.74.295", "no IPv6 address"),
        ("64:ff9b::13.70.74.195:1", "no IPv6 address"),
        ("2001:db8::1::2", "At most one '::'"),
        ("2001:db8", "no IPv6 address"),
        ("20010:db8::", "no IPv6 address"),
        ("2001:db8::\u0661", "no IPv6 address"),
        ("iot-hub001-0xacc5-dev.azure-devices.net", "no IPv6 address"),
        ("", "no IPv6 address"),
    ],
)
def test_what_is_no_ipv6_address_is_refused(text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        addresses.ipv6(text, "--address")
    assert said in caught.value.render()
    assert "--address" in caught.value.message
    assert caught.value.render().replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("64:ff9b::d46:4ac3", "--address 64:ff9b::d46:4ac3"),
        ("013.70.74.195", "Leading zeros"),
        ("13.70.74", "four numbers"),
        ("13.70.74.195/32", "four numbers"),
        ("13.70.74.256", "four numbers"),
        ("0x0d464ac3", "four numbers"),
        ("", "four numbers"),
    ],
)
def test_what_is_no_ipv4_address_is_refused(text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        addresses.ipv4(text, "--ipv4")
    assert said in caught.value.render()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("64:ff9b::", "64:ff9b::/96"),
        ("64:ff9b::/80", "one of /32, /40, /48, /56, /64, /96"),
        ("64:ff9b::/128", "one of /32"),
        ("64:ff9b::/096", "one of /32"),
        ("64:ff9b::/", "one of /32"),
        ("64:ff9b::/ffff::", "one of /32"),
        ("64:ff9b::1/96", "that prefix is 64:ff9b::/96"),
        ("2001:db8:122:344::/48", "that prefix is 2001:db8:122::/48"),
        ("2001:db8:1:1:123::/96", "bits 64 to 71"),
        ("10.0.0.0/96", "IPv4 address"),
        ("fe80::%eth0/96", "zone"),
        ("nonsense/96", "no IPv6 address"),
    ],
)
def test_what_is_no_nat64_prefix_is_refused(text: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        addresses.prefix(text, "--prefix")
    assert said in caught.value.render()


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("192.0.2.53", "192.0.2.53", 53),
        ("192.0.2.53:5353", "192.0.2.53", 5353),
        ("2001:db8::53", "2001:db8::53", 53),
        ("[2001:db8::53]:5353", "2001:db8::53", 5353),
        ("[2001:db8::53]", "2001:db8::53", 53),
        ("fe80::1%2", "fe80::1%2", 53),
    ],
)
def test_a_resolver_is_named_by_number(text: str, host: str, port: int) -> None:
    found = addresses.resolver(text, "--resolver")
    assert (found.host, found.port) == (host, port)
    assert addresses.resolver(str(found), "--resolver") == found


@pytest.mark.parametrize(
    "text", ["localhost", "", "192.0.2.53:0", "192.0.2.53:65536", "[::1]:", "::1]:53", "1.2.3:53", "fe80::1%\n"]
)
def test_what_is_no_resolver_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="is no resolver's address"):
        addresses.resolver(text, "--resolver")
