"""Sighting: one connection at the devices' door, noted as it comes, shakes hands, speaks and goes."""

import asyncio
import dataclasses
import hashlib
import ssl
from typing import Protocol, Self

from thingmint.lab.advice.requests import interval_in
from thingmint.lab.advice.seen import Seen, What
from thingmint.lab.cloud.advising.trial import Trial
from thingmint.lab.cloud.greeting import DeviceGreeting
from thingmint.lab.cloud.mqtt import packets
from thingmint.lab.cloud.mqtt.packets import Connect, Disconnect, MalformedPacketError, PingReq, Publish
from thingmint.lab.cloud.mqtt.streams import Stream

# RFC 5246, 7.2.2, by the names that OpenSSL has for what a client sends: that it refuses the server's certificate.
_ALERTS = {
    "BAD_CERTIFICATE": 42,
    "UNSUPPORTED_CERTIFICATE": 43,
    "CERTIFICATE_REVOKED": 44,
    "CERTIFICATE_EXPIRED": 45,
    "CERTIFICATE_UNKNOWN": 46,
    "UNKNOWN_CA": 48,
}
_BEGIN = frozenset({What.OPENED, What.SHOWN, What.GREETED, What.LET_IN})
_REPORTED = "$iothub/twin/PATCH/properties/reported/"


class Watch(Protocol):
    """Who keeps the connections that are open; watch.Watch."""

    trial: Trial | None

    def forget(self, sighting: "Sighting") -> None: ...


class Sighting:
    """One connection, as far as the hub knows it. Outside of a trial nothing is noted but that it is there."""

    def __init__(self, watch: Watch, number: int, peer: str) -> None:
        self.number = number
        self.device = ""
        """As whom the hub let it in; before that, as whom it let in that certificate, or whose a verified CA says it is."""
        self.entered = False
        """Whether the hub let it in."""
        self.inside = False
        """And told it so."""
        self.of_before = False
        """Whether it was inside when the trial began."""
        self._watch = watch
        self._peer = peer
        self._certificate = b""
        self._begun: list[Seen] = []  # what a trial that begins later has to know of it
        self._elsewhere = False
        self._stream: Stream | None = None
        self._by_hub = self._by_device = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.note(What.CLOSED, flag=self._by_device)
        self.inside = False
        self._watch.forget(self)

    @property
    def noted(self) -> bool:
        return self._watch.trial is not None and not self._elsewhere

    def join(self, trial: Trial) -> None:
        """It is open while a trial begins."""
        self.of_before = self.inside
        if self._elsewhere:
            return
        if self.entered and self._certificate:
            trial.certificates[self._certificate] = self.device
        if self.inside:
            greeted = next(one for one in self._begun if one.what is What.GREETED)
            told = Seen(trial.now, What.THERE, self.number, self.device, greeted.words, greeted.number, peer=self._peer)
            trial.note(told)
            return
        for one in self._begun:
            trial.note(dataclasses.replace(one, at=trial.now))

    def note(self, what: What, words: str = "", number: int = 0, *, flag: bool = False, packet: int = 0) -> None:
        if what not in _BEGIN and not self.noted:
            return
        peer = self._peer if what is What.OPENED else ""
        at = self._watch.trial.now if self._watch.trial else 0.0
        told = Seen(at, what, self.number, self.device, words, number, flag, peer, packet)
        if what in _BEGIN:
            self._begun.append(told)
        if self._watch.trial and self.noted:
            self._watch.trial.note(told)

    def greeted(self, handshake: DeviceGreeting, transport: asyncio.Transport) -> None:
        if handshake.for_provisioning:
            self.is_elsewhere()
            return
        self._certificate = handshake.shown[0] if handshake.shown else b""
        known = self._watch.trial.certificates.get(self._certificate) if self._watch.trial else None
        self.device = known or (handshake.name if handshake.vouchers() else "")
        cipher, version, _ = transport.get_extra_info("cipher") or ("", "", 0)
        self.note(What.GREETED, f"{version} ({cipher})", len(handshake.shown))

    def is_elsewhere(self) -> None:
        """The provisioning service was asked for."""
        self.note(What.ELSEWHERE)
        self._elsewhere = True

    def let_in(self, device_id: str) -> None:
        self.device, self.entered = device_id, True
        if trial := self._watch.trial:
            trial.device = trial.device or device_id
            trial.certificates[self._certificate] = device_id
        self.note(What.LET_IN)

    def answered(self, code: int) -> None:
        """CONNECT, with that CONNACK."""
        self.inside = self.entered and code == packets.ACCEPTED
        self.note(What.CONNACK, number=code)

    def stream(self, stream: Stream) -> Stream:
        self._stream = stream
        return stream if self._elsewhere else Watched(stream, self)

    def end(self) -> None:
        self.aborted()
        if self._stream:
            self._stream.abort()

    def aborted(self) -> None:
        """The hub ended it."""
        self.inside = False
        self._by_hub = True

    def left(self) -> None:
        """The other side ended it, if the hub had not yet."""
        self._by_device = self._by_device or not self._by_hub


class NotedGreeting:
    """A handshake whose failure is noted. It tells nothing of who it was: what was shown there, nobody has proven."""

    def __init__(self, handshake: DeviceGreeting, sighting: Sighting) -> None:
        self._handshake = handshake
        self._sighting = sighting
        self.context = handshake.context

    def explain(self, error: Exception) -> str:
        told = self._handshake.explain(error)
        if self._handshake.for_provisioning:
            self._sighting.is_elsewhere()
            return told
        reason = (error.reason or "") if isinstance(error, ssl.SSLError) else ""
        words = reason.replace("_", " ").lower()
        if "alert" in words or isinstance(error, ConnectionResetError | ssl.SSLEOFError):
            self._sighting.left()
        if "alert" not in words:  # what the client said itself comes without the log's guess at it
            words = told
            if self._handshake.shown:
                words = f"a certificate CN {self._handshake.name!r} that was refused: {told}"
        self._sighting.note(What.BROKEN_OFF, words, _ALERTS.get(reason.partition("ALERT_")[2], 0))
        return told

    def refuse(self, why: str, *, door: str) -> None:
        self._handshake.refuse(why, door=door)


class Watched:
    """A Stream whose packets are noted, both ways."""

    def __init__(self, stream: Stream, sighting: Sighting) -> None:
        self._stream = stream
        self._sighting = sighting
        self._buffer = bytearray()
        self._readable = True  # from its first byte on

    async def read(self) -> bytes:
        try:
            data = await self._stream.read()
        except OSError:
            self._sighting.left()
            raise
        if not data:
            self._sighting.left()
        self._readable = self._readable and (self._sighting.noted or not data)
        if self._readable:
            self._heard(data)
        return data

    async def send(self, data: bytes) -> None:
        await self._stream.send(data)
        kind = data[0] >> 4
        if kind == 2:
            self._sighting.answered(data[3])
        elif kind == 4:
            self._sighting.note(What.PUBACK, packet=int.from_bytes(data[2:4], "big"))

    def abort(self) -> None:
        self._sighting.aborted()
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
