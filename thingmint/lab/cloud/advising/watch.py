"""Watch: what a trial needs of the devices' door: each connection noted as it comes, shakes hands, speaks and goes."""

import asyncio
import dataclasses
import hashlib
import socket
import ssl
import time
from typing import Self

from thingmint.lab.advice.requests import interval_in
from thingmint.lab.advice.seen import KEEP_THE_CONNECTION, Seen, Stage, What
from thingmint.lab.cloud.advising.trial import Trial
from thingmint.lab.cloud.faults.faults import Faults, Source
from thingmint.lab.cloud.greeting import DeviceGreeting
from thingmint.lab.cloud.mqtt import packets
from thingmint.lab.cloud.mqtt.packets import Connect, Disconnect, MalformedPacketError, PingReq, Publish
from thingmint.lab.cloud.mqtt.streams import Stream

LEASE_SECONDS = 6.0
"""A trial that nobody asks about for so long is over: whoever began it was killed. It asks ten times a second."""
SILENT_SECONDS = 3.0
"""After so long another trial may take its place."""
_ASLEEP_SECONDS = 2.0  # between two looks at it: then this machine slept, and whoever asks slept as well
# RFC 5246, 7.2.2, by the names that OpenSSL has for what a client sends: that it refuses the server's certificate.
_ALERTS = {
    "BAD_CERTIFICATE": 42,
    "UNSUPPORTED_CERTIFICATE": 43,
    "CERTIFICATE_REVOKED": 44,
    "CERTIFICATE_EXPIRED": 45,
    "CERTIFICATE_UNKNOWN": 46,
    "UNKNOWN_CA": 48,
}
_REPORTED = "$iothub/twin/PATCH/properties/reported/"


class Watch:
    """At most one trial at a time. While it runs, it takes the place of chaos."""

    def __init__(self, faults: Faults) -> None:
        self.trial: Trial | None = None
        self.last: Trial | None = None
        """The one before, which was over at `ended`."""
        self.ended = 0.0
        self.faults = faults
        self._before: Source | None = None
        self.looked = time.monotonic()
        self._open: set[Sighting] = set()
        self._count = 0

    def begin(self, device: str, not_the_hub: frozenset[str]) -> Trial:
        """In the place of one that nobody asks about. Without `device`, the one that is connected, or connects next."""
        self.end()
        there = sorted((one for one in self._open if one.device), key=lambda one: one.number)
        connected = [one for one in there if one.inside]
        chosen = device or (connected[-1].device if connected else "")
        trial = self.trial = Trial(chosen, not_the_hub, self.faults.journal.write)
        self._before, self.faults.source = self.faults.source, trial
        for one in there:
            trial.note(one.greeting)
        return trial

    def play(self, stage: Stage) -> None:
        assert self.trial is not None  # noqa: S101 - the caller has looked
        self.trial.play(stage)
        if stage not in KEEP_THE_CONNECTION:
            for one in self._of_device():
                if stage is not Stage.FRESH or not one.noted:
                    one.end()

    def end(self) -> None:
        """The lab is itself again; the device's connections are ended, since their streams may have been left silent."""
        if self.trial is None:
            return
        try:
            self.trial.end_stage()
            for one in self._of_device():
                one.end()
        finally:
            self.last, self.ended = self.trial, time.monotonic()
            self.faults.source, self.trial, self._before = self._before, None, None

    @property
    def silence(self) -> float:
        """For how many seconds nobody has asked about the trial."""
        return time.monotonic() - self.trial.asked if self.trial else 0.0

    def expire(self) -> bool:
        """End a trial that was left alone; whether there was one. To be called several times within _ASLEEP_SECONDS."""
        now = time.monotonic()
        if self.trial and now - self.looked > _ASLEEP_SECONDS:
            self.trial.asked = now
        self.looked = now
        left = self.silence > LEASE_SECONDS
        if left:
            self.end()
        return left

    @property
    def connected(self) -> bool:
        """Whether the device on trial is let in, now."""
        return any(one.inside for one in self._of_device())

    def opened(self, accepted: socket.socket) -> "Sighting":
        self._count += 1
        sighting = Sighting(self, self.trial, self._count, _address(accepted))
        self._open.add(sighting)
        sighting.note(What.OPENED)
        return sighting

    def forget(self, sighting: "Sighting") -> None:
        self._open.discard(sighting)

    def _of_device(self) -> "list[Sighting]":
        return [one for one in self._open if self.trial and self.trial.device and one.device == self.trial.device]


def _address(accepted: socket.socket) -> str:
    """Of the other side; empty where it has gone already."""
    try:
        return str(accepted.getpeername()[0])
    except OSError:
        return ""


