"""advise: drives a device through a hub's faults, and says in sentences how it takes them."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from thingmint.errors import CheckError, HubError, InputError
from thingmint.ids import DeviceId
from thingmint.lab.thing import manners
from thingmint.pki.device import identity
from thingmint.pki.device.record import DeviceFiles, Record
from thingmint.session import Session
from thingmint.shell import ended_by_signals
from thingmint.workflows import options, targets
from thingmint.workflows.device import anchors
from thingmint.workflows.lab.driving import LOOK_SECONDS, OffAndOn, drive
from thingmint.workflows.modem.sectags import Tags

if TYPE_CHECKING:
    from thingmint.lab.control import RunningLab
    from thingmint.lab.trials import Look, Trial
    from thingmint.workflows.targets import Hub

# https://docs.aws.amazon.com/iot/latest/developerguide/device-advisor-tests.html: it recommends two minutes a case.
PATIENCE_SECONDS = 120.0
SIMULATED_SECONDS = 8.0
_PRESENCE_SECONDS = 3.0


def advise(
    session: Session,
    *,
    imei: str | None = None,
    fault: Sequence[str] = (),
    patience: str | None = None,
    as_json: bool = False,
) -> None:
    """Without `imei`, the device that is connected, or connects next. Raises CheckError (exit 4) if a case failed,
    HubError (exit 5) if no device was seen.

    Where nobody connects as `imei`, the simulated device does; with `fault` it is a bad one.
    """
    chosen = DeviceId.parse(imei) if imei is not None else None
    behaviour = manners.parse(fault)
    seconds = options.seconds(patience, "--patience", least=1, most=3600)
    if fault and chosen is None:
        raise InputError("--fault plants faults in the simulated device: name it.", things_to_try=["--imei ID"])
    _require_lab(session)
    if targets.dry(session, f"drive {chosen or 'the device that connects'} through the faults of a hub"):
        return
    session.console.require_output()
    from thingmint.lab import trials
    from thingmint.lab.advice.cases import CASES
    from thingmint.lab.advice.scorecard import failures, summary
    from thingmint.lab.advice.verdict import Result

    hub = targets.open_hub(session)
    assert hub.lab is not None  # noqa: S101 - the target is the lab
    with _interruption_told(), ended_by_signals(), trials.begun(hub.lab, chosen.text if chosen else "") as trial:
        here = _present(session, hub.lab, trial, chosen, fault)
        waits = seconds or (PATIENCE_SECONDS if here else SIMULATED_SECONDS)
        session.console.say(f"{len(CASES)} cases, for each of which the device has {waits:g} s")
        with _switched_on(session, hub, None if here else chosen, behaviour) as off_and_on:
            scores = drive(
                trial,
                CASES,
                waits,
                off_and_on=off_and_on,
                tell=lambda one: None if as_json else session.console.result(one.lines()),
            )
        device = trial.look().device
    if as_json:
        session.console.result_json({"device": device or None, "cases": [one.as_json() for one in scores]})
    session.console.say(f"{device or 'no device'}: {summary(scores)}")
    session.console.say("the lab behaves as before")
    if all(one.verdict.result is Result.NOT_SEEN for one in scores):
        raise HubError(
            f"{device or 'a device'} was not seen to connect within {waits:g} s: nothing is known of it.",
            things_to_try=[
                "switch it on; its log says whether it finds the lab: invoke monitor --port PORT",
                *([] if chosen else ["--imei ID: where nobody connects as that, the simulated device does"]),
            ],
        )
    if failed := failures(scores):
        raise CheckError(
            f"{device or 'the device'} failed {len(failed)} of {len(scores)} cases: "
            f"{', '.join(one.case.name for one in failed)}.",
            things_to_try=["each case above says what cures it; then run this again"],
        )


@contextlib.contextmanager
def _interruption_told() -> Iterator[None]:
    """Ctrl-C: by then the trial is over."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt("interrupted; the lab behaves as before") from None


def _require_lab(session: Session) -> None:
    if session.settings.target != "lab":
        raise InputError(
            f"only the lab misbehaves on purpose, and the configuration names {session.settings.azure.hub}.",
            things_to_try=["unset THINGMINT_CONFIG"],
        )


