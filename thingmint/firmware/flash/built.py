"""Which image a build left behind: the one seam between `firmware`, which builds, and `flash`, which writes."""

import glob
import shlex
from collections.abc import Iterator
from pathlib import Path

from thingmint.errors import InputError
from thingmint.firmware.editions import EDITIONS, SAMPLES, UPDATE_BIN
from thingmint.firmware.stamp import Stamp

_BOARD = "thingy91_nrf9160"
# Where each SDK puts it, and what a plain build for MCUboot leaves, which is all that an application's own may be.
_NAMES = (*dict.fromkeys(row.outputs[UPDATE_BIN] for row in EDITIONS), "zephyr/zephyr.signed.bin")


def newest(builds: Path, app: str) -> tuple[Path, str | None]:
    """The image that was built last of `app`, a sample's name or an application's folder, and the device that it is for.

    In `builds` a build counts that went through, for a Thingy:91's nRF9160; in the application's own build folder, which
    somebody else filled, any. Raises InputError where there is none.
    """
    own = Path(app).resolve()
    source = "" if app in SAMPLES else str(own)
    found = []
    for folder in builds.glob(f"{glob.escape(own.name)}-*"):
        mark = Stamp.read(folder)
        if mark and (mark.app, mark.source) == (own.name, source) and mark.board.startswith(_BOARD):
            found += [(path, mark.device) for path in _images(folder, own.name)]
    if source:
        found += [(path, None) for path in _images(own / "build", own.name)]
    if not found:
        raise InputError(
            f"no image of {app} was built for a Thingy:91: neither {builds} nor {own / 'build'} holds one.",
            things_to_try=[
                f"build it: {shlex.join(['invoke', 'firmware', '--app', app])}",
                "or name an image: --file app_update.bin",
            ],
        )
    return max(found, key=lambda one: one[0].stat().st_mtime_ns)


def _images(folder: Path, app: str) -> Iterator[Path]:
    return (path for name in _NAMES if (path := folder / name.format(app=app)).is_file())
