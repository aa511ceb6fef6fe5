"""Every case of the scorecard, in the order in which a device meets them."""

from collections.abc import Callable
from dataclasses import dataclass

from thingmint.lab.advice import messages, requests, returning, silence, trust
from thingmint.lab.advice.course import Course
from thingmint.lab.advice.seen import Stage
from thingmint.lab.advice.verdict import Verdict


@dataclass(frozen=True)
class Case:
    name: str
    hub: str
    """What the hub does."""
    expected: str
    """Of the device."""
    stage: Stage
    judge: Callable[[Course], Verdict | None]
    """None: more has to be seen. A verdict for certain once the course is over."""


# The kinds of case are those of the one service that tests devices:
# https://docs.aws.amazon.com/iot/latest/developerguide/device-advisor-tests.html
CASES = (
    Case(
        "connect", "lets it in as always", "connects by TLS 1.2, and shows its certificate", Stage.FRESH, trust.connects
    ),
    Case(
        "back-off",
        "ends the connection, and each further one at once",
        "comes back, with waits that grow",
        Stage.REFUSING,
        returning.backs_off,
    ),
    Case(
        "busy-hub",
        "answers CONNACK 3, server unavailable",
        "tries again, with waits that grow, and not with the same ones as before",
        Stage.BUSY,
        returning.bears_a_busy_hub,
    ),
    Case(
        "no-connack",
        "does not answer CONNECT",
        "gives up after a time, and tries again",
        Stage.MUTE,
        returning.retries_connect,
    ),
    Case(
        "expired-server",
        "shows a server certificate that has expired",
        "refuses it",
        Stage.EXPIRED,
        trust.refuses_expired,
    ),
    Case(
        "wrong-host",
        "shows a server certificate for another host",
        "refuses it",
        Stage.WRONG_HOST,
        trust.refuses_wrong_host,
    ),
    Case(
        "unknown-ca",
        "shows a server certificate of a CA that nobody knows",
        "refuses it",
        Stage.STRANGER,
        trust.refuses_stranger,
    ),
    Case(
        "chain-change",
        "shows a server certificate of the second root",
        "trusts that root, too, and connects",
        Stage.OTHER_ROOT,
        trust.follows_chain,
    ),
    Case(
        "lost-puback",
        "stores a message, and breaks the connection instead of the PUBACK",
        "sends the message again",
        Stage.FORGETFUL,
        messages.sends_again,
    ),
    Case(
        "keep-alive",
        "stops answering, pings as well",
        "notices within its keep-alive, and connects again",
        Stage.SILENT,
        silence.notices_silence,
    ),
    Case(
        "twin",
        "changes the desired telemetryInterval in its twin",
        "takes it over, and reports it back",
        Stage.DESIRED,
        requests.obeys,
    ),
    Case("method", "calls its direct method led", "answers", Stage.CALLED, requests.answers),
    Case("session", "keeps its session", "takes it up again", Stage.NORMAL, messages.takes_up_session),
)
