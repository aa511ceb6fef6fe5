"""What is to be built: one of Nordic's samples, or an application of the team's own; and where its build goes."""

import re
from dataclasses import dataclass
from pathlib import Path

from thingmint.errors import InputError
from thingmint.firmware import editions
from thingmint.firmware.sdk import GET_SDK, Sdk

_SPLIT = re.compile(r"[\s;\"'$`\\#(){}<>&|*?]")
"""What CMake, ninja or Zephyr's own scripts split a path at, or read as something else."""
_HW_ID = "AZURE_IOT_HUB_SAMPLE_DEVICE_ID_USE_HW_ID"


@dataclass(frozen=True)
class Application:
    """`name` is a sample's, or the folder's: sysbuild calls the image by the folder."""

    name: str
    source: Path
    own: bool  # the team's, not the SDK's

    @classmethod
    def choose(cls, app: str | None, sdk: Sdk) -> "Application":
        """Raises InputError where there is no such thing."""
        if not app:
            raise InputError(
                "no application was named.",
                things_to_try=["--app at_client", "--app azure_iot_hub", "--app PATH, a folder with a CMakeLists.txt"],
            )
        own = app not in editions.SAMPLES
        source = Path(app).resolve() if own else sdk.sample(app)
        if own and not source.is_dir():
            raise InputError(
                f"--app {app!r} is neither a sample that is known here nor a folder.",
                things_to_try=[*(f"--app {name}" for name in editions.SAMPLES), "--app PATH"],
            )
        if not (source / "CMakeLists.txt").is_file():
            raise InputError(
                f"{source} is no Zephyr application: it has no CMakeLists.txt.",
                things_to_try=["name the application's own folder"] if own else ["west update", *GET_SDK],
            )
        return cls(source.name, source, own)

    @property
    def speaks_to_hub(self) -> bool:
        """Whether Nordic's Azure IoT Hub library is in it, by its prj.conf."""
        return re.search(r"^CONFIG_AZURE_IOT_HUB=y\s*$", _text(self.source / "prj.conf"), re.MULTILINE) is not None

    @property
    def takes_id_from_modem(self) -> bool:
        """Whether it has the sample's option for that, which came with SDK 2.5: then one binary serves many devices."""
        return _HW_ID in _text(self.source / "Kconfig")

    @property
    def user_name_buffer(self) -> int | None:
        """What its prj.conf says of the MQTT user name's room, in place of the SDK's own; in bytes."""
        found = re.search(
            r"^CONFIG_AZURE_IOT_HUB_USER_NAME_BUF_SIZE=(\d+)\s*$", _text(self.source / "prj.conf"), re.MULTILINE
        )
        return int(found[1]) if found else None

    def fragments(self, board: str, *, dps: bool) -> tuple[Path, ...]:
        """What the application itself offers for this: Nordic's options for DPS, and for a board that it forgot.

        Since 2.5 the sample has none for the Thingy:91. The nRF9160 DK has the same modem, and lends its own.
        """
        found = []
        boards = self.source / "boards"
        lender = boards / "nrf9160dk_nrf9160_ns.conf"
        if safe(board) == "thingy91_nrf9160_ns" and not (boards / f"{safe(board)}.conf").is_file() and lender.is_file():
            found.append(lender)
        if dps:
            offered = (self.source / "overlay-dps.conf", self.source / "dps.conf")
            found += [one for one in offered if one.is_file()]
        return tuple(found)


def board(named: str | None, sdk: Sdk) -> str:
    """The board as west is told. Raises InputError where that is no board's name."""
    if named is None:
        return sdk.edition.board
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_./@-]{0,127}", named, re.ASCII):
        raise InputError(
            f"--board {named!r} is no board's name.",
            things_to_try=[f"--board {sdk.edition.board}, the Thingy:91 of this SDK, or leave it out"],
        )
    return named


def safe(board: str) -> str:
    """A board as a file name: thingy91/nrf9160/ns is thingy91_nrf9160_ns, as Zephyr has it, too."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", board)


def require_buildable(path: Path, what: str) -> None:
    """Raises InputError where Zephyr's build would take the path apart: it knows lists, and no quotes."""
    if found := _SPLIT.search(path.as_posix()):
        raise InputError(
            f"{what} {path} has {found[0]!r} in its path, where Zephyr's build would split it.",
            things_to_try=["move it, or name a workspace elsewhere: THINGMINT_WORKSPACE=/path/without/such"],
        )


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
