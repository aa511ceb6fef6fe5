"""How a simulated device in operation treats its hub: well, or with a fault that was planted by its name.

Imports nothing heavy: `invoke --help advise` lists the faults.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from thingmint.errors import InputError
from thingmint.lab.thing import faults


@dataclass(frozen=True)
class Manners:
    """A well-behaved device, unless told otherwise. Seconds are a desk's: a real device takes minutes."""

    checks: Literal["all", "nothing", "no-name", "no-date"] = "all"  # of the server's certificate
    roots: Literal["both", "first"] = "both"
    returns: Literal["growing", "at-once", "evenly", "never"] = "growing"  # after a connection ended
    keeps_messages: bool = True  # until the hub acknowledges them
    qos: Literal[0, 1] = 1
    hears_silence: bool = True  # a ping without its answer ends the connection
    awaits_connack: Literal["a-while", "for-ever"] = "a-while"
    clean_session: bool = False
    obeys: bool = True  # its twin's desired properties
    answers: bool = True  # direct methods
    keep_alive: int = 2
    event_seconds: float = 0.3
    connack_seconds: float = 1.5
    first_wait: float = 0.25
    longest_wait: float = 2.4
    scatters: bool = True  # these


FAULTS: dict[str, tuple[str, dict[str, Any]]] = {
    "any-server": ("it accepts every server certificate", {"checks": "nothing"}),
    "any-name": ("it accepts a server certificate for another host", {"checks": "no-name"}),
    "any-date": ("it accepts a server certificate that has expired", {"checks": "no-date"}),
    "first-root": ("it ignores the root in its secondary sec tag", {"roots": "first"}),
    "no-return": ("it never connects again once its connection ended", {"returns": "never"}),
    "hammer": ("it connects again at once, each time", {"returns": "at-once"}),
    "even-waits": ("it connects again after the same time, each time", {"returns": "evenly"}),
    "no-jitter": ("its waits grow, and are the same each time", {"scatters": False}),
    "forget": ("it forgets a message that was not acknowledged", {"keeps_messages": False}),
    "qos-0": ("it sends its messages at QoS 0", {"qos": 0}),
    "deaf": ("it does not notice that its pings are not answered", {"hears_silence": False}),
    "patient": ("it waits for a CONNACK for ever", {"awaits_connack": "for-ever"}),
    "disobey": ("it ignores its twin's desired properties", {"obeys": False}),
    "no-answer": ("it does not answer direct methods", {"answers": False}),
    "clean-session": ("it asks for a new session at each connection", {"clean_session": True}),
}


def parse(names: Iterable[str]) -> Manners:
    """A well-behaved device with these faults. Raises InputError naming what is wrong."""
    manners = Manners()
    changed: dict[str, str] = {}  # what a fault changes → its name
    for name in names:
        if faults.knows(name.partition("=")[0]) and name not in FAULTS:
            raise InputError(
                f"{name!r} is a fault of a modem, and none of a device that talks to its hub.",
                things_to_try=[f"invoke modem --imei ID --fault {name}"],
            )
        if name not in FAULTS:
            close = difflib.get_close_matches(name, FAULTS, n=3)
            raise InputError(
                f"there is no fault {name!r} of a device in operation.",
                things_to_try=[f"--fault {one}" for one in close] or [f"one of {', '.join(FAULTS)}"],
            )
        for changes in FAULTS[name][1]:
            if changed.setdefault(changes, name) != name:
                raise InputError(
                    f"a device cannot have both faults: {changed[changes]} and {name}.",
                    things_to_try=[f"--fault {changed[changes]}", f"--fault {name}"],
                )
        manners = replace(manners, **FAULTS[name][1])
    return manners


def require_none(names: Iterable[str]) -> None:
    """Raises InputError where a modem's faults are wanted, and one of these is named."""
    for name in names:
        if name in FAULTS:
            raise InputError(
                f"{name!r} is a fault of a device that talks to its hub, and none of its modem.",
                things_to_try=[f"invoke advise --imei ID --fault {name}"],
            )
