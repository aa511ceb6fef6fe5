"""AT commands as typed functions: who the modem is, its functional mode, its packet data contexts."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from thingmint.errors import ModemError, ThingmintError
from thingmint.modem import refusals
from thingmint.modem.at import Modem

SIMULATED = "thingmint, simulated"
OFFLINE = 4  # flight mode: the SIM and the credential storage work, the radio does not
_MODE_SECONDS = 60.0  # leaving a network takes its time

_CONTEXT = re.compile(r'\+CGDCONT: (\d+),"([^"]*)","([^"]*)"(?:,"([^"]*)")?.*')


@dataclass(frozen=True)
class ModemIdentity:
    imei: str
    firmware: str
    hardware: str
    manufacturer: str

    @property
    def simulated(self) -> bool:
        return self.manufacturer == SIMULATED


@dataclass(frozen=True)
class PdnContext:
    """A packet data network as the modem asks for it: family is IP, IPV6, IPV4V6 or Non-IP."""

    cid: int
    family: str
    apn: str
    address: str = ""


def identify(modem: Modem) -> ModemIdentity:
    return ModemIdentity(
        imei=_word(modem, "AT+CGSN"),
        firmware=_word(modem, "AT+CGMR"),
        hardware=_word(modem, "AT%HWVERSION"),
        manufacturer=_word(modem, "AT+CGMI"),
    )


def functional_mode(modem: Modem) -> int:
    """AT+CFUN?: 0 off, 1 active, 4 flight mode, and others."""
    answer = _word(modem, "AT+CFUN?")
    if not answer.isdigit():
        raise refusals.nonsense("AT+CFUN?", answer)
    return int(answer)


def set_functional_mode(modem: Modem, mode: int) -> None:
    modem.ask(f"AT+CFUN={mode}", seconds=_MODE_SECONDS)


@contextmanager
def offline(modem: Modem, *, back_to: int | None = None) -> Iterator[int]:
    """The modem in flight mode, where credentials may be changed; then in the mode it was in, whatever happens.

    Yields that mode. `back_to`: the one that an earlier conversation found, and was cut off before it restored it. Raises ModemError if it does not go offline, or not back; the latter never hides an error from inside.
    """
    mode = functional_mode(modem)
    before = back_to if mode == OFFLINE and back_to is not None else mode
    if before == OFFLINE:
        yield before
        return
    try:
        if mode != OFFLINE:
            _go_offline(modem)
        yield before
    except BaseException as first:
        try:
            _restore(modem, before)
        except ThingmintError as error:
            _add(first, error)
        raise
    _restore(modem, before)


def pdn_contexts(modem: Modem) -> tuple[PdnContext, ...]:
    found = []
    for line in modem.ask("AT+CGDCONT?"):
        match = _CONTEXT.fullmatch(line)
        if match is None:
            raise refusals.nonsense("AT+CGDCONT?", line)
        found.append(PdnContext(int(match[1]), match[2], match[3], match[4] or ""))
    return tuple(found)


def _word(modem: Modem, command: str) -> str:
    """The one value that a command gives, without its prefix and quotes."""
    answer = modem.ask(command)
    if len(answer) != 1:
        raise refusals.nonsense(command, "\n".join(answer) or "OK, and nothing else")
    return re.sub(r"^[+%][A-Z]+: ", "", answer[0]).strip('"')


def _go_offline(modem: Modem) -> None:
    things = [
        "its firmware may hold it active: flash one that leaves the modem alone: Nordic's at_client sample",
        "switch the board off and on, then run this again",
    ]
    try:
        set_functional_mode(modem, OFFLINE)
    except refusals.RefusedError as error:
        raise ModemError(
            f"the modem at {modem.port} does not go offline, so no credential was touched: {error.message}",
            detail=error.detail,
            things_to_try=things,
            code=error.code,
        ) from None
    mode = functional_mode(modem)
    if mode != OFFLINE:
        raise ModemError(
            f"the modem at {modem.port} was sent offline (AT+CFUN=4), answered OK, and is in mode {mode}.",
            things_to_try=things,
        )


def _restore(modem: Modem, mode: int) -> None:
    try:
        set_functional_mode(modem, mode)
    except ModemError as error:
        raise ModemError(
            f"the modem at {modem.port} was not put back into mode {mode}: {error.message}",
            detail=error.detail,
            things_to_try=[_by_hand(mode), *error.things_to_try],
            code=error.code,
        ) from None


def _by_hand(mode: int) -> str:
    return f"put it back by hand: AT+CFUN={mode}; a restart of the board does it as well"


def _add(first: BaseException, error: ThingmintError) -> None:
    """Tell of the second beside the first."""
    if isinstance(first, ThingmintError):
        first.things_to_try = (*first.things_to_try, f"{error.message} {error.things_to_try[0]}")
    else:
        first.add_note(error.render())
