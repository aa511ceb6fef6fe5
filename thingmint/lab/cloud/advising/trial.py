"""Trial: one device's, a source of faults that follows the stages it is told, and keeps what was seen."""

import secrets
import time
from collections.abc import Callable, Mapping

from thingmint.lab.advice.seen import Seen, Stage, What
from thingmint.lab.cloud.faults.kinds import Fault, Kind, Point

MOST_IN_A_STAGE = 5_000  # events; a device that sends and is answered ten times a second makes as many in four minutes
_ALWAYS = frozenset({What.STAGE, What.THERE, What.DESIRED, What.ANSWERED, What.UNASKED})
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

    def __init__(self, device: str, not_the_hub: frozenset[str], tell: Callable[[str], None]) -> None:
        """`not_the_hub`: names under which a device asks for another service. `tell` writes to the log."""
        self.device = device
        self.token = secrets.token_urlsafe(8)  # tells this trial from the one before
        self.stage = Stage.NORMAL
        self.seen: list[Seen] = []
        self.certificates: dict[bytes, str] = {}
        """As which device whoever has such a certificate (DER) was let in."""
        self.asked = time.monotonic()  # when whoever began it last showed that it is there
        self._not_the_hub = not_the_hub
        self._tell = tell
        self._began = time.monotonic()
        self._spent = False
        self._room = MOST_IN_A_STAGE
        self._waiting: set[tuple[int, int]] = set()  # the device's messages without a PUBACK: connection, packet id
        self.undo: list[Callable[[], object]] = []
        """What takes back what the stage changed."""

    @property
    def now(self) -> float:
        """Seconds since it began."""
        return round(time.monotonic() - self._began, 3)

    def play(self, stage: Stage) -> None:
        self.end_stage()
        self.stage, self._spent, self._room = stage, False, MOST_IN_A_STAGE
        self.note(Seen(self.now, What.STAGE, words=stage.value))

    def end_stage(self) -> None:
        """Each undoing by itself: one that fails is told in the log, and keeps no other from being done."""
        while self.undo:
            try:
                self.undo.pop()()
            except Exception as error:  # noqa: BLE001 - the lab has to be itself again, whatever went wrong
                self._tell(f"advise: the stage {self.stage} was not undone: {type(error).__name__}: {error}")

    def draw(self, point: Point, who: str) -> Fault | None:
        """As chaos's source does it; `who` is the name that the client asks for, or the device that was let in."""
        if point is Point.DEVICE_HANDSHAKE:
            kind = None if who.casefold() in self._not_the_hub else _HANDSHAKES.get(self.stage)
        elif who and who == self.device:
            kind = self._answer(point)
        else:
            kind = None
        return Fault(kind, told="advise") if kind else None

    def _answer(self, point: Point) -> Kind | None:
        if self._spent or (self.stage is Stage.FORGETFUL and not self._waiting):
            return None
        # A device that comes back is answered again; a message is forgotten once.
        self._spent = (self.stage, point) in {(Stage.SILENT, Point.CONNACK), (Stage.FORGETFUL, Point.PUBACK)}
        return _ANSWERS.get((self.stage, point))

    def note(self, seen: Seen) -> None:
        if seen.what is What.PUBLISH and seen.number and seen.device == self.device:
            self._waiting.add((seen.connection, seen.packet))
        elif seen.what is What.PUBACK:
            self._waiting.discard((seen.connection, seen.packet))
        elif seen.what is What.CLOSED:
            self._waiting = {one for one in self._waiting if one[0] != seen.connection}
        if seen.what not in _ALWAYS:
            self._room -= 1
            if self._room == -1:
                self.seen.append(Seen(self.now, What.OVERFLOW, number=MOST_IN_A_STAGE))
            if self._room < 0:
                return
        self.seen.append(seen)
