"""What happens in the lab while it runs, for those who watch: the last of each kind, kept in memory, and a call for more."""

import asyncio
import datetime as dt
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from itertools import count

from thingmint.lab.cloud.records import Message

KEPT = 100
"""Of the newest refusals and messages; of 256 kB each, what messages may have, 25 MB."""
_MOST_SHOWN = 1_000
_LARGEST_SHOWN = 16_384  # bytes of one device's certificates
_LONGEST = 1_000  # characters of a text, which names that strangers choose are a part of; a registered id has 128


@dataclass(frozen=True)
class Refused:
    """Somebody was turned away. The log has the same words."""

    number: int
    at: dt.datetime
    who: str
    why: str


@dataclass(frozen=True)
class Shown:
    """The certificates that a device showed when it connected: its own first, none where they are large. `why` it was refused, empty if it was not."""

    at: dt.datetime
    certificates: tuple[bytes, ...] = field(repr=False)
    vouchers: tuple[str, ...]
    why: str = ""


class Feed:
    """Written and read by the server's one thread."""

    def __init__(self) -> None:
        self.refusals: deque[Refused] = deque(maxlen=KEPT)  # of devices
        self.requests: deque[Refused] = deque(maxlen=KEPT)  # refused ones, of programs: az, SDKs, our tasks, a browser
        self.messages: deque[Message] = deque(maxlen=KEPT)
        self.shown: OrderedDict[str, Shown] = OrderedDict()  # of each device, when it was let in last
        self.turned_away: OrderedDict[str, Shown] = OrderedDict()  # likewise, when it was not
        self.closed = False
        self._numbers = count(1)
        self._watchers: set[asyncio.Event] = set()

    def refused(self, who: str, why: str, *, device: bool) -> None:
        kept = self.refusals if device else self.requests
        kept.append(Refused(next(self._numbers), _now(), who[:_LONGEST], why[:_LONGEST]))
        self.stirred()

    def heard(self, message: Message) -> None:
        self.messages.append(message)
        self.stirred()

    def showed(self, device_id: str, certificates: list[bytes], *, vouchers: list[str], why: str = "") -> None:
        """By the id that it claims; whether that id is registered is the reader's to ask."""
        kept = self.turned_away if why else self.shown
        small = sum(map(len, certificates)) <= _LARGEST_SHOWN  # strangers fill no memory
        device_id = device_id[:_LONGEST]
        kept[device_id] = Shown(_now(), tuple(certificates) if small else (), tuple(vouchers), why[:_LONGEST])
        kept.move_to_end(device_id)
        if len(kept) > _MOST_SHOWN:
            kept.popitem(last=False)
        self.stirred()

    def stirred(self) -> None:
        """Something changed, here or in the store."""
        for watcher in self._watchers:
            watcher.set()

    def close(self) -> None:
        """The lab ends: whoever watches is told."""
        self.closed = True
        self.stirred()

    def watch(self) -> asyncio.Event:
        """Set at once and at each change; who waits for it clears it. A slow watcher misses nothing that is still kept."""
        watcher = asyncio.Event()
        watcher.set()
        self._watchers.add(watcher)
        return watcher

    def forget(self, watcher: asyncio.Event) -> None:
        self._watchers.discard(watcher)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
