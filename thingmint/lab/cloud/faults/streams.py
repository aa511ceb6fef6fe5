"""Faults of MQTT: a carrier of bytes that draws before each answer of the hub's."""

import asyncio
from collections.abc import Callable, Iterator

from thingmint.lab.cloud.faults.kinds import Fault, Kind, Point
from thingmint.lab.cloud.mqtt.packets import ACCEPTED, UNAVAILABLE, connack
from thingmint.lab.cloud.mqtt.streams import Stream

# MQTT 3.1.1, 2.2.1: the type of a packet is in the upper half of its first byte.
_POINTS = {2: Point.CONNACK, 4: Point.PUBACK, 9: Point.SUBACK, 13: Point.PINGRESP}


class BrokenOnPurpose(ConnectionResetError):  # noqa: N818 - nothing is wrong
    """The lab broke the connection, and no client did."""


class Unreliable:
    """A Stream around another. `draw` tells what goes wrong at a point."""

    def __init__(self, stream: Stream, draw: Callable[[Point], Fault | None]) -> None:
        self._stream = stream
        self._draw = draw
        self._ending: asyncio.TimerHandle | None = None
        self._broken = False

    async def read(self) -> bytes:
        data = await self._stream.read()
        if self._broken and not data:
            raise BrokenOnPurpose
        return data

    async def send(self, data: bytes) -> None:
        for packet in _packets(data):
            if await self._survives(packet):
                await self._stream.send(packet)

    def abort(self) -> None:
        if self._ending:
            self._ending.cancel()
        self._stream.abort()

    async def _survives(self, packet: bytes) -> bool:
        """Whether it is to be sent."""
        point = _POINTS.get(packet[0] >> 4)
        if point is None or (point is Point.CONNACK and packet[3] != ACCEPTED):
            return True
        fault = self._draw(point)
        match fault:
            case None:
                return True
            case Fault(kind=Kind.SLOW, amount=seconds):
                await asyncio.sleep(seconds)
                return True
            case Fault(kind=Kind.DROPPED, amount=seconds):
                self._end_after(seconds)
                return True
            case Fault(kind=Kind.SILENT, amount=seconds):
                if seconds:
                    self._end_after(seconds)
                return False
            case Fault(kind=Kind.REFUSED):
                await self._stream.send(connack(UNAVAILABLE))
        self._broken = True
        raise BrokenOnPurpose

    def _end_after(self, seconds: float) -> None:
        self._ending = asyncio.get_running_loop().call_later(seconds, self._break)

    def _break(self) -> None:
        self._broken = True
        self._stream.abort()


def _packets(data: bytes) -> Iterator[bytes]:
    """What was given to be sent at once, packet by packet (2.2.3: seven bits of the length a byte)."""
    at = 0
    while at < len(data):
        end, length, shift = at + 1, 0, 0
        while True:
            length |= (data[end] & 0x7F) << shift
            end, shift = end + 1, shift + 7
            if not data[end - 1] & 0x80:
                break
        yield data[at : end + length]
        at = end + length
