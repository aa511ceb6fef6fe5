"""A lab that misbehaves on purpose, told to whoever failed on it: nobody shall look for a fault that was planted."""

import contextlib
import datetime as dt
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from thingmint.errors import HubError, PassingError, UntrustedError

if TYPE_CHECKING:
    from thingmint.lab.control import RunningLab
    from thingmint.session import Session

_STAMP = "%Y-%m-%dT%H:%M:%SZ"  # of the lab's log


@contextlib.contextmanager
def told(session: "Session") -> Iterator[None]:
    """An error that leaves the block says so first, where it is of a kind that a fault planted in the lab meanwhile makes."""
    began, moment = time.monotonic(), dt.datetime.now(dt.UTC).strftime(_STAMP)
    try:
        yield
    except HubError as error:
        if session.settings.target == "lab" and _looks_planted(error):
            _tell(session, error, began, moment)
        raise


def _looks_planted(error: HubError) -> bool:
    return _of_a_connection(error) or error.status in {412, 429, 500, 503}


def _of_a_connection(error: HubError) -> bool:
    """Whether it broke, got no answer, or showed a certificate that nobody should trust."""
    return isinstance(error, PassingError | UntrustedError)


def _tell(session: "Session", error: HubError, began: float, moment: str) -> None:
    """What was planted is cured by no firewall, certificate or new lab: other things to try are left out."""
    from thingmint.lab import control

    if (lab := control.running(session)) is None:
        return
    if _of_a_connection(error) and (trial := _trial(lab, began)):  # which answers no request otherwise than always
        error.things_to_try = (trial,)
    elif chaos := _chaos(lab, moment):
        error.things_to_try = (chaos,)


def _trial(lab: "RunningLab", began: float) -> str | None:
    try:
        trial = lab.ask("GET", "/lab/trial")
    except (OSError, ValueError):
        return None
    if not trial or trial["over"] > time.monotonic() - began:
        return None
    whom = f"the device {trial['device']}" if trial["device"] else "a device"
    if trial["over"]:
        return (
            f"run this again: the lab in {lab.folder} misbehaved on purpose, and had {whom} on trial "
            f"(`invoke advise`) until {trial['over']:.0f} s ago"
        )
    return (
        f"run this again when `invoke advise` is over, or some seconds after it was killed: the lab in {lab.folder} "
        f"has {whom} on trial, and misbehaves on purpose meanwhile"
    )


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
