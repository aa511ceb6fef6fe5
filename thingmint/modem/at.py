"""One conversation with an AT host: a command in, its information lines out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from thingmint.errors import InputError
from thingmint.modem import secrecy

if TYPE_CHECKING:  # pexpect and pyserial come with it
    from thingmint.modem.talk import Talk

LONGEST = 4095  # characters of a command: CONFIG_AT_HOST_CMD_MAX_LEN less the end
_SECONDS = 10.0


class Modem:
    """Of open_modem. After a time-out, an interruption or a restart the next command first gets back in step."""

    def __init__(self, talk: "Talk") -> None:
        self._talk = talk
        self.port = talk.port

    def ask(self, command: str, *, seconds: float = _SECONDS) -> tuple[str, ...]:
        """Send one AT command, return its information lines, without URCs, log lines, echo and late answers.

        Raises ModemError: refused (`code` is that of +CME ERROR), silent for `seconds`, restarted, gone.
        """
        from thingmint.modem import attention

        require_command(command)
        if self._talk.astray:
            attention.regain(self._talk)
        self._talk.settle(secrecy.shown(command))
        self._talk.send(command)
        return self._talk.answer(command, seconds)


def require_command(command: str) -> None:
    """What would overflow the host, leave it in a quote, or be two commands, is not sent. Raises InputError."""
    if len(command) > LONGEST:
        broken = f"it has {len(command)} characters, and the AT host takes {LONGEST}"
    elif not command.isascii() or any(char in command for char in "\r\0\x7f"):
        broken = "it has characters that are not ASCII, or that end or edit a command"
    elif command.count('"') % 2:
        broken = "a quote is not closed"
    elif "\n" in "".join(command.split('"')[0::2]):
        broken = "it has a line break outside quotes"
    else:
        return
    raise InputError(
        f"{secrecy.shown(command)} is not sent: {broken}.", things_to_try=["look at the values that it is made of"]
    )


@contextmanager
def open_modem(port: str, *, tell: Callable[[str], None] | None = None) -> Iterator[Modem]:
    """Open exclusively, get the host's attention, ask for error codes (AT+CMEE=1), and close at the end.

    `tell` is handed each line of the transcript; what AT%CMNG=0 carries is there as size and digest alone. Raises
    InputError for what is no port, ModemError if there is none, it is busy or denied, or no AT host answers.
    """
    from thingmint.modem import attention
    from thingmint.modem.link import Link
    from thingmint.modem.talk import Talk

    link = Link(port)
    try:
        talk = Talk(link, tell)
        attention.regain(talk)
        yield Modem(talk)
    finally:
        link.close()
