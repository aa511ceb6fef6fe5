"""POST /devices/query: the twins that a query selects, page by page.

https://learn.microsoft.com/rest/api/iothub/service/query/get-twins, version 2021-04-12
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.registry.access import QUERY, Access
from thingmint.lab.cloud.registry.answers import read_object
from thingmint.lab.cloud.registry.identities import twin_json
from thingmint.lab.cloud.registry.query.evaluate import Groups, holds, row
from thingmint.lab.cloud.registry.query.narrowing import narrowing
from thingmint.lab.cloud.registry.query.parser import parse
from thingmint.lab.cloud.registry.query.tree import NotDone, Query, QueryProblem
from thingmint.lab.cloud.store.store import Store
from thingmint.lab.cloud.wire import Refusal, not_done, page_size, registry_error

USUAL_PAGE = 100
LARGEST_PAGE = 1000
# As found by a user, with the code: https://github.com/Azure/azure-iot-sdk-csharp/issues/1680
LONGEST_QUERY = 8192
_CHUNK = 500


def routes(hub: Hub, access: Access) -> list[Route]:
    async def query(request: Request) -> Response:
        access.require(request, QUERY, "Query")
        text = (await read_object(request)).get("query")
        if not isinstance(text, str):
            raise _invalid("the body has no query")
        if len(text.encode()) > LONGEST_QUERY:
            raise registry_error("PreconditionFailed", f"The query is longer than {LONGEST_QUERY} bytes.")
        try:
            parsed = parse(text)
        except NotDone as left_out:
            raise not_done(request, str(left_out)) from None
        except QueryProblem as problem:
            raise _invalid(str(problem)) from None
        return await answer(hub.store, parsed, _page_size(request), _continuation(request))

    # Only POST: `query` is also a valid device id.
    return [Route("/devices/query", query, methods=["POST"])]


async def answer(store: Store, query: Query, size: int, continuation: tuple[str, int]) -> Response:
    """One page. The continuation is the last device of the pages before, and how many rows they had."""
    after, given = continuation
    if query.top is not None:
        size = max(0, min(size, query.top - given))
    found: list[tuple[str, dict[str, Any]]] = []  # one more than the page has, if there is one
    narrowed = narrowing(query.where)
    if query.counts_alone and narrowed.whole:
        counted = store.devices.number(narrowed.fields)
        found = [("", {column.name: counted for column in query.columns})][given:]
    elif query.aggregates:
        groups = Groups(query)
        async for _, twin in _selected(store, query, ""):
            groups.add(twin)
        found = [("", one) for one in groups.rows()[given : given + size + 1]]
    else:
        async for device_id, twin in _selected(store, query, after):
            found.append((device_id, row(query.columns, twin) if query.columns else twin))
            if len(found) > size:
                break
    page = found[:size]
    given += len(page)
    headers = {"x-ms-item-type": "Raw" if query.columns else "Twin"}
    if len(found) > size and (query.top is None or given < query.top):
        headers["x-ms-continuation"] = base64.b64encode(json.dumps([page[-1][0], given]).encode()).decode()
    return JSONResponse([one for _, one in page], headers=headers)


async def _selected(store: Store, query: Query, after: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Id and JSON of each twin that meets the condition, in the order of the ids."""
    fields = narrowing(query.where).fields
    while devices := store.devices.page(after=after, limit=_CHUNK, where=fields):
        after = devices[-1].device_id
        for device, twin in zip(devices, store.twins.of([one.device_id for one in devices]), strict=True):
            shown = twin_json(device, twin)
            if holds(query.where, shown):
                yield device.device_id, shown
        await asyncio.sleep(0)  # a hub of many devices is read for seconds: the others get their turn


def _page_size(request: Request) -> int:
    problem = registry_error("ArgumentInvalid", "x-ms-max-item-count must be a positive number.")
    return page_size(request, USUAL_PAGE, LARGEST_PAGE, problem)


def _continuation(request: Request) -> tuple[str, int]:
    given = request.headers.get("x-ms-continuation")
    if not given:
        return "", 0
    try:
        after, count = json.loads(base64.b64decode(given, validate=True))
        if not isinstance(after, str) or type(count) is not int or count < 0:
            raise ValueError
        after.encode()
    except (ValueError, TypeError, RecursionError):
        raise registry_error("ArgumentInvalid", "x-ms-continuation is not one of this hub's.") from None
    return after, count


def _invalid(why: str) -> Refusal:
    # The service says no more than BadRequest: https://github.com/Azure/azure-iot-sdks/issues/941 shows the form.
    return registry_error("ArgumentInvalid", f"BadRequest: {why}.", reason=f"the query is invalid: {why}")
