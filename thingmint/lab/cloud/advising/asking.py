"""What the service asks of a device on trial: a desired property, a direct method; and that it is taken back."""

import asyncio

from thingmint.lab.advice.requests import METHOD, PROPERTY
from thingmint.lab.advice.seen import Seen, What
from thingmint.lab.cloud.advising.trial import Trial
from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.registry import twins

_USUAL_INTERVAL = 20
_CALL_SECONDS = 300.0
_LOOK_SECONDS = 0.1


def desire(hub: Hub, trial: Trial) -> None:
    """Another interval than the one in force, as the registry would change it; afterwards the one of before."""
    device = trial.device
    if hub.store.devices.get(device) is None:
        _unasked(hub, trial, f"no device {device!r} is registered" if device else "no device was let in")
        return
    before = _desired(hub, device)
    wanted = (before if type(before) is int else _USUAL_INTERVAL) + 1  # a bool is an int to isinstance()
    _set(hub, device, wanted)
    trial.note(Seen(trial.now, What.DESIRED, device=device, number=wanted))
    trial.undo.append(lambda: _take_back(hub, device, wanted, before))


def call(hub: Hub, trial: Trial) -> None:
    """As soon as the device takes calls: on a slow network it subscribes a while after it has connected."""
    line = hub.lines.get(trial.device)
    if line is None:
        _unasked(
            hub, trial, f"the device {trial.device!r} is not connected" if trial.device else "no device was let in"
        )
    elif not line.takes_calls:
        trial.note(Seen(trial.now, What.ANSWERED, device=trial.device))

    async def ask() -> None:
        while (line := hub.lines.get(trial.device)) is None or not line.takes_calls:  # noqa: ASYNC110 - a line tells nobody
            await asyncio.sleep(_LOOK_SECONDS)
        try:
            status, _ = await line.call(METHOD, b"1", _CALL_SECONDS)
        except (TimeoutError, ConnectionError):
            return  # the judge sees that no answer came
        trial.note(Seen(trial.now, What.ANSWERED, device=trial.device, number=status, flag=True))

    task = asyncio.get_running_loop().create_task(ask())
    trial.undo.append(task.cancel)


def _unasked(hub: Hub, trial: Trial, why: str) -> None:
    hub.journal.write(f"advise: nothing was asked in the stage {trial.stage}: {why}")
    trial.note(Seen(trial.now, What.UNASKED, words=why))


def _desired(hub: Hub, device_id: str) -> object:
    return hub.store.twins.get(device_id).desired.values.get(PROPERTY)


def _take_back(hub: Hub, device_id: str, wanted: int, before: object) -> None:
    """Where nobody changed it meanwhile. A device that was deleted has no twin to be put right."""
    now = _desired(hub, device_id) if hub.store.devices.get(device_id) else None
    if type(now) is int and now == wanted:
        _set(hub, device_id, before)


def _set(hub: Hub, device_id: str, value: object) -> None:
    """None removes it."""
    twin = hub.store.twins.get(device_id)
    body = {"properties": {"desired": {PROPERTY: value}}}
    twins.save(hub, twin, twins.after(twin, body, whole=False), body)
