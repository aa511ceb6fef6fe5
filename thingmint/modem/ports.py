"""Which port to use: the one that was named, or the one device that answers AT, or whatever else is asked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from thingmint.errors import InputError, ModemError
from thingmint.modem import obstacles

# Nordic's: application (Thingy:91, Thingy:91 X), and the bootloader of the nRF52840 that is its USB bridge.
_NORDIC = 0x1915
_BOOTLOADER = 0x520F
AUTO = "auto"


@dataclass(frozen=True)
class Board:
    """One USB device and its ports: a Thingy:91 shows two."""

    serial_number: str
    ports: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.serial_number} ({', '.join(self.ports)})"


_Try = Callable[[str, Callable[[str], None] | None], bool]


@dataclass(frozen=True)
class Question:
    """What tells the right port: `rounds` ask one port each, the quick one first, whether it answers to `name`."""

    name: str
    rounds: Sequence[_Try]
    things_to_try: Sequence[str] = ()  # where nobody answers
    bridge: str = "switch it off and on, without holding a button"  # where its USB bridge waits in a bootloader


def choose(asked: str, *, tell: Callable[[str], None] | None = None, question: Question | None = None) -> str:
    """`asked` itself, or for "auto" the port of the one board that answers: AT, if nothing else is asked.

    Raises InputError where two boards answer, or `asked` is no port; ModemError where none does.
    """
    if asked != AUTO:
        obstacles.require_port(asked)
        return asked
    # A silent port costs half a second, so getting out of a stuck quote, which takes longer, is for a second round.
    question = question or Question("AT", (_answers, _answers_at_last))
    boards, in_bootloader = _boards()
    if not boards:
        raise _nothing(in_bootloader, question)
    for answers in question.rounds:
        found, faults = _answering(boards, answers, tell)
        if found:
            break
    if len(found) > 1:
        names = " and ".join(f"{board.serial_number} at {port}" for board, port in found)
        raise InputError(
            f"more than one device answers: {names}.",
            things_to_try=[f"name one: --port {found[0][1]}", "or unplug the others"],
        )
    if not found:
        raise _none_answers(boards, faults, question)
    return found[0][1]


def _boards() -> tuple[list[Board], list[str]]:
    """Boards with the Nordic id, and the ports of bridges that wait in their bootloader."""
    from serial.tools import list_ports

    groups: dict[str, list[str]] = {}
    in_bootloader = []
    for port in sorted(list_ports.comports()):
        if port.vid != _NORDIC:
            continue
        if port.pid == _BOOTLOADER:
            in_bootloader.append(port.device)
            continue
        # Without a serial number: where it is plugged in (1-2:1.0 is interface 0 of what stands at 1-2).
        place = (port.location or port.device).partition(":")[0]
        groups.setdefault(port.serial_number or place, []).append(port.device)
    return [Board(name, tuple(ports)) for name, ports in groups.items()], in_bootloader


def _answering(
    boards: Sequence[Board], answers: _Try, tell: Callable[[str], None] | None
) -> tuple[list[tuple[Board, str]], list[ModemError]]:
    """The first port of each board that answers, and what kept others from it."""
    found, faults = [], []
    for board in boards:
        for port in board.ports:
            try:
                if answers(port, tell):
                    found.append((board, port))
                    break
            except ModemError as error:
                faults.append(error)
    return found, faults


def _answers(port: str, tell: Callable[[str], None] | None) -> bool:
    from thingmint.modem import attention
    from thingmint.modem.link import Link
    from thingmint.modem.talk import Talk

    link = Link(port)
    try:
        return attention.probe(Talk(link, tell))
    finally:
        link.close()


def _answers_at_last(port: str, tell: Callable[[str], None] | None) -> bool:
    from thingmint.modem.at import open_modem

    with open_modem(port, tell=tell):
        return True


def _nothing(in_bootloader: Sequence[str], question: Question) -> ModemError:
    if in_bootloader:
        return ModemError(
            f"the board at {in_bootloader[0]} waits in its USB bridge's bootloader.", things_to_try=[question.bridge]
        )
    return ModemError(
        "no Nordic board is plugged in (USB vendor 1915).",
        things_to_try=[
            "plug it in and switch it on; some cables carry power alone",
            "a board behind another USB bridge is not looked for: name its port, --port /dev/ttyUSB0",
            "no board at hand? A simulated modem: invoke modem --imei ID",
        ],
    )


def _none_answers(boards: Sequence[Board], faults: Sequence[ModemError], question: Question) -> ModemError:
    things = [*question.things_to_try, *(thing for error in faults for thing in error.things_to_try)]
    return ModemError(
        f"no port answers {question.name}: {', '.join(map(str, boards))} {'was' if len(boards) == 1 else 'were'} tried.",
        detail="\n".join(error.message for error in faults),
        things_to_try=list(dict.fromkeys(things)),
    )