class Sighting:
    """One connection. `trial` is the one that it began in: of others nothing is noted, but that they are there."""

    def __init__(self, watch: Watch, trial: Trial | None, number: int, peer: str) -> None:
        self.number = number
        self.greeting = Seen(0.0, What.THERE, number, peer=peer)
        self.device = ""
        self.inside = False
        self._watch = watch
        self._trial = trial
        self._stream: Stream | None = None
        self._by_device = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.note(What.CLOSED, flag=self._by_device)
        self.inside = False
        self._watch.forget(self)

    @property
    def noted(self) -> bool:
        return self._trial is not None and self._trial is self._watch.trial

    def note(self, what: What, words: str = "", number: int = 0, *, flag: bool = False, packet: int = 0) -> None:
        if self._trial is not None and self.noted:
            peer = self.greeting.peer if what is What.OPENED else ""
            told = Seen(self._trial.now, what, self.number, self.device, words, number, flag, peer, packet)
            self._trial.note(told)

    def greeted(self, handshake: DeviceGreeting, transport: asyncio.Transport) -> None:
        self.device = handshake.name
        if self._trial and not self._trial.device and not handshake.for_provisioning:
            self._trial.device = self.device
        cipher, version, _ = transport.get_extra_info("cipher") or ("", "", 0)
        words, number = f"{version} ({cipher})", len(handshake.shown)
        self.greeting = dataclasses.replace(self.greeting, device=self.device, words=words, number=number)
        self.note(What.GREETED, words, number)

    def stream(self, stream: Stream) -> "Watched":
        self._stream = stream
        return Watched(stream, self)

    def end(self) -> None:
        self.inside = False
        if self._stream:
            self._stream.abort()

    def left(self) -> None:
        """The device ended it, whatever the hub does now."""
        self._by_device = True


class NotedGreeting:
    """A handshake whose failure is noted."""

    def __init__(self, handshake: DeviceGreeting, sighting: Sighting) -> None:
        self._handshake = handshake
        self._sighting = sighting
        self.context = handshake.context

    def explain(self, error: Exception) -> str:
        told = self._handshake.explain(error)
        self._sighting.device = self._handshake.name
        reason = (error.reason or "") if isinstance(error, ssl.SSLError) else ""
        alert = reason.replace("_", " ").lower()
        # What the device said itself comes without the log's guess at it.
        number = _ALERTS.get(reason.partition("ALERT_")[2], 0)
        self._sighting.note(What.BROKEN_OFF, alert if "alert" in alert else told, number)
        self._sighting.left()
        return told

    def refuse(self, why: str, *, door: str) -> None:
        self._handshake.refuse(why, door=door)


class Watched:
    """A Stream whose packets are noted, both ways."""

    def __init__(self, stream: Stream, sighting: Sighting) -> None:
        self._stream = stream
        self._sighting = sighting
        self._buffer = bytearray()
        self._readable = True

    async def read(self) -> bytes:
        try:
            data = await self._stream.read()
        except OSError:
            self._sighting.left()
            raise
        if not data:
            self._sighting.left()
        if self._sighting.noted and self._readable:
            self._heard(data)
        return data

    async def send(self, data: bytes) -> None:
        await self._stream.send(data)
        kind = data[0] >> 4
        if kind == 2:
            self._sighting.inside = data[3] == packets.ACCEPTED
            self._sighting.note(What.CONNACK, number=data[3])
        elif kind == 4:
            self._sighting.note(What.PUBACK, packet=int.from_bytes(data[2:4], "big"))

    def abort(self) -> None:
        self._stream.abort()

    def _heard(self, data: bytes) -> None:
        self._buffer += data
        try:
            while packet := packets.take(self._buffer):
                self._note(packet)
        except MalformedPacketError:  # the connection tells of it
            self._readable = False

    def _note(self, packet: packets.Packet) -> None:
        note = self._sighting.note
        match packet:
            case Connect():
                note(What.CONNECT, number=packet.keep_alive, flag=packet.clean_session)
            case Publish() if packet.topic.startswith(_REPORTED):
                note(What.REPORTED, interval_in(packet.payload))
            case Publish() if "/messages/events" in packet.topic:
                digest = hashlib.sha256(packet.topic.encode() + b"\0" + packet.payload).hexdigest()[:16]
                note(What.PUBLISH, digest, packet.qos, flag=packet.again, packet=packet.packet_id)
            case PingReq():
                note(What.PING)
            case Disconnect():
                note(What.DISCONNECT)
                self._sighting.left()
