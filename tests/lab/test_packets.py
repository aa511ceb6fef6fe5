"""The MQTT codec: every packet a device sends, cut anywhere; and anything at all as input."""

import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.lab.clients import connect_packet, packet, publish_packet, text
from thingmint.lab.cloud.mqtt.packets import (
    LARGEST_PACKET,
    Connect,
    Disconnect,
    MalformedPacketError,
    Packet,
    PingReq,
    PubAck,
    Publish,
    Subscribe,
    Unsubscribe,
    suback,
    take,
)

CONVERSATION: list[tuple[bytes, Packet]] = [
    (
        connect_packet("thing", "host/thing/?api-version=1"),
        Connect(
            "MQTT",
            4,
            "thing",
            60,
            clean_session=False,
            will=None,
            username="host/thing/?api-version=1",
            password=None,
        ),
    ),
    (
        packet(0x10, text("MQTT") + b"\x04\x2e\x00\x00" + text("x") + text("last/word") + b"\x00\x02hi"),
        Connect(
            "MQTT",
            4,
            "x",
            0,
            clean_session=True,
            will=Publish("last/word", b"hi", 1, retain=True, packet_id=0),
            username=None,
            password=None,
        ),
    ),
    (publish_packet("a/b", b"\x00body", packet_id=9), Publish("a/b", b"\x00body", 1, retain=False, packet_id=9)),
    (publish_packet("a", b"x" * 300, qos=0), Publish("a", b"x" * 300, 0, retain=False, packet_id=0)),
    (packet(0x82, b"\x00\x05" + text("t/#") + b"\x01" + text("u") + b"\x00"), Subscribe(5, (("t/#", 1), ("u", 0)))),
    (packet(0xA2, b"\x00\x06" + text("t/#")), Unsubscribe(6, ("t/#",))),
    (packet(0x40, b"\x00\x08"), PubAck(8)),
    (packet(0xC0, b""), PingReq()),
    (packet(0xE0, b""), Disconnect()),
]


@given(st.lists(st.integers(min_value=0, max_value=500), max_size=20))
def test_a_conversation_cut_anywhere(cuts: list[int]) -> None:
    stream = b"".join(data for data, _ in CONVERSATION)
    edges = sorted({0, len(stream), *(min(cut, len(stream)) for cut in cuts)})
    buffer, found = bytearray(), []
    for start, end in itertools.pairwise(edges):
        buffer += stream[start:end]
        while packet_found := take(buffer):
            found.append(packet_found)
    assert found == [expected for _, expected in CONVERSATION]
    assert not buffer


@given(st.binary(max_size=400))
def test_random_bytes(data: bytes) -> None:
    buffer = bytearray(data)
    with contextlib.suppress(MalformedPacketError):
        while take(buffer):
            pass


@given(st.integers(min_value=0, max_value=255), st.binary(max_size=200))
def test_random_bodies_of_whole_packets(first: int, body: bytes) -> None:
    with contextlib.suppress(MalformedPacketError):
        assert take(bytearray(packet(first, body))) is not None


@pytest.mark.parametrize(
    "data",
    [
        b"\x10\xff\xff\xff\xff\x01",  # a remaining length of five bytes
        packet(0x36, text("t") + b"\x00\x01"),  # QoS 3
        packet(0x38, text("t") + b"again"),  # sent again (DUP) at QoS 0
        packet(0x10, text("MQTT") + b"\x04\x1e\x00\x00" + text("x") + text("t") + b"\x00\x00"),  # a will of QoS 3
        packet(0x10, text("MQTT") + b"\x04\x42\x00\x00" + text("x") + b"\x00\x02pw"),  # a password without a user name
        packet(0x32, text("t/#") + b"\x00\x01"),  # a wildcard
        packet(0x32, text("t") + b"\x00\x00"),  # the packet identifier 0
        packet(0x80, b"\x00\x01" + text("t") + b"\x00"),  # SUBSCRIBE without its fixed flags
        packet(0x82, b"\x00\x01"),  # SUBSCRIBE to nothing
        packet(0xC0, b"\x00"),  # a ping with a body
        packet(0x30, b"\x00\x02\xff\xfe"),  # a topic that is no UTF-8
        packet(0x20, b"\x00\x00"),  # a packet that only servers send
    ],
)
def test_malformed(data: bytes) -> None:
    with pytest.raises(MalformedPacketError):
        take(bytearray(data))


def test_a_packet_too_large_is_refused_before_it_arrives() -> None:
    whole = packet(0x30, text("t") + b"x" * LARGEST_PACKET)
    with pytest.raises(MalformedPacketError, match="limit"):
        take(bytearray(whole[:10]))


def test_a_long_answer_has_its_length_in_two_bytes() -> None:
    assert suback(1, [0] * 200) == b"\x90\xca\x01\x00\x01" + b"\x00" * 200
