"""A trial from outside: begin it, tell the lab how to behave, look at what it saw, and have the lab be itself again."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode

from thingmint.errors import HubError, InputError
from thingmint.lab.advice.seen import Seen, Stage
from thingmint.lab.control import RunningLab
from thingmint.lab.requests import gone
from thingmint.lab.state import LabFolder

_RUNS_ALREADY = 409
_ALIVE_SECONDS = 0.5  # whoever lives asks ten times a second


@dataclass(frozen=True)
class Look:
    device: str
    """Empty as long as none connected, where any will do."""
    connected: bool
    unseen: bool
    """Whether it is connected by a websocket, where a trial sees nothing."""
    now: float
    """In seconds since the trial began."""
    seen: tuple[Seen, ...]
    """All of the trial so far."""


class Trial:
    def __init__(self, lab: RunningLab, token: str) -> None:
        self._lab = lab
        self._token = token
        self._seen: list[Seen] = []

    def play(self, stage: Stage) -> None:
        self._ask("POST", "/lab/advise/stage", stage=stage.value)

    def look(self) -> Look:
        answer = self._ask("GET", "/lab/advise", after=str(len(self._seen)))
        self._seen += map(Seen.of, answer["seen"])
        return Look(answer["device"], answer["connected"], answer["unseen"], answer["now"], tuple(self._seen))

    def _ask(self, method: str, path: str, **query: str) -> Any:
        return _ask(self._lab, method, f"{path}?{urlencode({'trial': self._token, **query})}")


@contextlib.contextmanager
def begun(lab: RunningLab, device: str) -> Iterator[Trial]:
    """Ended with the block, however that ends. Raises InputError where another one runs.

    One that nobody asks about, since whoever began it was killed, is taken over after some seconds.
    """
    try:
        while (token := _begin(lab, device)) is None:
            time.sleep(_ALIVE_SECONDS)
            if lab.ask("GET", "/lab/trial").get("silence", 0.0) < _ALIVE_SECONDS:
                raise InputError(
                    f"the lab in {lab.folder} is advising already.", things_to_try=["wait until that is over"]
                )
    except (OSError, ValueError) as error:
        raise _gone(lab, error) from None
    try:
        yield Trial(lab, token)
    finally:
        with contextlib.suppress(OSError, ValueError):  # a lab that is gone misbehaves no more
            lab.ask("DELETE", f"/lab/advise?{urlencode({'trial': token})}")


def _begin(lab: RunningLab, device: str) -> str | None:
    """The trial's token; None where another one runs."""
    try:
        return str(lab.ask("POST", f"/lab/advise?{urlencode({'device': device})}")["trial"])
    except HTTPError as error:
        if error.code != _RUNS_ALREADY:
            raise
        return None


def _ask(lab: RunningLab, method: str, path: str) -> Any:
    try:
        return lab.ask(method, path)
    except (OSError, ValueError) as error:
        raise _gone(lab, error) from None


def _gone(lab: RunningLab, error: Exception) -> HubError:
    if not isinstance(error, HTTPError):
        return gone(LabFolder(lab.folder), error)
    return HubError(
        f"the lab in {lab.folder} does not go on with the trial: {error}.",
        things_to_try=["run this again", f"read {lab.folder / 'lab.log'}"],
    )
