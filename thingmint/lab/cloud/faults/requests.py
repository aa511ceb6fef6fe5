"""Faults of HTTPS: around the application, for requests to the services alone."""

import asyncio
import contextlib
import json
import re
import socket
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from thingmint.lab.cloud.faults import answers
from thingmint.lab.cloud.faults.answers import Service
from thingmint.lab.cloud.faults.kinds import Fault, Kind, Point
from thingmint.lab.cloud.hub import Hub

_HALF_OPEN_SECONDS = 5.0
# Operations' ids are new each time, and would make each question after one the first of its kind.
_OPERATION = re.compile(r"((?:operations|operationresults)/)[^/]+", re.IGNORECASE)


class Misbehaving:
    """The application, as long as nothing goes wrong."""

    def __init__(self, application: ASGIApp, hub: Hub) -> None:
        self._application = application
        self._hub = hub
        self._unseen: dict[str, int] = {}  # path of what was created → how many reads will not show it

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service = answers.service_of(scope["path"]) if scope["type"] == "http" and self._hub.faults.source else None
        if service is None:
            await self._application(scope, receive, send)
            return
        request = Request(scope, receive)
        path = _OPERATION.sub(r"\1*", scope["path"])
        fault = self._hub.faults.draw(_point(request), f"{request.method} {path}")
        if fault:
            await self._strike(fault, service, request, send)
        else:
            await self._as_seen(request, service, send)

    async def _strike(self, fault: Fault, service: Service, request: Request, send: Send) -> None:
        if refused := answers.refusal(service, fault):
            await refused.response()(request.scope, request.receive, send)
            return
        match fault.kind:
            case Kind.SLOW:
                await asyncio.sleep(fault.amount)
                await self._as_seen(request, service, send)
            case Kind.HIDDEN:
                status = await self._carried_out(request, send)
                if status < 300:
                    self._unseen[_place(request)] = round(fault.amount)
            case Kind.HALF_CLOSED:
                request.state.transport.get_extra_info("socket").shutdown(socket.SHUT_WR)
                await _until_gone(request, _HALF_OPEN_SECONDS)
            case Kind.LOST:
                await self._carried_out(request, _nowhere)
                await _until_gone(request)
            case Kind.CUT_SHORT:
                answer = _Kept()
                await self._carried_out(request, answer)
                await send(answer.start)
                await send(
                    {"type": "http.response.body", "body": answer.body[: len(answer.body) // 2], "more_body": True}
                )
                await _until_gone(request)
            case _:
                await _until_gone(request)

    async def _carried_out(self, request: Request, send: Send) -> int:
        status = 500

        async def noted(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        await self._application(request.scope, request.receive, noted)
        return status

    # --- what was created, and is not to be seen yet -----------------------------------------------------------------

    async def _as_seen(self, request: Request, service: Service, send: Send) -> None:
        # https://learn.microsoft.com/azure/azure-resource-manager/bicep/bicep-retryon: "replication delays"; and the
        # registry's queries run behind it: https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-query-language
        place = _place(request)
        if request.method == "GET" and place in self._unseen:
            self._miss(place, request)
            await answers.hidden(service).response()(request.scope, request.receive, send)
            return
        listed = place.removesuffix("/query")
        missed = [one for one in self._unseen if one.rpartition("/")[0] == listed]
        if not missed or request.method == "PUT":
            await self._application(request.scope, request.receive, send)
            return
        answer = _Kept()
        await self._carried_out(request, answer)
        for one in missed:
            self._miss(one, request)
        await answer.give(send, without={one.rpartition("/")[2] for one in missed})

    def _miss(self, place: str, request: Request) -> None:
        self._unseen[place] -= 1
        if not self._unseen[place]:
            del self._unseen[place]
        self._hub.journal.write(f"chaos: {request.method} {request.scope['path']} does not show {place} yet")


class _Kept:
    """An answer, as the application gave it."""

    def __init__(self) -> None:
        self.start: Message = {}
        self.body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.start = message
        else:
            self.body += message.get("body", b"")

    async def give(self, send: Send, *, without: set[str]) -> None:
        """A list, of whichever service, without the items of these names."""
        body = self.body
        with contextlib.suppress(ValueError):
            body = json.dumps(_without(json.loads(body), without)).encode()
        MutableHeaders(scope=self.start)["content-length"] = str(len(body))
        await send(self.start)
        await send({"type": "http.response.body", "body": body})


def _without(listed: Any, names: set[str]) -> Any:
    if isinstance(listed, dict) and isinstance(listed.get("value"), list):
        return {**listed, "value": _without(listed["value"], names)}
    if not isinstance(listed, list):
        return listed
    keys = ("name", "deviceId", "enrollmentGroupId", "registrationId")
    return [one for one in listed if not any(str(one.get(key)).casefold() in names for key in keys)]


async def _nowhere(_message: Message) -> None:
    pass


async def _until_gone(request: Request, seconds: float = 0.0) -> None:
    """Break the connection, at once or after so long; the server has to see that it is gone before it looks for an answer."""
    try:
        async with asyncio.timeout(seconds):
            while (await request.receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        request.state.transport.abort()
        while (await request.receive())["type"] != "http.disconnect":
            pass


def _place(request: Request) -> str:
    return str(request.scope["path"]).rstrip("/").casefold()


def _point(request: Request) -> Point:
    match request.method:
        case "GET" | "HEAD":
            return Point.READ
        case _ if request.headers.get("if-match", "*").strip('"') != "*":
            return Point.MATCH
        case "PUT" if "if-match" not in request.headers:
            return Point.CREATE
    return Point.CHANGE
