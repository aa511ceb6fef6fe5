"""Operators' networks, from config/networks.yaml: what to ask the modem for, and which NAT64 prefixes to expect.

An expectation is all that a profile is: what discovery finds on a network wins.
"""

from dataclasses import dataclass
from ipaddress import IPv6Network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, RootModel, ValidationError

from thingmint import yamlfile
from thingmint.errors import InputError
from thingmint.network import addresses
from thingmint.yamlfile import Section, fits

FILE = yamlfile.FOLDER / "networks.yaml"

Family = Literal["IPV4", "IPV6", "IPV4V6"]


@dataclass(frozen=True)
class Profile:
    """One network. `apn` is None where the SIM card brings it. `unverified` names the fields that nobody has tried."""

    name: str
    apn: str | None
    family: Family
    nat64: tuple[IPv6Network, ...]
    unverified: frozenset[str]

    def surprise(self, found: frozenset[IPv6Network]) -> str | None:
        """What is unexpected about the prefixes that were found on this network, or None."""
        if found & set(self.nat64):
            return None
        if not self.nat64:
            return f"the profile {self.name} expects no NAT64; what was found is used."
        doubted = " (unverified)" if "nat64" in self.unverified else ""
        return (
            f"the profile {self.name} expects the NAT64 prefix {' or '.join(map(str, self.nat64))}{doubted}; "
            "what was found is used."
        )


def _prefix(value: str) -> str:
    try:
        addresses.prefix(value, "the prefix")
    except InputError as error:
        raise ValueError(f"{error.message.removesuffix('.')} ({'; '.join(error.things_to_try)})") from None
    return value


# It stands in a Kconfig file and in an AT command later: what both take as it is (3GPP TS 23.003: at most 100 octets).
_APN = fits(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,98}[A-Za-z0-9])?", "an access point name: 1 to 100 letters, digits and . -")
_NAME = fits(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", "a network's name: 1 to 32 lower-case letters, digits and -")


class _Entry(Section):
    apn: Annotated[str, _APN] | None
    family: Family
    nat64: list[Annotated[str, AfterValidator(_prefix)]]
    unverified: list[Literal["apn", "family", "nat64"]]


class _Networks(RootModel[dict[Annotated[str, _NAME], _Entry]]):
    pass


def profiles(file: Path = FILE) -> dict[str, Profile]:
    """All of them by name, in the file's order. Raises ConfigError."""
    values = yamlfile.read(file, "generic", instead=["bring it back: git restore config/networks.yaml"])
    try:
        entries = _Networks.model_validate(values).root
    except ValidationError as error:
        raise yamlfile.explain(error, file, {}, released=FILE.name) from None
    return {
        name: Profile(name, one.apn, one.family, tuple(map(IPv6Network, one.nat64)), frozenset(one.unverified))
        for name, one in entries.items()
    }


def profile(name: str, file: Path = FILE) -> Profile:
    """The one called `name`. Raises InputError with the names that are near, or all of them."""
    found = profiles(file)
    if name in found:
        return found[name]
    import difflib

    near = difflib.get_close_matches(name.lower(), found, n=2, cutoff=0.5)
    raise InputError(
        f"--network {name!r} is no network that {file} knows.",
        things_to_try=[
            *(f"did you mean --network {one}?" for one in near),
            *([] if near else [f"one of {', '.join(found)}"]),
            f"add it to {file}",
        ],
    )
