"""Courses for the judges, made up from what the lab could see of a device."""

from dataclasses import replace

from thingmint.lab.advice.course import Course
from thingmint.lab.advice.evidence import Evidence
from thingmint.lab.advice.seen import Seen, Stage, What
from thingmint.lab.advice.verdict import Verdict

PATIENCE = 10.0
DEVICE, HOME = "dev", "10.0.0.1"
KNOWN = (
    Seen(-9.0, What.OPENED, 100, peer=HOME),
    Seen(-8.9, What.SHOWN, 100),
    Seen(-8.8, What.GREETED, 100, DEVICE),
)
"""The device came in before, from there."""


def sure(verdict: Verdict | None) -> Verdict:
    assert verdict is not None, "it could not be judged yet"
    return verdict


def told(*seen: Seen, stage: Stage = Stage.REFUSING, now: float = 100.0, over: bool = False) -> Course:
    """As the lab saw it."""
    return Course(Evidence((*KNOWN, Seen(0.0, What.STAGE, words=stage), *seen), DEVICE), stage, PATIENCE, now, over)


def course(*seen: Seen, stage: Stage = Stage.REFUSING, now: float = 100.0, over: bool = False) -> Course:
    """The same where all of it is surely the device's."""
    own = (replace(one, device=DEVICE) if one.connection else one for one in seen)
    return told(*own, stage=stage, now=now, over=over)


def attempts(*waits: float, connect: bool = False, first: int = 1) -> list[Seen]:
    """Connections that the hub ends 0.1 s after they were opened; the one of before ended when the stage began."""
    seen, at = [Seen(0.0, What.CLOSED, first - 1)], 0.0
    for number, wait in enumerate(waits, start=first):
        at += wait
        seen.append(Seen(at, What.OPENED, number, peer=HOME))
        if connect:
            seen.append(Seen(at + 0.05, What.CONNECT, number))
        at += 0.1
        seen.append(Seen(at, What.CLOSED, number))
    return seen


def dialogue(connection: int, at: float, *what: What, shown: str = "", peer: str = HOME) -> list[Seen]:
    begin = [Seen(at, What.OPENED, connection, peer=peer), Seen(at, What.SHOWN, connection, words=shown)]
    return [*begin, *(Seen(at + 0.01 * n, one, connection) for n, one in enumerate(what, start=1))]


def broken(connection: int, at: float, words: str = "alert", number: int = 0, *, peer: str = HOME) -> list[Seen]:
    """By a client that has shown no certificate, at a server certificate other than the hub's own."""
    end = Seen(at + 0.1, What.BROKEN_OFF, connection, words=words, number=number)
    return [*dialogue(connection, at, shown="other", peer=peer), end, Seen(at + 0.1, What.CLOSED, connection)]
