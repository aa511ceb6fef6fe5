"""The HTTPS side put together: who may ask at all, the services' routes, the lab's own, and the answer to the rest."""

import hmac

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from thingmint.lab import body
from thingmint.lab.cloud.advising import routes as advising
from thingmint.lab.cloud.arm import certificates, gate, groups, hubs, provisioning, resources, subscriptions
from thingmint.lab.cloud.faults.requests import Misbehaving
from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.mqtt import websocket
from thingmint.lab.cloud.mqtt.endpoint import MqttEndpoint
from thingmint.lab.cloud.provisioning import device as registering
from thingmint.lab.cloud.provisioning import routes as enrollments
from thingmint.lab.cloud.registry import commands
from thingmint.lab.cloud.registry import routes as registry
from thingmint.lab.cloud.registry.answers import read_object
from thingmint.lab.cloud.signin import login
from thingmint.lab.cloud.signin.tokens import Signer
from thingmint.lab.cloud.tls import hosts
from thingmint.lab.cloud.wire import Refusal, log_refusal, not_done

LARGEST_BODY = 1_000_000
_ARM = (subscriptions, groups, hubs, certificates, provisioning, resources)


def make_app(hub: Hub, signer: Signer, endpoint: MqttEndpoint) -> ASGIApp:
    async def fallback(request: Request) -> Response:
        raise not_done(request)

    async def refuse(request: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)  # noqa: S101 - the handler is registered for this class alone
        log_refusal(hub, request, error)
        return error.response()

    async def wrong_method(request: Request, _error: Exception) -> Response:
        return await refuse(request, not_done(request))

    async def gone(request: Request, _error: Exception) -> Response:
        return await refuse(request, Refusal(400, {"error": "cut short"}, "the client went away within the body"))

    application = Starlette(
        routes=[
            *_lab_routes(hub),
            *registry.routes(hub, signer),
            *enrollments.routes(hub, signer),
            *registering.routes(hub),
            *gate.routes(hub, signer, [one for part in _ARM for one in part.operations(hub)]),
            subscriptions.metadata_route(),
            *login.routes(hub, signer),
            *websocket.routes(hub, endpoint),
            Route("/{rest:path}", fallback, methods=["GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"]),
        ],
        exception_handlers={Refusal: refuse, HTTPException: wrong_method, ClientDisconnect: gone},
    )
    return _Gate(Misbehaving(application, hub), hub)


def _lab_routes(hub: Hub) -> list[Route]:
    """The lab's own endpoints, for control.py."""
    expected = f"Bearer {hub.secrets.control_token}".encode()

    def require_owner(request: Request) -> None:
        if not hmac.compare_digest(request.headers.get("authorization", "").encode(), expected):
            raise Refusal(401, {"error": "unauthorized"}, "the lab's control token is missing or wrong")

    async def health(request: Request) -> Response:
        require_owner(request)
        return JSONResponse({"folder": hub.folder.identity, "hub": hub.role.hub})

    async def stop(request: Request) -> Response:
        require_owner(request)
        hub.journal.write("stopping: asked to")
        hub.stop()
        return JSONResponse({"stopping": True})

    async def telemetry(request: Request) -> Response:
        require_owner(request)
        after = request.query_params.get("after", "0")
        if not (after.isascii() and after.isdigit() and len(after) < 19):  # SQLite's integers have 63 bits
            raise Refusal(400, {"error": "after is no number"}, "after is no number")
        device_id = request.query_params.get("device", "")
        stored = hub.store.messages
        page = (
            stored.newest(device_id) if "newest" in request.query_params else stored.page(device_id, after=int(after))
        )
        messages = [
            {
                "sequence": message.sequence,
                "deviceId": message.device_id,
                "receivedAt": message.received_at.isoformat(),
                **body.written(message.body),
                "properties": message.properties,
            }
            for message in page.messages
        ]
        return JSONResponse({"messages": messages, "before": page.before, "more": page.more})

    async def command(request: Request) -> Response:
        """The service takes messages to devices by AMQP alone, which the lab does not speak."""
        require_owner(request)
        return JSONResponse({"messageId": commands.enqueue(hub, await read_object(request))})

    return [
        Route("/lab/commands", command, methods=["POST"]),
        Route("/lab/health", health),
        Route("/lab/stop", stop, methods=["POST"]),
        Route("/lab/telemetry", telemetry),
        *advising.routes(hub, require_owner),
    ]


class _Gate:
    """Before any route: a browser page or a name pointed at loopback (DNS rebinding) gets nowhere."""

    def __init__(self, application: ASGIApp, hub: Hub) -> None:
        self._application = application
        self._hub = hub
        port = hub.https_port
        local = {f"{name}:{port}" for name in ("localhost", "127.0.0.1")}
        # The services' names come with the port of the lab, of https, or of none.
        served = {f"{name}{end}" for name in hosts(hub.role)[1:] for end in ("", ":443", f":{port}")}
        self._hosts = {name.casefold() for name in local | served}
        self._origins = {f"https://{name}" for name in local}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._hub.touch()
        request = HTTPConnection(scope)  # of HTTP or a websocket
        refusal = self._refusal(request)
        if refusal:
            log_refusal(self._hub, request, refusal)
            await refusal.response()(scope, receive, send)
            return
        await self._application(scope, _bounded(receive) if scope["type"] == "http" else receive, send)

    def _refusal(self, request: HTTPConnection) -> Refusal | None:
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        if host.casefold() not in self._hosts:
            return Refusal(421, {"error": "misdirected request"}, f"the Host header {host!r} names no host of the lab")
        # Devices' websocket libraries name the host itself as the origin, with the port or without.
        own = f"https://{host}".casefold().removesuffix(":443")
        if "content-length" in request.headers and "transfer-encoding" in request.headers:
            # RFC 9112, 6.3: where the body ends is anybody's guess, so that nothing may follow it.
            reason = "the request has both Content-Length and Transfer-Encoding"
            return Refusal(400, {"error": "two lengths"}, reason, {"Connection": "close"})
        if origin is not None and origin.casefold().removesuffix(":443") not in self._origins | {own}:
            return Refusal(403, {"error": "foreign origin"}, f"the request comes from a web page of {origin!r}")
        return None


def _bounded(receive: Receive) -> Receive:
    """`receive`, up to LARGEST_BODY; a longer body is refused."""
    seen = 0

    async def limited() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > LARGEST_BODY:
            raise Refusal(413, {"error": "too large"}, f"the body is larger than {LARGEST_BODY} bytes")
        return message

    return limited
