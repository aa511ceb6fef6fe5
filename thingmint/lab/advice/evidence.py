"""Evidence: which of the connections that the lab saw are the device's, and why others are not put down to it.

Whose a connection is, the hub says: as whom it let it in, or whose the certificate of a good handshake is. One that is
broken off in the handshake, or reset before it, has no name, whatever certificate was shown on it. It counts as the
device's only where nothing else is known to come from its address.
"""

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from thingmint.lab.advice.seen import Seen, What

_SEVERAL = 3
"""Times that a client breaks off, each after another coming in of the device's: a network's chance does so less often."""


@dataclass(frozen=True)
class Evidence:
    """All of a trial so far, and the device that it is about."""

    everything: Sequence[Seen]
    device: str

    @cached_property
    def _names(self) -> dict[int, str]:
        """Of the devices, by connection."""
        return {one.connection: one.device for one in self.everything if one.connection and one.device}

    @cached_property
    def _peers(self) -> dict[int, str]:
        return {one.connection: one.peer for one in self.everything if one.peer}

    @cached_property
    def _elsewhere(self) -> set[int]:
        """Connections to the provisioning service: none of the hub's."""
        return {one.connection for one in self.everything if one.what is What.ELSEWHERE}

    @cached_property
    def _undecided(self) -> set[int]:
        """Connections whose handshake goes on: they may yet be for the provisioning service."""
        begun = {one.connection for one in self.everything if one.what is What.OPENED}
        return begun - {one.connection for one in self.everything if not _begins(one)}

    @cached_property
    def _unknown(self) -> set[int]:
        """Connections on which a certificate was proven, and none of a device that was let in by it."""
        return {one.connection for one in self.everything if one.what is What.GREETED} - self._names.keys()

    @cached_property
    def _own(self) -> set[str]:
        """Addresses from which the device was seen."""
        return {self._peers.get(number, "") for number, name in self._names.items() if name == self.device} - {""}

    @cached_property
    def _others(self) -> dict[str, str]:
        """Other devices, by address."""
        return {self._peers.get(number, ""): name for number, name in self._names.items() if name != self.device}

    @cached_property
    def _strangers(self) -> set[str]:
        """Addresses of clients that refuse the hub's own certificate: the device is none of them, it has come in by that.

        By a certificate alert, once; by breaking off in another way, as a network may, again and again while the device
        came in in between.
        """
        good = {one.connection for one in self.everything if one.what is What.SHOWN and not one.words}
        came_in = sorted({one.connection: one.at for one in self.everything if self._comes_in(one)}.values())
        alerts: set[str] = set()
        others: dict[str, set[int]] = {}  # by address, how often the device had come in at each
        for one in self.everything:
            if one.what is What.BROKEN_OFF and one.connection in good - self._names.keys():
                peer = self._peers.get(one.connection, "")
                others.setdefault(peer, set()).add(bisect(came_in, one.at))
                if one.number:
                    alerts.add(peer)
        return alerts | {peer for peer, found in others.items() if len(found) >= _SEVERAL}

    def _comes_in(self, one: Seen) -> bool:
        return one.what in {What.GREETED, What.LET_IN} and self._names.get(one.connection) == self.device

    def is_own(self, one: Seen) -> bool:
        """Of what belongs to no connection, everything is."""
        if not one.connection:
            return True
        if name := self._names.get(one.connection):
            return name == self.device
        if one.connection in self._elsewhere | self._undecided | self._unknown:
            return False
        peer = self._peers.get(one.connection)
        return peer in self._own and peer not in self._others and peer not in self._strangers

    @cached_property
    def seen(self) -> tuple[Seen, ...]:
        return tuple(one for one in self.everything if self.is_own(one))

    def doubt(self, connections: set[int]) -> str:
        """Why nameless ones among these are not put down to the device, as the end of a sentence; empty without any."""
        nameless = sorted(connections - self._names.keys() - self._elsewhere)
        for number in nameless:
            peer = self._peers.get(number, "")
            if peer in self._own and peer in self._others:
                return f"another client ({self._others[peer]}) connects from the same address ({peer}), and nothing tells the two apart"
            if peer in self._own and peer in self._strangers:
                return f"a client that refuses every server connects from the same address ({peer}), and nothing tells the two apart"
            if peer not in self._own:
                end = next(
                    (one for one in self.everything if one.connection == number and one.what is What.BROKEN_OFF), None
                )
                how = f" ({end.words})" if end else ""
                return f"a client at {peer or 'an unknown address'} did{how}, and nothing tells whether that was this device"
        return ""


def _begins(one: Seen) -> bool:
    return one.what is What.OPENED or (one.what is What.SHOWN and not one.words)
