"""The log as it is heard: blocks of lines in, at any moment the conclusions so far out, in constant memory.

A log of months is a gigabyte, and nearly all of it says nothing new. So a block is searched as bytes, by one pattern
made of what tells something, and only what that finds is decoded and read.
"""

import functools
import re
from collections.abc import Callable, Iterable

from thingmint.firmware.log import causes, display, numbers
from thingmint.firmware.log.causes import Cause
from thingmint.firmware.log.conclusions import Conclusions, Embedded
from thingmint.firmware.log.course import Course

_LONGEST_MESSAGE = 400
_Change = Callable[[Course, re.Match[str]], None]
# How a message begins, word for word; the rest, as a pattern; what that means. Failures stand in causes.SIGNS.
_FACTS: tuple[tuple[str, str, _Change], ...] = (
    ("Network registration status: Connected - ", r"home|roaming", lambda course, found: course.register(found[0])),
    ("Connected to LTE network", "", lambda course, _: course.register()),
    ("Resolving IP address for ", r"(\S+)", lambda course, found: course.resolve(found[1])),
    ("IPv6 Address found ", r"(\S+)", lambda course, found: course.resolved("IPv6", found[1])),
    ("IPv4 Address found ", r"(\S+)", lambda course, found: course.resolved("IPv4", found[1])),
    ("AZURE_IOT_HUB_EVT_CONNECTING", "", lambda course, _: course.attempt()),
    ("AZURE_IOT_HUB_EVT_CONNECTED", "", lambda course, _: course.connect()),
    ("AZURE_IOT_HUB_EVT_READY", "", lambda course, _: course.connect()),
    ("State transition: MQTT_STATE_CONNECTING --> MQTT_STATE_CONNECTED", "", lambda course, _: course.accepted()),
    ("MQTT_STATE_CONNECTING --> MQTT_STATE_CONNECTED", "", lambda course, _: course.accepted()),
    ("MQTT mqtt_client connected", "", lambda course, _: course.answer()),
    ("AZURE_IOT_HUB_EVT_DISCONNECTED", "", lambda course, _: course.disconnect()),
    ("MQTT_EVT_DISCONNECT: ", "", lambda course, _: course.disconnect()),
    ("DISCONNECT, result: ", "", lambda course, _: course.disconnect()),
    ("+CEREG: ", causes.CEREG, lambda course, found: course.cereg(int(found[1]))),
    ("+CGEV: ME PDN ACT ", r"\d+,0\b", lambda course, _: course.network_gives("IPv4")),
    ("+CGEV: ME PDN ACT ", r"\d+,1\b", lambda course, _: course.network_gives("IPv6")),
    ("+CGEV: IPV6 ", r"\d", lambda course, _: course.prefix_came()),
    ("+CNEC_ESM: ", r"(50|51)\b", lambda course, found: course.network_gives(numbers.FAMILY_ONLY[int(found[1])])),
)


def _searched() -> re.Pattern[bytes]:
    """`<level> module: message` (<dbg> has `function: ` first), where the message begins as one of the tables says.

    The look at its first letter alone is what most lines fail by, and fast.
    """
    heads = {head for head, *_ in _FACTS} | {sign.head for sign in causes.SIGNS}
    printed = sorted(head.encode() for head in heads if not head.startswith("+"))
    first = b"".join(sorted({re.escape(head[:1]) for head in printed}))
    words = b"|".join(map(re.escape, printed))
    return re.compile(rb"<(?:dbg> [!-~]++ [!-~]++ |[iew]..> [!-~]++ )(?=[%b])(?=%b)" % (first, words))


_TELLING = _searched()
_UNSOLICITED = re.compile(rb"\+C(?:EREG|GEV|NEC_ESM): ")  # the modem's own, on a line of its own or in one of the log
_BANNER = re.compile(rb"\*\*\* Booting ")
_DROPPED = re.compile(rb"--- (\d{1,9}) messages dropped ---")
_SENT = b"Event was successfully sent"
_AT_CLIENT = b"The AT host sample started"
_RECORD = re.compile(rb"<(?:err|wrn|inf|dbg)> (?!mcuboot)")


