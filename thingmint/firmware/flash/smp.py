"""SMP over a serial line, as MCUboot's serial recovery speaks it; the one place that knows smpclient, which is asyncio.

smpclient's own serial transport opens a port itself. This one speaks over a line that its caller has opened, so that
ports, their pace and their faults are known in one place; and it asks again where an answer got lost.
"""

import asyncio
import binascii
import contextlib
import logging
import re
import struct
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

from smp import packet
from smp.error import MGMT_ERR
from smp.exceptions import SMPException
from smpclient import SMPClient
from smpclient.exceptions import SMPClientException, SMPUploadError
from smpclient.requests.image_management import ImageStatesRead
from smpclient.requests.os_management import ResetWrite
from smpclient.transport import SMPTransport

# What a bootloader takes that does not tell: mcumgr's documented mtu=512 for this device, without its base64.
_ASSUMED = 384
_LINE = 127  # characters, as every SMP server takes them
_FRAMING = 4  # length and CRC
_SLICE = 0.05  # seconds in which Ctrl-C waits
_FOREVER = 3600.0  # smpclient's own patience: ours ends before
_SAME_PLACE = 5  # answers that ask for an offset again

T = TypeVar("T")


class Line(Protocol):
    """An open serial line. What is wrong with it is raised by itself."""

    port: str

    def line(self, seconds: float) -> bytes | None:
        """The next line without its end, or None if none comes in time."""

    def transmit(self, data: bytes) -> None:
        """All of it, at the pace of the line."""


class SilenceError(Exception):
    """Nothing that speaks SMP answered."""


class RefusedError(Exception):
    """The bootloader said no; the text is SMP's name for why."""


class StuckError(Exception):
    """The bootloader asked for the same offset again and again."""


@dataclass(frozen=True)
class Slot:
    """What the bootloader says of a slot. Older ones tell no digest."""

    image: int
    slot: int
    version: str
    sha256: str


@dataclass
class Patience:
    seconds: float
    tries: int


_PROBE, _ANSWER, _ERASE = (1.0, 3), (3.0, 4), (30.0, 2)
"""Seconds and tries: is somebody there; a piece of an image; its first one, for which a whole slot may be erased."""


class Recovery:
    """A conversation with a bootloader. Its methods raise SilenceError, RefusedError, StuckError, and what the line raises."""

    def __init__(self, line: Line) -> None:
        for name in ("smp", "smpclient"):  # what they log is raised by us
            logger = logging.getLogger(name)
            logger.setLevel(logging.CRITICAL)
        self._transport = _Transport(line)
        self._client = SMPClient(self._transport, line.port, timeout_s=_FOREVER)
        self._loop = asyncio.Runner()
        line.transmit(b"\n")  # ends what an AT client may have left there

    def close(self) -> None:
        self._loop.close()

    def slots(self, seconds: float = _PROBE[0], tries: int = _PROBE[1]) -> tuple[Slot, ...]:
        """What is in the device. The one request that every bootloader answers: many have no echo."""
        found = self._run(self._client.request(ImageStatesRead()), seconds, tries)
        if not hasattr(found, "images"):
            raise RefusedError(_reason(found))
        return tuple(
            Slot(one.image or 0, one.slot, one.version, one.hash.hex() if one.hash else "") for one in found.images
        )

    def upload(self, data: bytes, told: Callable[[int], None]) -> None:
        """The whole image into the first slot. `told` is handed how many bytes are there."""
        self._run(self._client.connect(), *_PROBE)  # asks for the size of its buffer; one that does not know it says so
        self._run(self._upload(data, told), *_ERASE)

    def reset(self) -> None:
        self._run(self._client.request(ResetWrite()), *_PROBE)

    async def _upload(self, data: bytes, told: Callable[[int], None]) -> None:
        last, stayed = 0, 0
        pieces = cast("AsyncGenerator[int]", self._client.upload(data, first_timeout_s=_FOREVER))
        try:
            async with contextlib.aclosing(pieces):
                async for offset in pieces:
                    self._transport.patience = Patience(*_ANSWER)
                    stayed = stayed + 1 if offset <= last else 0
                    if stayed >= _SAME_PLACE or offset > len(data):
                        raise StuckError(f"it asks for offset {offset} of {len(data)}")
                    last = offset
                    told(offset)
        except SMPUploadError as error:
            raise RefusedError(_reason(error.args[0])) from None

    def _run(self, work: Coroutine[Any, Any, T], seconds: float, tries: int) -> T:
        self._transport.patience = Patience(seconds, tries)
        try:
            return self._loop.run(work)
        except TimeoutError:
            raise SilenceError from None
        except SMPClientException as error:
            raise RefusedError(f"an answer that makes no sense: {str(error).splitlines()[0]}") from None


class _Transport(SMPTransport):
    """SMP messages in lines of base64."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._buffer = _ASSUMED
        self.patience = Patience(*_PROBE)

    async def connect(self, address: str, timeout_s: float) -> None:
        """The line is open."""

    async def disconnect(self) -> None:
        """Its opener closes it."""

    def initialize(self, smp_server_transport_buffer_size: int) -> None:
        self._buffer = smp_server_transport_buffer_size

    @property
    def mtu(self) -> int:
        return self._buffer

    @property
    def max_unencoded_size(self) -> int:
        return self._buffer - _FRAMING

    async def send_and_receive(self, data: bytes) -> bytes:
        """The answer to `data`, which is sent again where none comes. Raises TimeoutError."""
        for _ in range(self.patience.tries):
            await self.send(data)
            until = time.monotonic() + self.patience.seconds
            while message := await self._message(until):
                if message[4:8] == data[4:8]:  # group, sequence and command: none that came late
                    return message
        raise TimeoutError

    async def send(self, data: bytes) -> None:
        self._line.transmit(b"".join(packet.encode(data, _LINE)))

    async def receive(self) -> bytes:
        message = await self._message(time.monotonic() + self.patience.seconds)
        if message is None:
            raise TimeoutError
        return message

    async def _message(self, until: float) -> bytes | None:
        """The next whole message among whatever else comes over the line; None: none came in time."""
        decoder: Generator[None, bytes, bytes] | None = None
        while (left := until - time.monotonic()) > 0:
            await asyncio.sleep(0)
            raw = self._line.line(min(left, _SLICE))
            if raw is None:
                continue
            start = raw.rfind(packet.START_DELIMITER)  # behind a prompt, perhaps
            if start >= 0:
                decoder = packet.decode()
                next(decoder)
            elif decoder is None or not raw.startswith(packet.CONTINUE_DELIMITER):
                continue
            try:
                decoder.send(raw[max(start, 0) :].rstrip(b"\r") + packet.END_DELIMITER)
            except StopIteration as whole:
                return bytes(whole.value)
            except (SMPException, binascii.Error, struct.error):
                decoder = None  # damaged on its way: it is asked for again
        return None


def _reason(answer: object) -> str:
    """SMP's name for what an error answer says: rc, or (newer) err with group and rc, or smpclient's words for either."""
    found = re.search(r"\brc=(?:<[^>]*: *)?(\d+)", str(answer))
    if found is None:
        return str(answer)
    with contextlib.suppress(ValueError):
        return MGMT_ERR(int(found[1])).name
    return f"error {found[1]}"
