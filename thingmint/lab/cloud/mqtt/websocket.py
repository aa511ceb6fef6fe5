"""MQTT in websocket frames on port 443, for networks that block 8883.

https://learn.microsoft.com/azure/iot/iot-mqtt-connect-to-iot-hub: the path; MQTT 3.1.1, 6: the rules.
"""

import asyncio

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.mqtt.endpoint import MqttEndpoint
from thingmint.lab.cloud.mqtt.packets import LARGEST_PACKET, MalformedPacketError
from thingmint.lab.cloud.wire import Refusal, log_refusal

PATH = "/$iothub/websocket"
_SUBPROTOCOL = "mqtt"  # 6.0.0-3, 6.0.0-4
_GOODBYE_SECONDS = 1.0
_TOO_LARGE = 1009  # RFC 6455, 7.4.1


def routes(hub: Hub, endpoint: MqttEndpoint) -> list[WebSocketRoute]:
    async def devices(websocket: WebSocket) -> None:
        refusal = _refusal(websocket)
        if refusal:
            await _refuse(hub, websocket, refusal)
            return
        await websocket.accept(_SUBPROTOCOL)
        frames = _Frames(websocket)
        await endpoint.converse(websocket.state.handshake, frames)
        try:
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await websocket.close()
        except TimeoutError:
            frames.abort()  # it does not read
        except (WebSocketDisconnect, RuntimeError):
            pass  # it went away first

    async def elsewhere(websocket: WebSocket) -> None:
        await _refuse(hub, websocket, Refusal(404, {"error": "not found"}, "no websocket is served there"))

    return [WebSocketRoute(PATH, devices), WebSocketRoute("/{rest:path}", elsewhere)]


def _refusal(websocket: WebSocket) -> Refusal | None:
    if _SUBPROTOCOL not in websocket.scope["subprotocols"]:
        asked = ", ".join(websocket.scope["subprotocols"])[:100]
        return Refusal(400, {"error": "no subprotocol mqtt"}, f"it asks for the subprotocol {asked!r}, not 'mqtt'")
    if not hasattr(websocket.state, "handshake"):
        reason = "a device is asked for its certificate at the hub's real name alone: it has to come through the proxy"
        return Refusal(421, {"error": "misdirected request"}, reason)
    return None


async def _refuse(hub: Hub, websocket: WebSocket, refusal: Refusal) -> None:
    log_refusal(hub, websocket, refusal)
    await websocket.send_denial_response(refusal.response())


class _Frames:
    """A Stream of binary frames; packets may share one, or span several."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket

    async def read(self) -> bytes:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                if message.get("code") == _TOO_LARGE:
                    raise MalformedPacketError(f"a websocket message of more than {LARGEST_PACKET} bytes")
                return b""
            data: bytes | None = message.get("bytes")
            if data is None:  # 6.0.0-1
                raise MalformedPacketError("a websocket frame of text: MQTT has binary ones")
            if data:  # an empty frame is no end
                return data

    async def send(self, data: bytes) -> None:
        try:
            await self._websocket.send_bytes(data)
        except (WebSocketDisconnect, RuntimeError):
            raise ConnectionResetError from None

    def abort(self) -> None:
        self._websocket.state.transport.abort()
