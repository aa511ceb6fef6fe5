"""A lab that misbehaves on purpose, told to whoever failed on it: nobody shall look for a fault that was planted."""

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from thingmint.errors import CheckError, HubError, ThingmintError

if TYPE_CHECKING:
    from thingmint.lab.control import RunningLab
    from thingmint.session import Session


@contextlib.contextmanager
def told(session: "Session") -> Iterator[None]:
    """An error of the hub's that leaves the block says so first, where a fault was planted in the lab meanwhile."""
    began = time.monotonic()
    try:
        yield
    except (HubError, CheckError) as error:
        if session.settings.target == "lab" and (why := misbehaves(session, error, began)):
            error.things_to_try = (why, *error.things_to_try)
        raise


def misbehaves(session: "Session", error: ThingmintError, began: float) -> str | None:
    """Why the workspace's lab may have given that error on purpose, since the moment `began` (monotonic); None if not."""
    from thingmint.lab import control

    if (lab := control.running(session)) is None:
        return None
    # A trial takes the place of chaos, and is about connections: none of its faults makes a proof fail.
    if isinstance(error, HubError) and (trial := _trial(lab, began)):
        return trial
    return (
        f"the lab in {lab.folder} misbehaves on purpose (--chaos {lab.chaos}): its log, lab.log, names each fault"
        if lab.chaos
        else None
    )


def _trial(lab: "RunningLab", began: float) -> str | None:
    try:
        trial = lab.ask("GET", "/lab/trial")
    except (OSError, ValueError):
        return None
    if not trial or trial["over"] > time.monotonic() - began:
        return None
    whom = f"the device {trial['device']}" if trial["device"] else "a device"
    when = f"had {whom} on trial until {trial['over']:.0f} s ago" if trial["over"] else f"has {whom} on trial"
    then = "run this again" if trial["over"] else "run this again when that is over"
    return f"the lab in {lab.folder} {when} (`invoke advise`), and misbehaves on purpose meanwhile: {then}"
