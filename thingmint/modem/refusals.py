"""+CME ERROR codes as named errors, each with what to try; and the ways in which an answer does not come."""

from thingmint.errors import ModemError

NOT_FOUND = 513
ALREADY_EXISTS = 519
KEYGEN_FAILED = 523
INVALID_CONTENT = 527
WRONG_PARAMETER = 50

_OFFLINE = "put it offline first: AT+CFUN=4 (provision does that by itself)"
_SIM = ["put the SIM card in as the drawing on the board shows, then switch the board off and on", "or use an eSIM"]
# 3GPP TS 27.007, 9.2; from 512 on: Nordic's own (nRF9160 AT commands, +CME ERROR).
_CODES: dict[int, tuple[str, list[str]]] = {
    3: ("operation not allowed", ["the modem's mode may be in the way: AT+CFUN? tells it"]),
    4: ("operation not supported", ["look at the modem firmware's version: AT+CGMR; it may be too old for this"]),
    10: ("there is no SIM card", _SIM),
    11: ("the SIM card wants its PIN", ['unlock it: AT+CPIN="…"', "or turn the PIN off, in a telephone"]),
    12: ("the SIM card wants its PUK", ["the operator has it; a telephone can enter it"]),
    13: ("the SIM card failed", _SIM),
    14: ("the SIM card is busy", ["wait some seconds, then run this again"]),
    15: ("this SIM card is the wrong one", _SIM),
    20: ("its memory is full", ["see what it holds: invoke creds"]),
    30: ("there is no network", ["go where there is LTE-M or NB-IoT coverage", "check antenna and subscription"]),
    WRONG_PARAMETER: ("a parameter is wrong", ["a modem firmware too old for this? AT+CGMR tells its version"]),
    100: ("an unknown error", ["switch the board off and on, then run this again"]),
    NOT_FOUND: ("there is no such credential", ["see what the modem holds: invoke creds"]),
    514: (
        "no access",
        [
            "a credential of the modem's own is neither read nor changed: use another security tag",
            "in another tag: switch the board off and on, then run this again",
        ],
    ),
    515: ("its memory for credentials is full", ["remove a tag that is not needed: invoke creds, invoke creds-delete"]),
    518: ("not allowed while the modem is active", [_OFFLINE]),
    ALREADY_EXISTS: ("there is a credential already", ["delete it first: invoke creds-delete --sec-tag N"]),
    KEYGEN_FAILED: (
        "it could not make a key",
        [
            "the tag may hold a key already: invoke creds, then invoke creds-delete --sec-tag N",
            "modem firmware from 1.3.0 on makes keys: AT+CGMR tells the version",
        ],
    ),
    INVALID_CONTENT: (
        "the content is invalid",
        ["is it PEM, and of the type it is stored as? openssl x509 -in FILE -noout"],
    ),
    528: ("its supply is about to fail (power-off warning)", ["charge the battery, or power the board over USB"]),
}


class RefusedError(ModemError):
    """The modem said no: ERROR, or a +CME ERROR with its code."""


class SilenceError(ModemError):
    """The answer did not come in time."""


class RestartedError(ModemError):
    """The modem started anew while it was asked."""


class GoneError(ModemError):
    """The line is cut: unplugged, switched off, or the other end hung up."""


def refused(doing: str, code: int | None) -> RefusedError:
    """The modem's own no. `doing` is the command as it may be shown."""
    if code is None:
        return RefusedError(
            f"the modem refused {doing}: ERROR, without a reason.",
            things_to_try=[
                "the AT host knows no such command, or the modem is in the wrong mode: AT+CFUN? tells it",
                "switch the board off and on, then run this again",
            ],
        )
    words, things = _CODES.get(
        code, ("a code without a name here", ["look it up in Nordic's AT commands reference, +CME ERROR"])
    )
    return RefusedError(
        f"the modem refused {doing}: {words}.", detail=f"+CME ERROR: {code}", things_to_try=things, code=code
    )


def nonsense(doing: str, answer: str) -> ModemError:
    """An answer that the command does not have."""
    return ModemError(
        f"the modem's answer to {doing} makes no sense.",
        detail=answer,
        things_to_try=["run this again: a byte may have been lost", "use another USB cable or port"],
    )


def restarted(port: str, doing: str) -> RestartedError:
    return RestartedError(
        f"the modem at {port} restarted while it was asked {doing}.",
        things_to_try=[
            "run this again: what was done already is recognised",
            "if it does so again: charge the battery, or use a USB port that gives more current",
        ],
    )


def gone(port: str, why: str) -> GoneError:
    return GoneError(
        f"the modem at {port} disappeared.",
        detail=why,
        things_to_try=["plug it in and switch it on, then run this again", "use another USB cable or port"],
    )
