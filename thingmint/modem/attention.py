"""Getting in step with an AT host, whatever an earlier session, a lost byte or a time-out left behind.

A host that lost a closing quote swallows every further command. One that is slow answers what was given up long ago,
and an OK does not say what it belongs to. So a query is used whose answer cannot be an earlier command's.
"""

from thingmint.errors import ModemError
from thingmint.modem import lines, obstacles
from thingmint.modem.talk import Talk

# Harmless, told apart by their prefixes, and known to every modem of the family.
_QUERIES = ("AT+CMEE?", "AT+CFUN?", "AT%XSYSTEMMODE?", "AT+CGSN=1")
_TRIES = (0.5, 0.7, 1.0, 3.0)  # seconds for each query; a board that was just plugged in starts within two
_POKE = 0.5
# Room in a buffer that is full, then the quote, then the end of the command. In no quote it would open one, so it is
# sent again where nothing comes of it.
_CLOSE_QUOTE = b'\x7f\x7f\x7f"\r'

_FIRMWARE = "its firmware must have an AT host: flash Nordic's at_client sample"


def probe(talk: Talk) -> bool:
    """Whether AT is answered. It also ends what half a line may stand in the host's buffer."""
    for _ in range(2):  # the first is lost on a board that is just starting
        talk.send("AT")
        for line in talk.hear("", _POKE / 2):
            if lines.final(line):
                return True
            if line == lines.READY:
                break
    return False


def regain(talk: Talk) -> None:
    """The next answer will be the next command's, and errors come with codes. Raises ModemError saying what is there."""
    talk.heard = b""
    fresh = [query for query in _QUERIES if lines.prefix(query) not in talk.unanswered] or list(_QUERIES)
    answered = probe(talk)
    for number, seconds in enumerate(_TRIES):
        if not answered:
            _leave_quote(talk)
        value = _answer(talk, fresh[number % len(fresh)], seconds)
        if value:
            talk.in_step()
            _want_codes(talk, value)
            return
        answered = False
        if _is_shell(talk):
            break
    raise _explain(talk)


def _want_codes(talk: Talk, known: str) -> None:
    if known == "+CMEE: 1":
        return
    talk.send("AT+CMEE=1")
    try:
        talk.answer("AT+CMEE=1", _TRIES[-1])
    except ModemError:
        if talk.astray:  # no answer; a host that refuses it serves all the same, without reasons
            raise


def _leave_quote(talk: Talk) -> None:
    for _ in range(2):
        talk.send_keys(_CLOSE_QUOTE, "leaving a quote that may be open")
        if _any_result(talk):
            return


def _any_result(talk: Talk) -> bool:
    return any(lines.final(line) for line in talk.hear("", _POKE))


def _answer(talk: Talk, query: str, seconds: float) -> str:
    """The query's own information, once its OK has come; what comes before is an earlier command's."""
    value = ""
    talk.send(query)
    for line in talk.hear(query, seconds):
        if lines.answers(line, query):
            value = line
        elif lines.is_boot(line):
            value = ""
        elif value and line == "OK":
            return value
    return ""


def _is_shell(talk: Talk) -> bool:
    return any(words in talk.heard + talk.link.unfinished() for words in (b"~$", b"command not found"))


def _explain(talk: Talk) -> ModemError:
    heard = talk.heard + talk.link.unfinished()
    port = talk.port
    if not heard.strip():
        return ModemError(
            f"the modem at {port} does not answer: AT and others were sent for some seconds, and nothing came back.",
            things_to_try=[
                "switch the board on, or off and on",
                "its UART has to run at 115200 baud, 8 data bits, no parity: with another rate, nothing is understood",
                "a board has two ports or more: try the other one, or --port auto",
                _FIRMWARE,
                "its AT host has to take CR as the end of a command, as it does where nobody chose otherwise",
                *obstacles.modem_manager_hint(),
            ],
        )
    words = talk.excerpt()
    odd = sum(not (32 <= byte < 127 or byte in b"\r\n\t\x1b") for byte in heard)
    if odd * 5 > len(heard):
        return ModemError(
            f"only garbage comes back from {port}: its other side does not talk at 115200 baud.",
            detail=words,
            things_to_try=["set the firmware's UART to 115200 baud, 8 data bits, no parity", "try another port"],
        )
    if _is_shell(talk):
        why = "a shell answers there"
    elif any(mark in heard for mark in (b"> <inf> ", b"] <inf> ", b"] <dbg> ")):
        why = "an application writes its log there (a simulated one: stop it, and start it without --app)"
    elif any(lines.final(lines.bare(lines.text_of(line))) for line in heard.split(b"\n")):
        why = "it answers, but not what it is asked"
    else:
        why = "what is there answers something else"
    return ModemError(
        f"{port} is no AT host that can be used: {why}.",
        detail=words,
        things_to_try=[
            "a board has two ports or more: try the other one, or --port auto",
            _FIRMWARE,
            *obstacles.modem_manager_hint(),
        ],
    )
