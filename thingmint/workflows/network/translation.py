"""nat64: which IPv4 server an IPv6 address stands for, the other way round, and which prefix the network has."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import TYPE_CHECKING

from thingmint.errors import CheckError, InputError
from thingmint.network import addresses, discovery
from thingmint.network import nat64 as rfc6052
from thingmint.session import Session
from thingmint.workflows import options

if TYPE_CHECKING:
    from thingmint.network.addresses import ResolverAddress
    from thingmint.network.nat64 import Reading
    from thingmint.network.profiles import Profile

_EXAMPLES = (
    "invoke nat64 --address 2001:8004:11d0:4e2a::d46:4ac3",
    "invoke nat64 --ipv4 13.70.74.195 --prefix 64:ff9b::/96",
    "invoke nat64 --discover",
)
Sources = list[tuple[IPv6Network, str]]
"""Prefixes, each with who vouches for it."""


def nat64(
    session: Session,
    *,
    address: str | None = None,
    ipv4: str | None = None,
    prefix: str | None = None,
    discover: bool = False,
    resolver: str | None = None,
    network: str | None = None,
    as_json: bool = False,
) -> None:
    """Convert one way or the other, or discover alone; with an address, what is discovered helps to convert it."""
    from thingmint.network.profiles import profile

    if address is not None and ipv4 is not None:
        raise InputError("--address and --ipv4 exclude each other.", things_to_try=_EXAMPLES)
    if address is None and ipv4 is None and not discover:
        raise InputError("nat64 needs one of --address, --ipv4 and --discover.", things_to_try=_EXAMPLES)
    if not discover:
        options.require_beside("--discover", "nobody is asked without it", resolver=resolver)
    if prefix is not None and (discover or network):
        other = "--discover" if discover else "--network"
        raise InputError(f"--prefix and {other} exclude each other: both say which prefix.", things_to_try=_EXAMPLES)
    if prefix is not None and address is None and ipv4 is None:
        raise InputError("--prefix belongs to --address or --ipv4.", things_to_try=_EXAMPLES)
    # All that was typed is checked before anybody is asked.
    of_six = None if address is None else addresses.ipv6(address, "--address")
    of_four = None if ipv4 is None else addresses.ipv4(ipv4, "--ipv4")
    given = None if prefix is None else addresses.prefix(prefix, "--prefix")
    expected = None if network is None else profile(network)
    asked = None if resolver is None else addresses.resolver(resolver, "--resolver")
    found: frozenset[IPv6Network] = frozenset()
    if discover:
        if session.dry:
            who = " and ".join(discovery.resolvers(asked))
            session.console.say(f"would ask {who} for the IPv6 addresses of {discovery.NAME}")
            return
        found = discovered(session, asked, expected)
    if of_six is not None:
        _read(session, of_six, given=given, found=found, expected=expected, as_json=as_json)
    elif of_four is not None:
        prefixes = [given] if given else sorted(found) or list(expected.nat64 if expected else ())
        _embed(session, of_four, prefixes, expected, as_json=as_json)
    elif as_json:
        session.console.result_json({"prefixes": [str(one) for one in sorted(found)]})
    else:
        session.console.result("\n".join(str(one) for one in sorted(found)))


def discovered(
    session: Session, resolver: "ResolverAddress | None", expected: "Profile | None"
) -> frozenset[IPv6Network]:
    """The prefixes of the network this machine is on, with a warning where its profile expects others."""
    session.console.announce(f"resolver {' and '.join(discovery.resolvers(resolver))}")
    told = discovery.discover(resolver)
    for one in sorted(told.strange):
        session.console.warn(f"the answer {one} holds no NAT64 prefix; it is left aside.")
    if expected and (surprise := expected.surprise(told.prefixes)):
        session.console.warn(surprise)
    named = dict(reversed(_of_profiles()))  # where two have the same, the first
    for prefix in sorted(told.prefixes):
        session.console.say(f"found: {prefix}" + (f" ({named[prefix]})" if prefix in named else ""))
    return told.prefixes


def _of_profiles() -> Sources:
    """What the RFC has for all, and what operators are expected to have."""
    from thingmint.network.profiles import profiles

    found = [(prefix, f"the profile {one.name}") for one in profiles().values() for prefix in one.nat64]
    return [(rfc6052.WELL_KNOWN, "RFC 6052: the well-known prefix"), *found]


def require_profiles() -> None:
    """Raises ConfigError where config/networks.yaml is invalid: better than after hours of listening."""
    _of_profiles()


def readings(
    address: IPv6Address,
    *,
    given: IPv6Network | None = None,
    found: Iterable[IPv6Network] = (),
    expected: "Profile | None" = None,
) -> "list[Reading]":
    """One where the prefix is known: given, else discovered, else in a profile. Else every length that is possible."""
    if given is not None:
        if address not in given:
            raise InputError(
                f"--address {address} does not begin with {given}.",
                things_to_try=["leave --prefix out: the lengths that are possible are shown then"],
            )
        sources: list[Sources] = [[(given, "--prefix")]]
    else:
        own = [(prefix, f"the profile {expected.name}") for prefix in expected.nat64] if expected else []
        sources = [[(prefix, "discovery") for prefix in found], own, _of_profiles()]
    for source in sources:
        if known := rfc6052.known(address, source):
            return [known]
    return rfc6052.possible(address)


def _read(
    session: Session,
    address: IPv6Address,
    *,
    given: IPv6Network | None,
    found: frozenset[IPv6Network],
    expected: "Profile | None",
    as_json: bool,
) -> None:
    results = readings(address, given=given, found=found, expected=expected)
    if not results:
        raise CheckError(
            f"{address} stands for no IPv4 server: {_why_not(address)}.",
            things_to_try=[
                "a server that has IPv6 itself needs no NAT64",
                "see what the network has: invoke nat64 --discover",
            ],
        )
    say, warn = session.console.say, session.console.warn
    prefixes, whose = (found, "discovered here") if found else (expected.nat64 if expected else (), "expected")
    if prefixes and not any(address in prefix for prefix in prefixes):
        warn(f"{address} is behind none of the prefixes {whose}: {', '.join(map(str, sorted(prefixes)))}.")
    if results[0].known_from:
        say(f"{results[0].prefix} is known from {results[0].known_from}")
    elif len(results) == 1:
        say(f"nobody knows the prefix; /{results[0].prefix.prefixlen} is the one length that fits")
    else:
        lengths = ", ".join(f"/{one.prefix.prefixlen}" for one in results)
        say(f"nobody knows the prefix; lengths that fit: {lengths} (--prefix PREFIX or --discover tells them apart)")
        for one in results:
            say(f"  /{one.prefix.prefixlen}: {one.ipv4} behind {one.prefix}")
    _warn_of_doubts(session, [(one.ipv4, one.prefix) for one in results])
    if as_json:
        session.console.result_json(
            {
                "address": str(address),
                "readings": [
                    {"ipv4": str(one.ipv4), "prefix": str(one.prefix), "knownFrom": one.known_from or None}
                    for one in results
                ],
            }
        )
    else:
        session.console.result("\n".join(str(one.ipv4) for one in results))


def _embed(
    session: Session, ipv4: IPv4Address, prefixes: list[IPv6Network], expected: "Profile | None", *, as_json: bool
) -> None:
    if not prefixes:
        why = f"the profile {expected.name} has none" if expected else "none was named"
        raise InputError(
            f"--ipv4 needs a prefix, and {why}.",
            things_to_try=["--prefix 64:ff9b::/96", "--network telstra-iot", "--discover, on the network itself"],
        )
    made = [(rfc6052.embed(ipv4, prefix), prefix) for prefix in prefixes]
    _warn_of_doubts(session, [(ipv4, prefix) for prefix in prefixes])
    if as_json:
        session.console.result_json(
            {
                "ipv4": str(ipv4),
                "addresses": [{"address": str(address), "prefix": str(prefix)} for address, prefix in made],
            }
        )
    else:
        session.console.result("\n".join(str(address) for address, _ in made))


def _warn_of_doubts(session: Session, pairs: list[tuple[IPv4Address, IPv6Network]]) -> None:
    for pair in pairs:
        if why := rfc6052.doubt(*pair):
            session.console.warn(f"{why}.")


def _why_not(address: IPv6Address) -> str:
    if address.ipv4_mapped:
        return f"it is {address.ipv4_mapped} in the notation for programs (::ffff:…), which never leaves a machine"
    if address.packed[8]:
        return "its bits 64 to 71 are not zero, as they are in every address of NAT64"
    return "what it holds at the six places is the address of no server"
