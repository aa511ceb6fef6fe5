"""RFC 7050: which NAT64 prefixes a network has, from what its resolver says of a name that has IPv4 addresses alone."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import TYPE_CHECKING

from thingmint.errors import CheckError, InputError, ThingmintError, ToolError
from thingmint.network import nat64
from thingmint.network.addresses import ResolverAddress

if TYPE_CHECKING:
    from dns.resolver import Resolver

NAME = "ipv4only.arpa"
ADDRESSES = frozenset({IPv4Address("192.0.0.170"), IPv4Address("192.0.0.171")})
SECONDS = 6.0
_OTHER = "ask the network's own resolver: --resolver ADDRESS (a VPN or a public resolver answers in its place)"
_PHONE = "run this on a machine that is on the network: a phone's hotspot with the same SIM card will do"


@dataclass(frozen=True)
class Discovery:
    """What a resolver told: its NAT64 prefixes, and answers of its that hold none."""

    prefixes: frozenset[IPv6Network]
    strange: tuple[IPv6Address, ...]


def prefix_in(address: IPv6Address) -> IPv6Network | None:
    """The prefix before one of the two known addresses; None where neither, or more than one place, holds one."""
    found = [length for length in nat64.LENGTHS if nat64.extract(address, length) in ADDRESSES]
    prefixes = [nat64.prefix_of(address, length) for length in found]
    return prefixes[0] if len(prefixes) == 1 and nat64.is_prefix(prefixes[0]) else None


def evaluate(answers: Iterable[IPv6Address]) -> Discovery:
    """The prefixes in a resolver's AAAA records."""
    found = {address: prefix_in(address) for address in answers}
    return Discovery(
        frozenset(prefix for prefix in found.values() if prefix),
        tuple(address for address, prefix in found.items() if prefix is None),
    )


def resolvers(named: ResolverAddress | None = None) -> list[str]:
    """Who would be asked: the one that is named, or the system's. Raises InputError where it has none."""
    if named:
        return [str(named)]
    return [str(one) for one in _resolver(None).nameservers]


def discover(named: ResolverAddress | None = None, *, seconds: float = SECONDS) -> Discovery:
    """Ask. Raises CheckError where the network has no NAT64, ToolError where nobody answers, InputError without a resolver."""
    import dns.exception
    import dns.resolver

    asked = _resolver(named)
    who = " and ".join(resolvers(named))
    try:
        answers = _records(asked, "AAAA", seconds)
        if answers:
            return _judge(evaluate(IPv6Address(one) for one in answers), who)
        raise _without(_records(asked, "A", seconds), who)
    except dns.resolver.NXDOMAIN:
        raise CheckError(
            f"{who} says that {NAME} does not exist (NXDOMAIN): it does, so names are filtered there.",
            things_to_try=[_OTHER],
        ) from None
    except dns.resolver.LifetimeTimeout:
        raise ToolError(
            f"{who} did not answer within {seconds:g} seconds.",
            things_to_try=["see whether the network is up, and lets UDP port 53 through", _OTHER],
        ) from None
    except dns.exception.DNSException as error:  # SERVFAIL, REFUSED, an answer that is none, a network without a route
        raise ToolError(
            f"{who} did not look up {NAME}.", detail=str(error), things_to_try=["try again a little later", _OTHER]
        ) from None


def _resolver(named: ResolverAddress | None) -> "Resolver":
    import dns.exception
    import dns.resolver

    if named:
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = [named.host], named.port
        return resolver
    try:
        return dns.resolver.Resolver()
    except dns.exception.DNSException:
        raise InputError(
            "this system names no DNS resolver (no nameserver in /etc/resolv.conf, or no network).",
            things_to_try=["connect to the network", "name one: --resolver ADDRESS"],
        ) from None


def _records(resolver: "Resolver", kind: str, seconds: float) -> list[str]:
    """The addresses in the answer; none where the name has none of that kind."""
    answer = resolver.resolve(f"{NAME}.", kind, lifetime=seconds, raise_on_no_answer=False, search=False)
    return [str(record) for record in answer.rrset or ()]


def _judge(found: Discovery, who: str) -> Discovery:
    if found.prefixes:
        return found
    shown = ", ".join(map(str, found.strange))
    raise CheckError(
        f"{who} gives {NAME} IPv6 addresses that hold no NAT64 prefix: {shown}. In none of them 192.0.0.170 or "
        "192.0.0.171 stands at exactly one of the six places (RFC 7050).",
        things_to_try=[_OTHER],
    )


def _without(ipv4: list[str], who: str) -> ThingmintError:
    """Why there is no AAAA record: a resolver without DNS64, or one that tells tales."""
    if not ipv4:
        said = (
            f"{who} has neither IPv6 nor IPv4 addresses for {NAME}, which has two IPv4 ones: it does not look them up."
        )
    elif ADDRESSES.isdisjoint(map(IPv4Address, ipv4)):
        said = f"{who} gives {NAME} the address {', '.join(sorted(ipv4))}, which is not its own: names are redirected there."
    else:
        said = (
            f"{who} has only the IPv4 addresses of {NAME} (A, no AAAA): it does no DNS64, so that a device that has "
            "IPv6 alone reaches no IPv4 server by name."
        )
    return CheckError(said, things_to_try=[_PHONE, _OTHER])
