"""The modem at hand: opened, asked who it is, and compared with the device and the hub that it is to serve."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thingmint.errors import CheckError, InputError
from thingmint.ids import DeviceId
from thingmint.session import Session
from thingmint.shell import quote
from thingmint.workflows import targets

if TYPE_CHECKING:
    from thingmint.modem.at import Modem
    from thingmint.modem.commands import ModemIdentity


@dataclass(frozen=True)
class Leave:
    """What the user lets pass that would otherwise stop."""

    mismatch: bool = False  # the modem's IMEI is not the device id
    misfit: bool = False  # the lab's root into a real modem, or Azure's into a simulated one
    force: bool = False  # what stands in the way is replaced


NOTHING = Leave()


def require_port(port: str | None) -> str:
    """Raises InputError where none was named."""
    if port is None:
        raise InputError(
            "no port was named.",
            things_to_try=[
                "--port auto, if one modem is connected",
                "Linux: --port /dev/ttyACM0, macOS: --port /dev/cu.usbmodem…, Windows: --port COM5",
                "without a device: invoke modem --imei ID prints the port of a simulated one",
            ],
        )
    return port


def dry(session: Session, deed: str) -> bool:
    """With --dry: say what would be done to the modem, and return True. No port is opened."""
    targets.announce(session)
    if session.dry:
        session.console.say(f"would {deed}")
    return session.dry


@contextlib.contextmanager
def opened(session: Session, port: str | None) -> "Iterator[Modem]":
    """The conversation on `port`, or on the one that is found where it is "auto". Raises InputError, ModemError."""
    from thingmint.modem import at, ports

    named = simulated_or(session, require_port(port))
    tell = session.console.say if session.shell.echoes else None
    with at.open_modem(ports.choose(named, tell=tell), tell=tell) as modem:
        yield modem


def simulated_or(session: Session, named: str) -> str:
    """With the lab's configuration, "auto" is the simulated modem that is plugged in, if there is one."""
    from thingmint.modem import ports

    if named == ports.AUTO and session.settings.target == "lab":
        return _simulated(session) or named
    return named


def _simulated(session: Session) -> str | None:
    """The port of the one simulated modem that is plugged in; None: there is none. Raises InputError where there are more."""
    from thingmint.lab.state import LabFolder
    from thingmint.lab.thing.port import plugged

    found = plugged(LabFolder(session.workspace.lab).modems)
    if len(found) > 1:
        raise InputError(
            "several simulated modems are plugged in.", things_to_try=[f"--port {quote([path])}" for path in found]
        )
    return found[0] if found else None


def introduce(session: Session, modem: "Modem") -> "ModemIdentity":
    """Ask the modem who it is, and say it."""
    from thingmint.modem import commands

    found = commands.identify(modem)
    kind = " · simulated" if found.simulated else ""
    session.console.say(f"modem: {modem.port} · IMEI {found.imei} · {found.firmware}{kind}")
    return found


@dataclass(frozen=True)
class Visit:
    """A device's modem that is open, and has said who it is."""

    session: Session
    device: DeviceId
    modem: "Modem"
    identity: "ModemIdentity"


@contextlib.contextmanager
def visit(session: Session, device: DeviceId, port: str, leave: Leave) -> Iterator[Visit]:
    """Raises CheckError where the modem is another device's, InputError where hub and modem do not fit."""
    with opened(session, port) as modem:
        yield Visit(session, device, modem, _meet(session, modem, device, leave))


def _meet(session: Session, modem: "Modem", device: DeviceId, leave: Leave) -> "ModemIdentity":
    found = introduce(session, modem)
    _require_fit(session, leave, simulated=found.simulated)
    if found.imei == device.text:
        return found
    if not re.fullmatch(r"[0-9]{15}", device.text, re.ASCII):
        session.console.warn(f"{device} is no IMEI, so that nothing proves that this modem is its own; it is recorded.")
    elif not leave.mismatch:
        raise CheckError(
            f"this modem's IMEI is {found.imei}, and the device is {device}: nothing was written.",
            things_to_try=[
                "connect the modem of that device; its IMEI is on the sticker inside",
                f"or load this one: --imei {found.imei}",
                "--allow-mismatch, if the two belong together all the same",
            ],
        )
    return found


def _require_fit(session: Session, leave: Leave, *, simulated: bool) -> None:
    """The lab's root in a real device would keep it from every real hub, and its log would not say why."""
    lab = session.settings.target == "lab"
    if leave.misfit or lab == simulated:
        return
    if lab:
        raise InputError(
            "the configuration is the lab's, and this is a real modem: with the lab's root it would reach no real hub.",
            things_to_try=[
                "name your hub's configuration: THINGMINT_CONFIG=config/azure.local.yaml",
                "rehearse on a simulated modem: invoke modem --imei ID",
                "--allow-lab-root, to make the device trust the lab",
            ],
        )
    raise InputError(
        f"the configuration is Azure's ({session.settings.azure.hub}), and this is a simulated modem.",
        things_to_try=[
            "connect a real one",
            "rehearse with the lab's configuration: unset THINGMINT_CONFIG",
            "--allow-lab-root, to load it all the same",
        ],
    )
