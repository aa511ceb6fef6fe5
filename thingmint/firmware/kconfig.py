"""The device's Kconfig fragment: values in, text out; and afterwards, whether the build really took them."""

import re
from dataclasses import dataclass
from pathlib import Path

from thingmint.errors import CheckError, InputError
from thingmint.firmware.editions import IPV6_SINCE
from thingmint.firmware.sdk import Sdk
from thingmint.render import render

DPS_HOST = "global.azure-devices-provisioning.net"
FAMILIES = ("IPV4", "IPV6", "IPV4V6")

# "HOST/ID/?api-version=2020-09-30", and what Microsoft's library adds about itself; the rest is room for its next version.
_USER_NAME_REST = 80
_LINE = re.compile(r"(CONFIG_\w+)=(.*)|# (CONFIG_\w+) is not set", re.ASCII)


@dataclass(frozen=True)
class Network:
    """An operator's: which access point, which of the FAMILIES of addresses."""

    name: str
    apn: str | None
    family: str


@dataclass(frozen=True)
class Identity:
    """Who the device is to which hub. Without an id it comes from the modem, or from the application's own code."""

    host: str
    device_id: str | None
    sec_tag: int
    secondary_tag: int
    id_from_modem: bool = False
    id_scope: str | None = None  # of the provisioning service, where the device asks it for its hub


@dataclass(frozen=True)
class Options:
    """All that a build is asked for beyond the application's own prj.conf."""

    identity: Identity | None = None
    network: Network | None = None
    debug: bool = False


def fragment(options: Options, sdk: Sdk, *, app: str, room: int | None = None) -> str:
    """The text of the fragment. Raises InputError naming the value that cannot stand in one, or not with this SDK."""
    identity, network = options.identity, options.network
    if network and network.family not in FAMILIES:
        raise InputError(f"the network {network.name} has the unknown family {network.family!r}.")
    if network and network.family == "IPV6" and not sdk.edition.ipv6:
        raise InputError(
            f"the network {network.name} is IPv6 only, and the SDK in {sdk.root} is {sdk.version}: its mqtt_helper "
            "speaks IPv4 alone, and would never reach the hub.",
            things_to_try=[
                f"use SDK {'.'.join(map(str, IPV6_SINCE))} or newer: --sdk PATH",
                "a profile with IPv4, where the operator has one",
            ],
        )
    apn = network.apn if network else None
    return render(
        "identity.conf.j2",
        {
            "app": plain(app, "the application's name"),
            "sdk": sdk.version,
            "hub": identity is not None,
            "device_id": identity and identity.device_id and quoted(identity.device_id, "the device id"),
            "id_from_modem": identity is not None and identity.id_from_modem,
            "host": identity and quoted(identity.host, "the hub's host name"),
            "id_scope": identity and identity.id_scope and quoted(identity.id_scope, "the id scope"),
            "dps_host": quoted(DPS_HOST, "the provisioning service's host name"),
            "sec_tag": identity and identity.sec_tag,
            "secondary_tag": identity and identity.secondary_tag,
            "user_name_buffer": identity and larger_buffer(identity, room or sdk.edition.user_name_buffer),
            "network": network and plain(network.name, "the network's name"),
            "family": network and network.family,
            "apn": apn and quoted(apn, "the access point's name"),
            "pdn_module": sdk.edition.pdn_module,
            "pdn": sdk.edition.pdn,
            "debug": options.debug,
        },
    )


def larger_buffer(identity: Identity, usual: int) -> int | None:
    """The size that the MQTT user name needs, in steps of 32; None where the SDK's own is enough.

    An id that the modem tells has 15 digits.
    """
    needed = len(identity.host) + len(identity.device_id or "0" * 15) + _USER_NAME_REST
    return None if needed <= usual else -(-needed // 32) * 32


def plain(text: str, what: str) -> str:
    """Text that may stand in a line of a fragment. Raises InputError.

    Zephyr hands a value on to CMake, to C and to linker scripts: `$` is a variable to one of them, and a letter beyond
    ASCII has another length in each.
    """
    if not re.fullmatch(r"[ -#%-~]*", text, re.ASCII):
        raise InputError(
            f"{what} {text!r} cannot stand in a Kconfig fragment.",
            things_to_try=["use printable ASCII alone, without $ and without line breaks"],
        )
    return text


def quoted(text: str, what: str) -> str:
    """A string as Kconfig has it: in quotes, with backslashes before quotes and backslashes."""
    escaped = plain(text, what).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def parse(text: str) -> dict[str, str]:
    """Symbols and values of a fragment or a .config, as they are written; what is not set is n."""
    matches = (_LINE.fullmatch(line.strip()) for line in text.splitlines())
    return {found[1] or found[3]: found[2] if found[1] else "n" for found in matches if found}


def config_of(folder: Path, app: str) -> Path:
    """The application's .config in a build folder: with sysbuild each image has a folder of its own."""
    nested = folder / app / "zephyr" / ".config"
    return nested if nested.is_file() else folder / "zephyr" / ".config"


def require_taken(asked: str, config: Path, *, sdk: Sdk, merged: bool) -> None:
    """Raises CheckError where the .config says otherwise than the fragment `asked`, which is no error to the build.

    `merged`: whether the build's output names the fragment among what it merged.
    """
    if not config.is_file():
        raise CheckError(f"the build left no {config}: nothing proves what is in it.")
    found = parse(config.read_text(encoding="utf-8", errors="replace"))
    wanted = parse(asked)
    lost = [
        f"{symbol}: asked for {value}, and it is {found.get(symbol, 'not there')}"
        for symbol, value in wanted.items()
        if found.get(symbol, "n") != value
    ]
    if not lost:
        return
    if merged:
        cures = [
            "an option that another one forbids, or whose dependencies are missing, is dropped without a word",
            "look it up: west build -t menuconfig -d BUILD_FOLDER",
        ]
    else:
        cures = [f"SDK {sdk.version} takes fragments by -D{sdk.edition.fragment}=…: is that still so? Please report it"]
    raise CheckError(
        f"the build took {len(wanted) - len(lost)} of {len(wanted)} options of the device's fragment"
        f"{'' if merged else ', which it did not read at all'}.",
        detail="\n".join(lost),
        things_to_try=cures,
    )
