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
    before = hub.store.twins.get(trial.device).desired.values.get(PROPERTY)
    wanted = (before if isinstance(before, int) else _USUAL_INTERVAL) + 1
    _set(hub, trial.device, wanted)
    trial.note(Seen(trial.now, What.DESIRED, device=trial.device, number=wanted))
    trial.undo.append(lambda: _set(hub, trial.device, before))


def call(hub: Hub, trial: Trial) -> None:
    """As soon as the device takes calls: on a slow network it subscribes a while after it has connected."""
    line = hub.lines.get(trial.device)
    if line is None or not line.takes_calls:
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


def _set(hub: Hub, device_id: str, value: object) -> None:
    """None removes it. A device that was deleted meanwhile has no twin to be put right."""
    if hub.store.devices.get(device_id) is None:
        return
    twin = hub.store.twins.get(device_id)
    body = {"properties": {"desired": {PROPERTY: value}}}
    twins.save(hub, twin, twins.after(twin, body, whole=False), body)
