"""Which image a build left behind: the one seam between `firmware`, which builds, and `flash`, which writes."""

import shlex
from pathlib import Path

from thingmint.errors import InputError

# By SDK version: up to 2.6 without sysbuild, from then on with it, where the application has a folder of its own.
_NAMES = ("zephyr/app_update.bin", "zephyr/zephyr.signed.bin", "*/zephyr/zephyr.signed.bin")


def newest(builds: Path, app: str) -> Path:
    """The image that was built last of `app`: of a sample's name in `builds`, or of an application's own folder.

    Raises InputError where there is none.
    """
    own = Path(app)
    folders = [builds / own.name, own / "build"] if own.name not in {"", ".", ".."} else [own / "build"]
    found = [path for folder in folders for path in _images(folder)]
    if not found:
        raise InputError(
            f"no image of {app} was built: {' and '.join(str(folder) for folder in folders)} "
            f"{'hold' if len(folders) > 1 else 'holds'} none.",
            things_to_try=[
                f"build it: {shlex.join(['invoke', 'firmware', '--app', app])}",
                "or name an image: --file app_update.bin",
            ],
        )
    return max(found, key=lambda path: path.stat().st_mtime_ns)


def _images(folder: Path) -> list[Path]:
    """Of the build in `folder`, and of those below it: one for each device."""
    return [
        path
        for name in _NAMES
        for start in ("", "*/")
        for path in folder.glob(start + name)
        if path.relative_to(folder).parts[0] != "mcuboot"
    ]
