"""Which image a build left behind: the one seam between `firmware`, which builds, and `flash`, which writes."""

import glob
import shlex
from collections.abc import Iterator
from pathlib import Path

from thingmint.errors import InputError

# Without sysbuild, and with it, where each image of a build has a folder: that of the application has its name.
_NAMES = ("zephyr/app_update.bin", "zephyr/zephyr.signed.bin", "{app}/zephyr/zephyr.signed.bin")


def newest(builds: Path, app: str) -> Path:
    """The image that was built last of `app`, a sample's name or an application's folder: in `builds`, or in that folder.

    In `builds`, a build has the application's name and the board's, which is a Thingy:91 here. Raises InputError where
    there is none.
    """
    own = Path(app).resolve()
    folders = [*builds.glob(f"{glob.escape(own.name)}-thingy91*"), own / "build"]
    found = [path for folder in folders for path in _images(folder, own.name)]
    if not found:
        raise InputError(
            f"no image of {app} was built for a Thingy:91: neither {builds} nor {own / 'build'} holds one.",
            things_to_try=[
                f"build it: {shlex.join(['invoke', 'firmware', '--app', app])}",
                "or name an image: --file app_update.bin",
            ],
        )
    return max(found, key=lambda path: path.stat().st_mtime_ns)


def _images(folder: Path, app: str) -> Iterator[Path]:
    return (path for name in _NAMES if (path := folder / name.format(app=app)).is_file())
