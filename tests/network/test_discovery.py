"""RFC 7050 against name servers on loopback: which prefixes a network has, and what is wrong where it has none."""

import contextlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from pathlib import Path

import dns.rcode
import dns.resolver
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.network.nameserver import IPV4, Zone, serving
from tests.network.test_nat64 import prefixes
from thingmint.errors import CheckError, InputError, ThingmintError, ToolError
from thingmint.network import discovery, nat64
from thingmint.network.addresses import ResolverAddress

TELSTRA = IPv6Network("2001:8004:11d0:4e2a::/96")
EACH_LENGTH = [
    "2001:db8::/32",
    "2001:db8:100::/40",
    "2001:db8:122::/48",
    "2001:db8:122:300::/56",
    "2001:db8:122:344::/64",
    "2001:8004:11d0:4e2a::/96",
]


def dns64(*networks: IPv6Network) -> list[str]:
    """What a DNS64 with these prefixes makes of ipv4only.arpa."""
    return [str(nat64.embed(IPv4Address(ipv4), network)) for network in networks for ipv4 in IPV4]


@pytest.mark.parametrize("text", EACH_LENGTH)
def test_a_prefix_of_each_length_is_discovered(text: str) -> None:
    zone = Zone(aaaa=dns64(IPv6Network(text)))
    with serving(zone) as resolver:
        assert discovery.discover(resolver) == discovery.Discovery(frozenset({IPv6Network(text)}), ())
    assert zone.asked == ["ipv4only.arpa. AAAA"]


def test_a_network_may_have_several_and_strange_answers_are_told() -> None:
    others = [IPv6Network("2607:7700:0:2:0:2::/96"), IPv6Network("2001:db8::/32")]
    with serving(Zone(aaaa=[*dns64(TELSTRA, *others), "2001:db8::7"])) as resolver:
        found = discovery.discover(resolver)
    assert found.prefixes == {TELSTRA, *others}
    assert found.strange == (IPv6Address("2001:db8::7"),)


def test_a_resolver_that_is_reached_by_ipv6() -> None:
    try:
        with serving(Zone(aaaa=dns64(TELSTRA)), "::1") as resolver:
            assert discovery.discover(resolver).prefixes == {TELSTRA}
    except OSError:
        pytest.skip("this machine has no IPv6 on loopback")


@settings(deadline=None)
@given(prefixes(), st.sampled_from(sorted(discovery.ADDRESSES)))
def test_any_prefix_is_recognised_unless_it_looks_like_the_address_itself(
    prefix: IPv6Network, known: IPv4Address
) -> None:
    address = nat64.embed(known, prefix)
    places = [length for length in nat64.LENGTHS if nat64.extract(address, length) in discovery.ADDRESSES]
    assume(len(places) == 1)
    assert discovery.prefix_in(address) == prefix


@pytest.mark.parametrize(
    "address",
    [
        "2001:db8:c000:aa::c000:aa",  # at two places
        "2001:db8:c000:aa::c000:ab",
        "2001:db8::c000:ac",  # at none
        "2001:db8:0:0:100::c000:aa",  # bits 64 to 71 are set
        "2001:db8::c0:0:aa00",  # across the places
    ],
)
def test_an_address_with_the_known_one_at_no_or_two_places_tells_no_prefix(address: str) -> None:
    assert discovery.prefix_in(IPv6Address(address)) is None


@pytest.mark.parametrize(
    ("zone", "kind", "said"),
    [
        (Zone(), CheckError, "it does no DNS64"),
        (Zone(a=["198.51.100.7"]), CheckError, "names are redirected there"),
        (Zone(a=()), CheckError, "neither IPv6 nor IPv4"),
        (Zone(aaaa=["2001:db8::7"]), CheckError, "hold no NAT64 prefix: 2001:db8::7"),
        (Zone(aaaa=["2001:db8:c000:aa::c000:aa"]), CheckError, "exactly one of the six places"),
        (Zone(rcode=dns.rcode.NXDOMAIN), CheckError, "NXDOMAIN"),
        (Zone(rcode=dns.rcode.SERVFAIL), ToolError, "SERVFAIL"),
        (Zone(rcode=dns.rcode.REFUSED), ToolError, "REFUSED"),
        (Zone(spoil=lambda packet: packet[:20]), ToolError, "did not answer"),  # half a packet is none
        (Zone(spoil=lambda _: None), ToolError, "did not answer within 1 seconds"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_named(zone: Zone, kind: type[ThingmintError], said: str) -> None:
    with serving(zone) as resolver, pytest.raises(kind) as caught:
        discovery.discover(resolver, seconds=1)
    shown = caught.value.render()
    assert said in shown
    assert str(resolver) in caught.value.message
    assert "Things to try" in shown


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps its resolvers in the registry")
def test_the_systems_resolvers_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another resolv.conf takes the place of /etc's; the rest of dnspython is as it is."""
    file = tmp_path / "resolv.conf"
    monkeypatch.setattr(dns.resolver.Resolver.__init__, "__defaults__", (str(file), True))
    file.write_text("nameserver 192.0.2.53\nnameserver 2001:db8::53\n", encoding="ascii")
    assert discovery.resolvers() == ["192.0.2.53", "2001:db8::53"]
    file.write_text("search example\n", encoding="ascii")
    with pytest.raises(InputError, match="names no DNS resolver"):
        discovery.discover()
    file.unlink()
    with pytest.raises(InputError, match="names no DNS resolver"):
        discovery.discover()


@contextmanager
def unbound(
    folder: Path, prefix: str, authority: ResolverAddress
) -> "Iterator[tuple[ResolverAddress, subprocess.Popen[str]]]":
    """A real resolver with DNS64, before a name server that knows IPv4 alone."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "unbound.conf").write_text(
        f'server:\n  interface: 127.0.0.1\n  port: {port}\n  directory: "{folder}"\n  chroot: ""\n  username: ""\n'
        '  pidfile: ""\n  logfile: ""\n  use-syslog: no\n  do-daemonize: no\n  do-not-query-localhost: no\n'
        f'  qname-minimisation: no\n  module-config: "dns64 iterator"\n  dns64-prefix: {prefix}\n'
        f"remote-control:\n  control-enable: no\n"
        f'stub-zone:\n  name: "ipv4only.arpa."\n  stub-addr: {authority.host}@{authority.port}\n',
        encoding="ascii",
    )
    process = subprocess.Popen(["unbound", "-c", folder / "unbound.conf"], stderr=subprocess.PIPE, text=True)
    try:
        yield ResolverAddress("127.0.0.1", port), process
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.mark.skipif(shutil.which("unbound") is None, reason="unbound is not installed (apt install unbound)")
@pytest.mark.parametrize("prefix", EACH_LENGTH)
def test_a_real_resolver_with_dns64(tmp_path: Path, prefix: str) -> None:
    found = None
    for _ in range(5):  # somebody else may have taken the port meanwhile: then it ends at once
        with serving(Zone()) as authority, unbound(tmp_path, prefix, authority) as (resolver, process):
            deadline = time.monotonic() + 20
            while found is None and process.poll() is None and time.monotonic() < deadline:
                with contextlib.suppress(ToolError):  # it is still starting
                    found = discovery.discover(resolver, seconds=0.5)
        if found:
            break
    assert found == discovery.Discovery(frozenset({IPv6Network(prefix)}), ())
