"""A lab that misbehaves on purpose, told to whoever failed on it: nobody shall look for a fault that was planted."""

import contextlib
import datetime as dt
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from thingmint.errors import CheckError, HubError, PassingError, ThingmintError, UntrustedError

if TYPE_CHECKING:
    from thingmint.lab.control import RunningLab
    from thingmint.session import Session

_STAMP = "%Y-%m-%dT%H:%M:%SZ"  # of the lab's log


@contextlib.contextmanager
def told(session: "Session") -> Iterator[None]:
    """An error of the hub's that leaves the block says so first, where a fault was planted in the lab meanwhile."""
    began, moment = time.monotonic(), dt.datetime.now(dt.UTC).strftime(_STAMP)
    try:
        yield
    except (HubError, CheckError) as error:
        if session.settings.target == "lab":
            _tell(session, error, began, moment)
        raise


def _tell(session: "Session", error: ThingmintError, began: float, moment: str) -> None:
    from thingmint.lab import control

    if (lab := control.running(session)) is None:
        return
    # A trial takes the place of chaos, and is about connections: none of its faults makes a proof fail.
    if isinstance(error, HubError) and (trial := _trial(lab, began)):
        error.things_to_try = (trial, *error.things_to_try)
    elif chaos := _chaos(lab, moment):
        # Firewalls, certificates, a new lab: none of these cures what was planted. A refusal may be deserved all the same.
        error.things_to_try = (chaos, *(() if _looks_planted(error) else error.things_to_try))


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


def _chaos(lab: "RunningLab", since: str) -> str | None:
    """`since` as the log has moments. None where no fault was planted from then on."""
    from thingmint.lab.state import LabFolder

    if lab.chaos is None:
        return None
    log = LabFolder(lab.folder).log
    try:
        lines = [line.partition(" ") for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:  # the error that is told of counts more
        return None
    faults = [text.removeprefix("chaos: ") for stamp, _, text in lines if text.startswith("chaos: ") and stamp >= since]
    if not faults:
        return None
    return (
        f"run this again: the lab misbehaves on purpose (--chaos {lab.chaos}), {len(faults)} time(s) meanwhile, at last "
        f"{faults[-1]!r}; {log} names each fault"
    )


def _looks_planted(error: ThingmintError) -> bool:
    """Whether it is what clients say of a broken connection, a busy service or a certificate that nobody should trust."""
    if isinstance(error, PassingError | UntrustedError):
        return True
    return isinstance(error, HubError) and (error.status in {412, 429} or (error.status or 0) >= 500)
