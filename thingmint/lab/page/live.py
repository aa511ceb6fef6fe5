"""The page's live data: server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html), one for each
part of the picture that changed. A reader that is behind gets the newest picture, never a queue."""

import asyncio
import dataclasses
import json
from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.registry.identities import valid_id
from thingmint.lab.page.view import picture

MOST_STREAMS = 24
_PAUSE_SECONDS = 0.25  # between two pictures, however much happens
_SILENCE_SECONDS = 10.0  # then a sign of life, and a look at the clock: certificates expire
SLOW_SECONDS = 10.0  # for a reader to take what it was sent


class Live:
    """GET /live?device=ID."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._streams = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        chosen = request.query_params.get("device", "")
        if self._streams >= MOST_STREAMS:
            await Response("Too many watch this lab.", 503, {"Retry-After": "10"})(scope, receive, send)
            return
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if request.method == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return
        self._streams += 1
        ends = [
            asyncio.create_task(self._tell(send, chosen if valid_id(chosen) else "")),
            asyncio.create_task(_gone(receive)),
        ]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._streams -= 1
            for end in ends:
                end.cancel()
            told, _ = await asyncio.gather(*ends, return_exceptions=True)
            if isinstance(told, TimeoutError):
                request.state.transport.abort()  # uvicorn would wait for it to read
                await _gone(receive)

    async def _tell(self, send: Send, chosen: str) -> None:
        """Until the lab ends, or the reader does not keep up: then what it has is cut off, and it asks anew."""
        feed, sent = self._hub.feed, dict[str, str]()
        watcher = feed.watch()
        try:
            while True:
                watcher.clear()
                last = feed.closed
                events = "".join(self._news(chosen, sent))
                await _send(send, events or ": nothing new\n\n")
                if last:
                    break
                await asyncio.sleep(_PAUSE_SECONDS)
                try:
                    async with asyncio.timeout(_SILENCE_SECONDS):
                        await watcher.wait()
                except TimeoutError:
                    pass
            await _send(send, "event: end\ndata: {}\n\n")
            await send({"type": "http.response.body", "body": b""})
        finally:
            feed.forget(watcher)

    def _news(self, chosen: str, sent: dict[str, str]) -> Iterator[str]:
        """The parts that differ from what was `sent`."""
        for name, part in dataclasses.asdict(picture(self._hub, chosen)).items():
            text = json.dumps(part)  # ASCII on one line, whatever stands in it
            if sent.get(name) != text:
                sent[name] = text
                yield f"event: {name}\ndata: {text}\n\n"


async def _send(send: Send, text: str) -> None:
    async with asyncio.timeout(SLOW_SECONDS):
        await send({"type": "http.response.body", "body": text.encode(), "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