# --- the device --------------------------------------------------------------------------------------------------


def _present(
    session: Session, lab: "RunningLab", trial: "Trial", chosen: DeviceId | None, fault: Sequence[str]
) -> bool:
    """Whether a device is there or comes within a moment; where the lab listens to a network, a real one is waited for."""
    if chosen is None:
        session.console.say("waiting for a device: the one that is connected, or connects next")
        return True
    if fault:
        look = trial.look()
        _require_seen(look, chosen)
        if look.connected:
            raise InputError(
                f"{chosen} is connected already, and --fault plants faults in the simulated device.",
                things_to_try=["switch that device off", "leave --fault out"],
            )
        return False
    deadline = time.monotonic() + _PRESENCE_SECONDS
    while time.monotonic() < deadline:
        look = trial.look()
        _require_seen(look, chosen)
        if look.connected:
            session.console.say(f"{chosen} is connected")
            return True
        time.sleep(LOOK_SECONDS)
    if lab.listen:
        session.console.say(
            f"waiting for {chosen}, on {lab.listen}: switch it on (--fault has the simulated one instead)"
        )
    return lab.listen is not None


def _require_seen(look: "Look", chosen: DeviceId) -> None:
    if look.unseen:
        raise InputError(
            f"{chosen} is connected by websocket, which a trial cannot watch.",
            things_to_try=["have it connect over MQTT's own port, 8883", "switch it off, for the simulated device"],
        )


@contextlib.contextmanager
def _switched_on(
    session: Session, hub: "Hub", chosen: DeviceId | None, behaviour: manners.Manners
) -> Iterator[OffAndOn]:
    """The simulated device, with what its modem holds, or with its files where that holds nothing; None: a real one.

    Hands out what switches it off and on.
    """
    if chosen is None:

        def ask(between: Callable[[], None]) -> None:
            between()
            session.console.say("it has not come back yet: switch it off and on")

        yield ask
        return
    from thingmint.lab.state import LabFolder
    from thingmint.lab.thing import operation
    from thingmint.lab.thing.sectags import CLIENT_CERTIFICATE, SecTags

    tags = Tags.of(Record.read(DeviceFiles.of(session.workspace, chosen).record))
    memory = SecTags.open(LabFolder(session.workspace.lab).modems, chosen)
    loaded = memory.read(tags.own, CLIENT_CERTIFICATE) is not None
    holder: operation.Holder = memory if loaded else _files(session, hub, chosen, tags)
    session.console.say(
        f"{chosen} does not connect: the simulated device does, "
        f"with {'what its modem holds' if loaded else 'its files, since its modem holds nothing yet'}"
    )
    with operation.operating(hub.target, chosen.text, holder, (tags.own, tags.secondary), behaviour) as switch:
        yield switch.off_and_on


def _files(session: Session, hub: "Hub", chosen: DeviceId, tags: Tags) -> "_Files":
    from thingmint.lab.state import LabFolder

    certificate = identity.check(session.workspace, identity.signer_of(session.workspace, chosen, None), chosen)
    own = DeviceFiles.of(session.workspace, chosen)
    if own.key_in_modem:
        raise InputError(
            f"the private key of {chosen} was made in a modem, and the simulated one of that id holds none.",
            things_to_try=[f"switch the device on, then: invoke advise --imei {chosen}"],
        )
    shown = anchors.presented(session, hub, chosen, certificate)
    lab = LabFolder(session.workspace.lab)
    found = {
        (tags.own, 0): lab.ca,
        (tags.own, 1): shown,
        (tags.own, 2): own.key,
        (tags.secondary, 0): lab.second_ca,
    }
    return _Files({place: path.read_bytes() for place, path in found.items()})


class _Files:
    """A modem's storage as `provision` would load it, by tag and type."""

    def __init__(self, content: dict[tuple[int, int], bytes]) -> None:
        self._content = content

    def read(self, tag: int, kind: int) -> bytes | None:
        return self._content.get((tag, kind))
