"""Evidence: which of the connections that the lab saw are the device's, and why others are not put down to it.

A connection that is broken off in the handshake, or reset before it, has shown no certificate: nobody has said whose it
is. It counts as the device's only where nothing else is known to come from its address.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from thingmint.lab.advice.seen import Seen, What


@dataclass(frozen=True)
class Evidence:
    """All of a trial so far, and the device that it is about."""

    everything: Sequence[Seen]
    device: str

    @cached_property
    def _names(self) -> dict[int, str]:
        """Of the certificates, by connection."""
        return {one.connection: one.device for one in self.everything if one.connection and one.device}

    @cached_property
    def _peers(self) -> dict[int, str]:
        return {one.connection: one.peer for one in self.everything if one.peer}

    @cached_property
    def _own(self) -> set[str]:
        """Addresses from which the device was seen."""
        return {self._peers.get(number, "") for number, name in self._names.items() if name == self.device} - {""}

    @cached_property
    def _others(self) -> dict[str, str]:
        """Other clients that showed a certificate, by address."""
        return {self._peers.get(number, ""): name for number, name in self._names.items() if name != self.device}

    @cached_property
    def _strangers(self) -> set[str]:
        """Addresses of clients that refuse the hub's own certificate: the device is none of them, it has come in by that."""
        good = {one.connection for one in self.everything if one.what is What.SHOWN and not one.words}
        broken = {one.connection for one in self.everything if one.what is What.BROKEN_OFF}
        return {self._peers.get(number, "") for number in (good & broken) - self._names.keys()}

    def is_own(self, one: Seen) -> bool:
        """Of what belongs to no connection, everything is."""
        if not one.connection:
            return True
        if name := self._names.get(one.connection):
            return name == self.device
        peer = self._peers.get(one.connection)
        return peer in self._own and peer not in self._others and peer not in self._strangers

    @cached_property
    def seen(self) -> tuple[Seen, ...]:
        return tuple(one for one in self.everything if self.is_own(one))

    def doubt(self, connections: set[int]) -> str:
        """Why nameless ones among these are not put down to the device, as the end of a sentence; empty without any."""
        nameless = sorted(connections - self._names.keys())
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
