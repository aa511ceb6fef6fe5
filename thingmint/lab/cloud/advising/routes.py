"""The trial's endpoints, for lab/trials.py: behind the control token, as all under /lab."""

import time
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from thingmint.lab.advice.seen import Stage
from thingmint.lab.cloud.advising import asking
from thingmint.lab.cloud.advising.watch import SILENT_SECONDS
from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.wire import Refusal
from thingmint.target import PROVISIONING_DEVICES

_ASKS = {Stage.DESIRED: asking.desire, Stage.CALLED: asking.call}


def routes(hub: Hub, require_owner: Callable[[Request], None]) -> list[Route]:
    async def begin(request: Request) -> Response:
        require_owner(request)
        if hub.watch.trial and hub.watch.silence < SILENT_SECONDS:
            told = f"the device {hub.watch.trial.device!r} is on trial already"
            raise Refusal(409, {"error": told}, told)
        if hub.watch.trial:
            hub.journal.write("advise: nobody asks about the trial any more: another one takes its place")
        others = frozenset(name.casefold() for name in (PROVISIONING_DEVICES, hub.role.provisioning_host))
        trial = hub.watch.begin(request.query_params.get("device", ""), others)
        hub.feed.stirred()
        hub.journal.write(f"advise: began{f' with the device {trial.device!r}' if trial.device else ''}")
        return JSONResponse({"trial": trial.token}, 201)

    async def play(request: Request) -> Response:
        _require_trial(hub, request, require_owner)
        try:
            stage = Stage(request.query_params.get("stage", ""))
        except ValueError:
            raise Refusal(400, {"error": "no such stage"}, "no such stage of a trial") from None
        hub.watch.play(stage)
        if hub.watch.trial and stage in _ASKS:
            _ASKS[stage](hub, hub.watch.trial)
        return JSONResponse({"stage": stage})

    async def look(request: Request) -> Response:
        _require_trial(hub, request, require_owner)
        after = request.query_params.get("after", "0")
        trial = hub.watch.trial
        if trial is None or not (after.isascii() and after.isdigit() and len(after) < 9):
            raise Refusal(400, {"error": "after is no number"}, "after is no number")
        seen = [one.as_json() for one in trial.seen[int(after) :]]
        # The hub knows each connection; a trial sees those that came over MQTT's own port.
        unseen = trial.device in hub.lines and not hub.watch.watches(trial.device)
        told = {"device": trial.device, "connected": hub.watch.connected, "unseen": unseen}
        return JSONResponse({**told, "now": trial.now, "seen": seen})

    async def end(request: Request) -> Response:
        _require_trial(hub, request, require_owner)
        hub.watch.end()
        hub.feed.stirred()
        hub.journal.write("advise: ended")
        return JSONResponse({"ended": True})

    async def now(request: Request) -> Response:
        """For whoever failed on the lab: whose trial there is, or was last and how many seconds ago it ended."""
        require_owner(request)
        if trial := hub.watch.trial:
            return JSONResponse({"device": trial.device, "over": 0, "silence": hub.watch.silence})
        if last := hub.watch.last:
            return JSONResponse({"device": last.device, "over": time.monotonic() - hub.watch.ended})
        return JSONResponse({})

    return [
        Route("/lab/trial", now, methods=["GET"]),
        Route("/lab/advise", begin, methods=["POST"]),
        Route("/lab/advise", look, methods=["GET"]),
        Route("/lab/advise", end, methods=["DELETE"]),
        Route("/lab/advise/stage", play, methods=["POST"]),
    ]


def _require_trial(hub: Hub, request: Request, require_owner: Callable[[Request], None]) -> None:
    require_owner(request)
    trial = hub.watch.trial
    if trial is None or request.query_params.get("trial") != trial.token:
        raise Refusal(
            410, {"error": "no such trial"}, "the trial is over: nobody asked about it, or the lab is a new one"
        )
    trial.asked = time.monotonic()
