"""The simulated device in operation: it stays connected and sends events, until it is switched off, as its manners are."""

import contextlib
import itertools
import json
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from thingmint import files
from thingmint.errors import CheckError
from thingmint.lab.thing import line, packets
from thingmint.lab.thing.line import Credentials, Line
from thingmint.lab.thing.manners import Manners
from thingmint.target import Target

_ROOT, _CERTIFICATE, _KEY = 0, 1, 2  # credential types of AT%CMNG
_MOST_UNACKNOWLEDGED = 10
_AT_ONCE, _EVENLY = 0.03, 0.5
_STOP_SECONDS = 10.0
_METHODS, _DESIRED = "$iothub/methods/POST/", "$iothub/twin/PATCH/properties/desired/"


class Holder(Protocol):
    """What the firmware sees of the modem's storage."""

    def read(self, tag: int, kind: int) -> bytes | None: ...


@contextlib.contextmanager
def operating(
    target: Target, device_id: str, holder: Holder, tags: tuple[int, int], manners: Manners
) -> Iterator["Switch"]:
    """The device, switched on until the block ends. Raises CheckError naming what its sec tags lack."""
    with tempfile.TemporaryDirectory(prefix="thingmint-") as folder:
        credentials = _loaded(holder, tags, Path(folder))
        switch = Switch(lambda: _Device(target, device_id, credentials, manners))
        try:
            yield switch
        finally:
            switch.off()


class Switch:
    """What a device is switched off and on by."""

    def __init__(self, device: "Callable[[], _Device]") -> None:
        self._make = device
        self._device = device()
        self._device.start()

    def off(self) -> None:
        self._device.off.set()
        self._device.join(_STOP_SECONDS)

    def off_and_on(self, between: "Callable[[], None]") -> None:
        self.off()
        between()
        self._device = self._make()
        self._device.start()


def _loaded(holder: Holder, tags: tuple[int, int], folder: Path) -> Credentials:
    """`folder` is its owner's alone."""
    own, secondary = tags
    found = {
        "server root": holder.read(own, _ROOT),
        "client certificate": holder.read(own, _CERTIFICATE),
        "private key": holder.read(own, _KEY),
    }
    if missing := [name for name, content in found.items() if not content]:
        raise CheckError(f"the modem's sec tag {own} holds no {', no '.join(missing)}.")
    for name in ("client certificate", "private key"):
        files.create(folder / name, found[name] or b"", mode=files.SECRET)
    roots = [one.decode("ascii") for one in (found["server root"], holder.read(secondary, _ROOT)) if one]
    return Credentials(tuple(roots), str(folder / "client certificate"), str(folder / "private key"))


class _Device(threading.Thread):
    def __init__(self, target: Target, device_id: str, credentials: Credentials, manners: Manners) -> None:
        super().__init__(name="thingmint-operation", daemon=True)
        self.off = threading.Event()
        self._target = target
        self._id = device_id
        self._credentials = credentials
        self._manners = manners
        self._unacknowledged: dict[int, tuple[str, bytes]] = {}
        self._numbers = itertools.cycle(range(1, 65_536))
        self._interval = manners.event_seconds
        self._failures = 0  # since the hub last let it in
        self._was_in = False

    def run(self) -> None:
        while not self.off.is_set():
            # What the line breaks with is a device's daily bread: it tries again, or does not.
            with contextlib.suppress(OSError), line.opened(self._target, self._credentials, self._manners) as opened:
                self._converse(opened)
            if not self._manners.keeps_messages:
                self._unacknowledged.clear()
            if self._manners.returns == "never" and self._was_in:
                return
            self._failures += 1
            self.off.wait(self._pause())

    def _pause(self) -> float:
        """Doubled each time and up to a limit, and never the same for a whole fleet; unless its manners are bad."""
        if self._manners.returns == "at-once":
            return _AT_ONCE
        if self._manners.returns == "evenly":
            return _EVENLY
        longest = min(self._manners.first_wait * 2.0 ** (self._failures - 1), self._manners.longest_wait)
        # A good half by chance: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
        return longest * random.uniform(0.4, 1.0) if self._manners.scatters else longest  # noqa: S311 - no secrecy

    def _converse(self, opened: Line) -> None:
        manners = self._manners
        username = f"{self._target.hub_host}/{self._id}/?api-version=2019-10-01&DeviceClientType=thingmint"
        opened.send(packets.connect(self._id, username, keep_alive=manners.keep_alive, clean=manners.clean_session))
        while (answer := opened.receive(manners.connack_seconds)) is None:
            if manners.awaits_connack == "a-while":
                raise TimeoutError("no CONNACK")
            if self.off.is_set():
                return
        if answer.kind != packets.CONNACK or answer.code:
            raise ConnectionRefusedError("the hub refused")
        self._was_in, self._failures = True, 0
        opened.send(packets.subscribe(next(self._numbers), f"{_DESIRED}#", f"{_METHODS}#"))
        for number, (topic, body) in self._unacknowledged.items():
            opened.send(packets.publish(topic, body, packet_id=number, again=True))
        self._work(opened)
        opened.send(packets.DISCONNECT)

    def _work(self, opened: Line) -> None:
        """Until it is switched off. Raises OSError where the line ends, or is dead."""
        due, pinged = time.monotonic(), 0.0
        while not self.off.is_set():
            now = time.monotonic()
            if now >= due:
                due = now + self._interval
                self._send_event(opened)
            if now - opened.heard > self._manners.keep_alive and not pinged > opened.heard:
                pinged = now
                opened.send(packets.PINGREQ)
            elif pinged > opened.heard and now - pinged > self._manners.keep_alive:
                if self._manners.hears_silence:
                    raise TimeoutError("no PINGRESP")
                pinged = 0.0
            if packet := opened.receive(0.05):
                self._take(opened, packet)

    def _send_event(self, opened: Line) -> None:
        topic = f"devices/{self._id}/messages/events/"
        body = json.dumps({"temperature": round(random.uniform(20, 30), 1), "uptime": time.monotonic()}).encode()  # noqa: S311
        if not self._manners.qos:
            opened.send(packets.publish(topic, body))
        elif len(self._unacknowledged) < _MOST_UNACKNOWLEDGED:
            number = next(self._numbers)
            self._unacknowledged[number] = (topic, body)
            opened.send(packets.publish(topic, body, packet_id=number))

    def _take(self, opened: Line, packet: packets.Packet) -> None:
        if packet.kind == packets.PUBACK:
            self._unacknowledged.pop(packet.packet_id, None)
        if packet.kind != packets.PUBLISH:
            return
        if packet.packet_id:
            opened.send(packets.puback(packet.packet_id))
        request = packet.topic.rpartition("$rid=")[2]
        if packet.topic.startswith(_METHODS) and self._manners.answers:
            opened.send(packets.publish(f"$iothub/methods/res/200/?$rid={request}", b'{"it":"worked"}'))
        elif packet.topic.startswith(_DESIRED) and self._manners.obeys:
            self._obey(opened, packet.payload)

    def _obey(self, opened: Line, payload: bytes) -> None:
        """Nordic's sample knows one property, and reports it back."""
        wanted = json.loads(payload)
        if "telemetryInterval" not in wanted:
            return
        seconds = wanted["telemetryInterval"]  # None where it was removed
        self._interval = seconds or self._manners.event_seconds
        if seconds:
            reported = json.dumps({"telemetryInterval": seconds}).encode()
            opened.send(
                packets.publish(f"$iothub/twin/PATCH/properties/reported/?$rid={next(self._numbers)}", reported)
            )
