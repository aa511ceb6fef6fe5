"""What the service asks of a device on trial: a desired property, a direct method; and that it is taken back."""

import asyncio

from thingmint.lab.advice.seen import Seen, What
from thingmint.lab.cloud.advising.trial import Trial
from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.registry import twins

# What Nordic's sample knows: https://github.com/nrfconnect/sdk-nrf/tree/main/samples/net/azure_iot_hub
PROPERTY, METHOD = "telemetryInterval", "led"
_USUAL_INTERVAL = 20
_CALL_SECONDS = 300.0


def desire(hub: Hub, trial: Trial) -> None:
    """Another interval than the one in force, as the registry would change it; afterwards the one of before."""
    before = hub.store.twins.get(trial.device).desired.values.get(PROPERTY)
    wanted = (before if isinstance(before, int) else _USUAL_INTERVAL) + 1
    _set(hub, trial.device, wanted)
    trial.note(Seen(trial.now, What.DESIRED, device=trial.device, number=wanted))
    trial.undo.append(lambda: _set(hub, trial.device, before))


def call(hub: Hub, trial: Trial) -> None:
    line = hub.lines.get(trial.device)
    if line is None or not line.takes_calls:
        trial.note(Seen(trial.now, What.ANSWERED, device=trial.device))
        return

    async def ask() -> None:
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
