"""Whatever the bytes are: no error, the same conclusions however they are cut, and nothing that grows."""

import pickle
import tracemalloc
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from tests.monitor.logs import BOOT, CONNECTED, IPV6_ONLY, PREFIX, REGISTERED, SENT, TRYING, UNRESOLVED, log
from tests.monitor.test_causes import ROWS
from thingmint.firmware.log import display, telling
from thingmint.firmware.log.blocks import LONGEST, Blocks
from thingmint.firmware.log.conclusions import Conclusions
from thingmint.firmware.log.story import Story
from thingmint.workflows.firmware.monitoring import embedded_in

LINES = [
    *(line for line, *_ in ROWS), BOOT, CONNECTED, IPV6_ONLY, PREFIX, REGISTERED, SENT, TRYING, UNRESOLVED,
    "The AT host sample started", "<inf> a\nMQTT mqtt_client connected", "--- 3 messages dropped ---", "+CEREG: 5", "", "<inf>", "<dbg> x: y: ",
    "<dbg> m: f: Resolving IP address for h", "<dbg> m: f: IPv6 Address found 64:ff9b::c000:221 (AF_INET6)", "\x1b[1;31m",
]  # fmt: skip
LOG_LIKE = st.lists(st.one_of(st.sampled_from([log(line) for line in LINES]), st.binary(max_size=40))).map(b"".join)


def heard(pieces: Iterable[bytes], *, by_line: bool = False) -> Conclusions:
    story, blocks = Story(), Blocks()
    for block in [*(blocks.feed(piece) for piece in pieces), blocks.end()]:
        for part in block.splitlines(keepends=True) if by_line else [block]:
            story.hear(part)
    return story.conclude(embedded_in)


@given(st.binary(max_size=2000))
def test_arbitrary_bytes_are_a_log_without_conclusions(data: bytes) -> None:
    found = heard([data])
    assert not found.reached
    assert telling.failure(found)
    assert all(sentence.endswith((".", ":")) for sentence in telling.sentences(found))


@given(LOG_LIKE, st.lists(st.integers(1, 60), min_size=1))
def test_how_a_log_is_cut_into_pieces_changes_nothing(data: bytes, sizes: list[int]) -> None:
    pieces: list[bytes] = []
    start = 0
    while start < len(data):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(data[start : start + size])
        start += size
    whole = heard([data])
    assert heard(pieces) == whole
    assert heard(pieces, by_line=True) == whole


@given(LOG_LIKE)
def test_what_is_shown_has_no_codes_and_loses_no_line(data: bytes) -> None:
    shown = display.text(data)
    assert not [one for one in shown if ord(one) < 0x20 and one not in "\t\n"]
    assert not set(shown) & set("\x7f\x80\x9b\u2028")
    assert shown.count("\n") == data.count(b"\n")
    assert all(isinstance(display.look(line), str) for line in shown.split("\n"))


@given(st.lists(LOG_LIKE, max_size=5))
def test_the_state_has_a_size_of_its_own(logs: list[bytes]) -> None:
    story = Story()
    for data in logs:
        story.hear(data)
    for number in range(400):  # numbers that nobody has a name for, hosts that are all different
        story.hear(
            f"<err> m: mqtt_connect, error: -{number}\n+CNEC_ESM: {number % 1000},0\n"
            f"<dbg> m: f: Resolving IP address for h{number}\n".encode()
        )
    assert len(pickle.dumps(story)) < 20_000


def test_a_line_without_an_end_costs_no_memory() -> None:
    blocks, story = Blocks(), Story()
    piece = b"x" * 2**16
    tracemalloc.start()
    for _ in range(1000):
        story.hear(blocks.feed(piece))
    story.hear(blocks.feed(b"\n" + log(CONNECTED)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert story.connected
    assert blocks.cut == 1
    assert peak < 10 * LONGEST


def test_a_log_that_is_cut_off_tells_its_last_line_too() -> None:
    assert heard([log(CONNECTED).rstrip()]).reached
    assert heard([log(CONNECTED)[:-12]]).connections == 0
