"""Input that nobody expects: names, texts, JSON, and MQTT packets that are nearly right."""

import json
from typing import Any

from hypothesis import strategies as st

from tests.lab.clients import connect_packet, packet, publish_packet, text

NAMES = [
    "../../../etc/passwd",
    "..",
    "a/b",
    "a\\b",
    "a'; DROP TABLE device;--",
    'a" OR "1"="1',
    "<script>alert(1)</script>",
    "100%25",
    "%00",
    "a\nb",
    "2026-01-01T00:00:00Z forged\r\n",
    "\x1b[2Jcleared",
    "\u202eesrever",
    "名前",
    "NUL",
    "a" * 300,
    "{0.__class__}",
    "",
]
names = st.sampled_from(NAMES) | st.text(max_size=60)
utf8 = names.map(lambda one: one.encode(errors="replace").decode())

_NUMBERS = [10**400, -(2**63), 2**64, 1e308, -0.0, float("nan"), float("inf")]
_leaves: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.sampled_from(_NUMBERS) | st.floats() | names | st.just("\ud800")
)
json_values = st.recursive(
    _leaves, lambda below: st.lists(below, max_size=4) | st.dictionaries(names, below, max_size=4)
)
_ODD_TEXTS = [
    b"",
    b"\xff\xfe{",
    b"\xef\xbb\xbf{}",
    b"{" * 50_000,
    b"[" * 50_000,
    b"[" * 900 + b"]" * 900,
    b'{"a":' * 200 + b"1" + b"}" * 200,
    b"9" * 5000,
    b'{"a":1,"a":2}',
    b'"\\ud800"',
    b"NaN",
    b"\x00",
]
bodies = (
    json_values.map(lambda value: json.dumps(value).encode()) | st.sampled_from(_ODD_TEXTS) | st.binary(max_size=80)
)


def changed(good: Any) -> st.SearchStrategy[Any]:
    """A good value, with something else in one place of it."""
    kept: st.SearchStrategy[Any] = json_values | st.just(good)
    if isinstance(good, dict) and good:
        return kept | st.sampled_from(sorted(good)).flatmap(
            lambda key: changed(good[key]).map(lambda value: {**good, key: value})
        )
    return kept


# --- MQTT ------------------------------------------------------------------------------------------------------


def topics(device_id: str) -> st.SearchStrategy[str]:
    ids = st.sampled_from(["1", "ff", "x" * 128, "x" * 129, "", "é", "%31"]) | utf8
    return st.one_of(
        st.sampled_from(["", "/", "/a=b", "/a=%zz&=&%00=%ff&&a", "/$.mid=%F0%9F%98%80", "/" + "a=b&" * 900]).map(
            lambda bag: f"devices/{device_id}/messages/events{bag}"
        ),
        utf8.map(lambda bag: f"devices/{device_id}/messages/events/{bag}"),
        ids.map(lambda rid: f"$iothub/twin/GET/?$rid={rid}"),
        ids.map(lambda rid: f"$iothub/twin/PATCH/properties/reported/?$rid={rid}&$version=1"),
        ids.map(lambda rid: f"$iothub/methods/res/{rid}/?$rid={rid}"),
        st.sampled_from([f"devices/{device_id}/messages/devicebound/#", "$iothub/twin/res/#", "#", "+/+"]),
        st.sampled_from(["$iothub/methods/POST/#", "$iothub/twin/PATCH/properties/desired/#"]),
        utf8,
    )


def packets(device_id: str, username: str) -> st.SearchStrategy[bytes]:
    """Valid ones, and such as are nearly so."""
    topic, numbers = topics(device_id), st.integers(0, 65_535)
    number = numbers.map(lambda one: one.to_bytes(2, "big"))
    filters = st.lists(topic, max_size=3) | st.just(["#"] * 70)
    valid = st.one_of(
        st.builds(
            lambda topic, payload, qos, flags, packet_id: _with_flags(
                publish_packet(topic, payload, qos=qos, packet_id=packet_id), flags
            ),
            topic,
            bodies,
            st.integers(0, 2),
            st.sampled_from([0, 0, 1, 8, 9]),  # retain, DUP
            numbers,
        ),
        st.builds(
            lambda number, filters, qos: packet(0x82, number + b"".join(text(one) + qos for one in filters)),
            number,
            filters,
            st.sampled_from([b"\0", b"\1", b"\2", b"\3"]),
        ),
        st.builds(lambda number, filters: packet(0xA2, number + b"".join(map(text, filters))), number, filters),
        number.map(lambda one: packet(0x40, one)),
        st.sampled_from([b"\xc0\x00"] * 3 + [b"\xe0\x00", connect_packet(device_id, username)]),
    )
    return st.one_of(valid, valid, valid.flatmap(_mangled), st.binary(max_size=30))


def _with_flags(data: bytes, flags: int) -> bytes:
    return bytes((data[0] | flags,)) + data[1:]


def _mangled(data: bytes) -> st.SearchStrategy[bytes]:
    places = st.integers(0, len(data) - 1)
    return st.one_of(
        places.map(lambda at: data[:at]),
        st.builds(lambda at, byte: data[:at] + bytes((byte,)) + data[at + 1 :], places, st.integers(0, 255)),
        st.integers(0, 255).map(lambda length: data[:1] + bytes((length,)) + data[2:]),  # a length that lies
    )
