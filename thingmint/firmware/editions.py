"""What differs from one nRF Connect SDK to the next. A row says only what changed; for a new SDK, add one."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

AT_CLIENT, AZURE_IOT_HUB = "at_client", "azure_iot_hub"
SAMPLES = (AT_CLIENT, AZURE_IOT_HUB)
"""Nordic's names of the two samples that the article builds."""


@dataclass(frozen=True, order=True)
class Version:
    """As nrf/VERSION has it. A development tree calls itself 2.3.99: what comes after 2.3, which is 2.4 to be."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    @classmethod
    def parse(cls, text: str) -> "Version | None":
        found = re.match(r"\s*v?([0-9]{1,4})\.([0-9]{1,4})\.([0-9]{1,4})", text, re.ASCII)
        return cls(*map(int, found.groups())) if found else None

    @property
    def counts_as(self) -> tuple[int, int]:
        return (self.major, self.minor + 1) if self.patch == 99 else (self.major, self.minor)


@dataclass(frozen=True)
class Edition:
    """An SDK as a build needs to know it."""

    since: tuple[int, int]
    samples: Mapping[str, str]  # below nrf/
    board: str  # the Thingy:91, its application in the non-secure world
    fragment: str  # the CMake variable that names fragments; another one is ignored without a word
    ipv6: bool  # whether mqtt_helper knows more than AF_INET
    user_name_buffer: int  # CONFIG_AZURE_IOT_HUB_USER_NAME_BUF_SIZE, unless set
    pdn_module: str
    pdn: str  # what the other options of the packet data network begin with
    outputs: Mapping[str, str]  # in the build folder; {app} is the application's folder name


UPDATE_HEX, UPDATE_BIN, WHOLE, PACKAGE = "update (hex)", "update (bin)", "whole flash (hex)", "update package (zip)"
UPDATES = (UPDATE_HEX, UPDATE_BIN)
"""Signed for MCUboot: what goes into a Thingy:91 over USB."""

_ROWS = [
    Edition(
        since=(2, 3),
        samples={AT_CLIENT: "samples/nrf9160/at_client", AZURE_IOT_HUB: "samples/nrf9160/azure_iot_hub"},
        board="thingy91_nrf9160_ns",
        fragment="OVERLAY_CONFIG",
        ipv6=False,
        user_name_buffer=128,
        pdn_module="CONFIG_PDN",
        pdn="CONFIG_PDN",
        outputs={
            UPDATE_HEX: "zephyr/app_signed.hex",
            UPDATE_BIN: "zephyr/app_update.bin",
            WHOLE: "zephyr/merged.hex",
            PACKAGE: "zephyr/dfu_application.zip",
        },
    )
]
_ROWS.append(replace(_ROWS[-1], since=(2, 4), fragment="EXTRA_CONF_FILE", ipv6=True, user_name_buffer=160))
_ROWS.append(
    replace(
        _ROWS[-1],
        since=(2, 5),
        samples={AT_CLIENT: "samples/cellular/at_client", AZURE_IOT_HUB: "samples/net/azure_iot_hub"},
    )
)
_ROWS.append(
    replace(
        _ROWS[-1],
        since=(2, 7),  # the hardware model with slashes; sysbuild by default
        board="thingy91/nrf9160/ns",
        outputs={
            UPDATE_HEX: "{app}/zephyr/zephyr.signed.hex",
            UPDATE_BIN: "{app}/zephyr/zephyr.signed.bin",
            WHOLE: "merged.hex",
            PACKAGE: "dfu_application.zip",
        },
    )
)
_ROWS.append(replace(_ROWS[-1], since=(3, 2), pdn_module="CONFIG_LTE_LC_PDN_MODULE", pdn="CONFIG_LTE_LC_PDN"))

EDITIONS = tuple(_ROWS)
OLDEST, IPV6_SINCE = EDITIONS[0].since, next(row.since for row in EDITIONS if row.ipv6)


def of(version: Version) -> Edition | None:
    """None for one that is older than the article's."""
    fitting = [row for row in EDITIONS if row.since <= version.counts_as]
    return fitting[-1] if fitting else None