class Story:
    """One log, from its first block to its last."""

    def __init__(self) -> None:
        self._course = Course()
        self._size = self._events = self._dropped = self._reboots = 0
        self._zephyr = self._at_client = False
        self._recorded = False  # something after the last banner: a bootloader and what it starts print one each

    @property
    def connected(self) -> bool:
        """The device is connected to the hub: proven, and not over."""
        return self._course.connected

    def hear(self, block: bytes) -> None:
        """Whole lines, as many as there are at a time: what is concluded does not depend on it."""
        self._size += len(block)
        self._events += block.count(_SENT)
        spots = {found.end(): False for found in _TELLING.finditer(block)}
        # One byte is looked for at the speed of memory: most blocks have none of these.
        if b"+" in block:
            spots |= {found.start(): False for found in _UNSOLICITED.finditer(block)}
        if b"*" in block:
            spots |= {found.start(): True for found in _BANNER.finditer(block)}
        if b" messages dropped ---" in block:
            self._dropped += sum(int(found[1]) for found in _DROPPED.finditer(block))
        last = 0
        for spot, is_banner in sorted(spots.items()):
            if is_banner:
                self._note_records(block, last, spot)
                self._reboots += self._recorded
                self._recorded, last = False, spot
                self._course.boot()
                continue
            end = block.find(b"\n", spot, spot + _LONGEST_MESSAGE)
            facts, cause = _meaning(block[spot : spot + _LONGEST_MESSAGE if end < 0 else end])
            for change, found in facts:
                change(self._course, found)
            if cause:
                self._course.fail(cause)
        self._note_records(block, last, len(block))

    def vanished(self) -> None:
        """The port is gone: what the device does meanwhile, nobody hears."""
        self._course.vanish()

    def conclude(self, read_nat64: "Callable[[str], Embedded | None] | None" = None) -> Conclusions:
        """What is proven so far. `read_nat64` tells what an IPv6 address has embedded, if anything."""
        course = self._course
        return Conclusions(
            size=self._size,
            zephyr=self._zephyr,
            at_client=self._at_client,
            reboots=self._reboots,
            dropped=self._dropped,
            registration=course.registration,
            family=course.family,
            host=course.host,
            address=course.address,
            embedded=read_nat64(course.address) if read_nat64 and ":" in course.address else None,
            answered=course.answered,
            connections=course.connections,
            connected=course.connected,
            events=self._events,
            disconnects=course.disconnects,
            lost=course.lost,
            failures=course.failures,
            overcome=course.overcome,
        )

    def _note_records(self, block: bytes, start: int, end: int) -> None:
        """Of what follows a banner, up to the first record: that is all that the AT client writes."""
        if self._recorded:
            return
        found = _RECORD.search(block, start, end)
        self._at_client = self._at_client or block.find(_AT_CLIENT, start, found.start() if found else end) >= 0
        self._recorded = bool(found)
        self._zephyr = self._zephyr or self._recorded


def conclude(lines: Iterable[bytes], read_nat64: "Callable[[str], Embedded | None] | None" = None) -> Conclusions:
    """What the lines (each with its end) prove."""
    story = Story()
    for line in lines:
        story.hear(line)
    return story.conclude(read_nat64)


@functools.lru_cache(maxsize=256)
def _meaning(line: bytes) -> tuple[tuple[tuple[_Change, re.Match[str]], ...], Cause | None]:
    """What a message changes, and the failure that it tells of. A device that fails says the same again and again."""
    message = display.text(line)
    facts = (
        (change, found)
        for head, rest, change in _FACTS
        if message.startswith(head) and (found := re.compile(rest).match(message, len(head)))
    )
    return tuple(facts), causes.of(message)
