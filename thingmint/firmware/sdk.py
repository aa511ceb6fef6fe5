"""Which nRF Connect SDK is here: a folder with nrf/VERSION in it, made by Nordic's tools or by `west init`."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from thingmint.errors import InputError
from thingmint.firmware import editions
from thingmint.firmware.editions import Edition, Version

GET_SDK = (
    "nRF Connect for Desktop, or VS Code's nRF Connect extension, installs it, with its toolchain",
    "or: nrfutil install sdk-manager, then nrfutil sdk-manager install v2.4.0",
    "or: west init -m https://github.com/nrfconnect/sdk-nrf --mr v2.4.0 ncs, then west update in there",
)


class NoSdkError(InputError):
    """None was named, and none is found."""


@dataclass(frozen=True)
class Sdk:
    """A workspace of west's: `root` holds nrf/, zephyr/ and .west/."""

    root: Path
    version: Version
    edition: Edition

    @property
    def zephyr(self) -> Path:
        return self.root / "zephyr"

    def sample(self, name: str) -> Path:
        return self.root / "nrf" / self.edition.samples[name]

    @classmethod
    def read(cls, folder: Path, *, named_by: str) -> "Sdk":
        """The SDK in `folder`, which may also be its nrf/ or zephyr/. Raises InputError naming who named it."""
        root = next((one for one in (folder, folder.parent) if (one / "nrf" / "VERSION").is_file()), None)
        if root is None:
            raise InputError(
                f"{named_by} {folder} holds no nRF Connect SDK: there is no nrf/VERSION in it.",
                things_to_try=["name the folder that holds nrf/ and zephyr/", *GET_SDK],
            )
        told = (root / "nrf" / "VERSION").read_text(encoding="utf-8", errors="replace")
        version = Version.parse(told)
        if version is None:
            raise InputError(f"{root / 'nrf/VERSION'} holds no version: {told[:40]!r}.", things_to_try=GET_SDK)
        edition = editions.of(version)
        if edition is None:
            raise InputError(
                f"the SDK in {root} is {version}; {'.'.join(map(str, editions.OLDEST))} is the oldest that is known here.",
                things_to_try=GET_SDK,
            )
        return cls(root.absolute(), version, edition)

    def require_workspace(self) -> None:
        """Raises InputError where west would know no `build`: that command comes from the workspace."""
        if not (self.root / ".west" / "config").is_file():
            raise InputError(
                f"{self.root} is no west workspace: it has no .west/config.",
                things_to_try=["in that folder: west init -l nrf, then west update", *GET_SDK],
            )


def find(
    *, named: str | None, configured: str | None, environment: Mapping[str, str] = os.environ, cwd: Path | None = None
) -> Sdk:
    """The first that is told: --sdk, the configuration, ZEPHYR_BASE, a workspace above `cwd`, the usual folders.

    Raises InputError where there is none, or where the usual folders hold several.
    """
    if named is not None and not named.strip():
        raise InputError(
            "--sdk is empty.", things_to_try=["name the folder that holds nrf/ and zephyr/, or leave it out"]
        )
    for folder, named_by in (
        (named, "--sdk"),
        (configured, "firmware.sdk"),
        (environment.get("ZEPHYR_BASE"), "ZEPHYR_BASE"),
    ):
        if folder:
            with contextlib.suppress(RuntimeError):  # "~somebody" who is nobody: as it is, it is no folder either
                folder = os.path.expanduser(folder)  # noqa: PTH111, PLW2901
            return Sdk.read(Path(folder).absolute(), named_by=named_by)
    here = (cwd or Path.cwd()).absolute()
    above = next((one for one in (here, *here.parents) if (one / "nrf" / "VERSION").is_file()), None)
    if above:
        return Sdk.read(above, named_by="the workspace above,")
    found = list(_usual(environment))
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(
            f"there are {len(found)} nRF Connect SDKs here.",
            detail="\n".join(f"{one.version}  {one.root}" for one in found),
            things_to_try=[f"choose one, e.g. --sdk {found[-1].root}", "or set firmware.sdk in the configuration"],
        )
    raise NoSdkError("there is no nRF Connect SDK here.", things_to_try=["name it: --sdk PATH", *GET_SDK])


def _usual(environment: Mapping[str, str]) -> Iterator[Sdk]:
    """Where Nordic's tools put them: a folder a version. What else lies there (toolchains, older ones) is passed over."""
    home = environment.get("USERPROFILE" if os.name == "nt" else "HOME")
    places = [Path("C:/ncs") if os.name == "nt" else Path("/opt/nordic/ncs"), *([Path(home) / "ncs"] if home else [])]
    for place in places:
        for folder in sorted(place.iterdir()) if place.is_dir() else ():
            if (folder / "nrf" / "VERSION").is_file():
                with contextlib.suppress(InputError):
                    yield Sdk.read(folder, named_by="the usual place")
