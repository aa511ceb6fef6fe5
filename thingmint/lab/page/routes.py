"""Who may look, and what there is: three files and the live data."""

from pathlib import Path

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from thingmint.lab.cloud.hub import Hub
from thingmint.lab.page.live import Live

STATIC = Path(__file__).with_name("static")
_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
}
_HEADERS = {
    # Nothing from elsewhere, nothing inline, and no text ever becomes markup.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def make_page(hub: Hub, port: int) -> ASGIApp:
    async def page(request: Request) -> Response:
        name, kind = _FILES[request.url.path]
        return Response((STATIC / name).read_bytes(), media_type=kind)

    async def absent(_request: Request, _error: Exception) -> Response:
        return PlainTextResponse("There is the page alone: /", 404)

    routes = [*(Route(path, page) for path in _FILES), Route("/live", Live(hub))]
    return _Gate(Starlette(routes=routes, exception_handlers={404: absent}), hub, port)


class _Gate:
    """In front of all: a name pointed at loopback (DNS rebinding) and other sites' pages get nowhere; nobody changes anything."""

    def __init__(self, application: ASGIApp, hub: Hub, port: int) -> None:
        self._application = application
        self._hub = hub
        self._hosts = {f"{name}:{port}" for name in ("localhost", "127.0.0.1")}
        self._origins = {f"http://{host}" for host in self._hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._hub.touch()
        if scope["type"] != "http":
            self._hub.refused("a browser or program", "it asked for a websocket, and the page has none", door="page")
            await send({"type": "websocket.close"})
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        request = Request(scope)
        refusal = self._refusal(request)
        if refusal is None:
            await self._application(scope, receive, with_headers)
            return
        status, why = refusal
        self._hub.refused("a browser or program", f"{why} ({status})", door="page")
        headers = {"Allow": "GET, HEAD"} if status == 405 else {}
        await PlainTextResponse(f"Refused: {why}.", status, headers)(scope, receive, with_headers)

    def _refusal(self, request: Request) -> tuple[int, str] | None:
        headers = request.headers
        host, origin = headers.get("host", ""), headers.get("origin")
        if host.casefold() not in self._hosts:
            return 421, f"it asked for the page by the name {host[:100]!r}, which is not this machine's"
        if origin is not None and origin.casefold() not in self._origins:
            return 403, f"it was sent to the page by a site of {origin[:100]!r}"
        # https://www.w3.org/TR/fetch-metadata/: "none" is a person who typed the address or opened a bookmark
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return 403, "it was sent to the page by another site"
        if request.method not in ("GET", "HEAD"):
            return 405, f"it wanted to {request.method[:20]}, and the page only shows"
        return None
