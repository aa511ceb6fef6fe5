"""Trial: one device's, a source of faults that follows the stages it is told, and keeps what was seen."""

import secrets
import time
from collections.abc import Callable, Mapping

from thingmint.lab.advice.seen import Seen, Stage, What
from thingmint.lab.cloud.faults.kinds import Fault, Kind, Point

_MOST_SEEN = 20_000  # a device that hammers for two minutes stays below it
_HANDSHAKES = {
    Stage.REFUSING: Kind.RESET,
    Stage.EXPIRED: Kind.EXPIRED,
    Stage.WRONG_HOST: Kind.WRONG_HOST,
    Stage.STRANGER: Kind.OTHER_CA,
    Stage.OTHER_ROOT: Kind.SECOND_ROOT,
}
_ANSWERS: Mapping[tuple[Stage, Point], Kind] = {
    (Stage.BUSY, Point.CONNACK): Kind.REFUSED,
    (Stage.MUTE, Point.CONNACK): Kind.SILENT,
    (Stage.FORGETFUL, Point.PUBACK): Kind.BROKEN,
    (Stage.SILENT, Point.SUBACK): Kind.SILENT,
    (Stage.SILENT, Point.PUBACK): Kind.SILENT,
    (Stage.SILENT, Point.PINGRESP): Kind.SILENT,
}


class Trial:
    """`device` is empty until one connects, where any will do."""

    def __init__(self, device: str, not_the_hub: frozenset[str]) -> None:
        """`not_the_hub`: names under which a device asks for another service."""
        self.device = device
        self.token = secrets.token_urlsafe(8)  # tells this trial from the one before
        self.stage = Stage.NORMAL
        self.seen: list[Seen] = []
        self.asked = time.monotonic()  # when whoever began it last showed that it is there
        self._not_the_hub = not_the_hub
        self._began = time.monotonic()
        self._spent = False
        self.undo: list[Callable[[], object]] = []
        """What takes back what the stage changed."""

    def play(self, stage: Stage) -> None:
        self.end_stage()
        self.stage, self._spent = stage, False
        self.note(What.STAGE, words=stage.value)

    def end_stage(self) -> None:
        while self.undo:
            self.undo.pop()()

    def draw(self, point: Point, who: str) -> Fault | None:
        """As chaos's source does it; `who` is the name that the client asks for, or that its certificate has."""
        if point is Point.DEVICE_HANDSHAKE:
            kind = None if who.casefold() in self._not_the_hub else _HANDSHAKES.get(self.stage)
        elif who == self.device:
            kind = self._answer(point)
        else:
            kind = None
        return Fault(kind, told="advise") if kind else None

    def _answer(self, point: Point) -> Kind | None:
        if self._spent:
            return None
        # A device that comes back is answered again; a message is forgotten once.
        self._spent = (self.stage, point) in {(Stage.SILENT, Point.CONNACK), (Stage.FORGETFUL, Point.PUBACK)}
        return _ANSWERS.get((self.stage, point))

    def note(
        self, what: What, connection: int = 0, device: str = "", words: str = "", number: int = 0, *, flag: bool = False
    ) -> None:
        if len(self.seen) < _MOST_SEEN:
            at = round(time.monotonic() - self._began, 3)
            self.seen.append(Seen(at, what, connection, device, words, number, flag))
