"""The simulated device booted, and its log read from its port, as a person at the desk would: what it proves counts."""

import threading
from dataclasses import dataclass

from thingmint.errors import CheckError
from thingmint.firmware.log import telling
from thingmint.firmware.log.story import Story
from thingmint.ids import DeviceId
from thingmint.session import Session
from thingmint.workflows.firmware import listening, monitoring
from thingmint.workflows.lab import simulated

_SECONDS = 60.0
_ENDS = (b"Event was successfully sent", b"CONNECTION_FAILED")


@dataclass(frozen=True)
class Observed:
    """`said`: the telemetry that the hub heard. `sentences`: what the device's log proves."""

    said: str
    sentences: tuple[str, ...]


def boot(session: Session, chosen: DeviceId) -> Observed:
    """Raises what the device failed with, or CheckError where hub and log do not tell the same."""
    story, over = Story(), threading.Event()
    said: list[str] = []
    with simulated.booted(session, chosen, said.append, over.set) as port:
        for piece in listening.port(port, _SECONDS, say=session.console.say, vanished=story.vanished):
            story.hear(piece)
            if any(end in piece for end in _ENDS):
                break
        over.wait(_SECONDS)  # until the hub was asked, too
    found = story.conclude(monitoring.embedded_in)
    monitoring.require_reached(found)
    if not said:
        raise CheckError(f"{chosen} says that it reached the hub, and the hub did not hear it.")
    return Observed(said[0], tuple(telling.sentences(found)))
