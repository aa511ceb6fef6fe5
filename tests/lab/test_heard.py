"""What the hub heard: kept so far and no further, told in bits of so much, to the byte; and who fell behind is told so."""

import contextlib
import datetime as dt
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.clients import Lab, mqtt_connect, publish_packet, tls
from thingmint.lab import heard
from thingmint.lab.cloud.store import messages
from thingmint.lab.cloud.store.store import Store
from thingmint.lab.heard import Follower, Heard
from thingmint.lab.requests import request, secrets_of
from thingmint.lab.state import LabFolder

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with contextlib.closing(Store(tmp_path / "db")) as opened:
        yield opened


def hear(store: Store, device_id: str, *bodies: bytes) -> None:
    store.heard(device_id, [(body, {}) for body in bodies], NOON)


def bodies(store: Store, device_id: str = "") -> list[bytes]:
    return [one.body for one in store.messages.page(device_id, after=0).messages]


def test_only_the_newest_messages_are_kept(store: Store) -> None:
    for start in range(0, messages.KEPT + 5, 5):
        hear(store, "thing", *(str(start + number).encode() for number in range(5)))
    kept = bodies(store)
    assert len(kept) == messages.KEPT
    assert kept[0] == b"5"


def test_large_messages_are_bounded_by_their_bytes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "KEPT_BYTES", 1000)
    for number in range(30):
        hear(store, "thing", bytes([number]) * 98)  # and "{}" for its properties
    assert [body[0] for body in bodies(store)] == list(range(20, 30))
    hear(store, "thing", b"x" * 898)
    assert [body[0] for body in bodies(store)] == [29, ord("x")]
    store.messages.clear()
    for number in range(12):
        hear(store, "thing", bytes([number]) * 98)
    assert [body[0] for body in bodies(store)] == list(range(2, 12))
    # A lab that kept more, before there was this bound, gives way at its start.
    monkeypatch.setattr(messages, "KEPT_BYTES", 300)
    messages.Messages(store._database)
    assert [body[0] for body in bodies(store)] == [9, 10, 11]


@pytest.mark.parametrize("undone", ["added", "cleared"])
def test_what_was_undone_counts_for_nothing(store: Store, monkeypatch: pytest.MonkeyPatch, undone: str) -> None:
    monkeypatch.setattr(messages, "KEPT", 4)
    hear(store, "thing", b"1", b"2", b"3", b"4")
    with contextlib.suppress(ZeroDivisionError), store.transaction():
        hear(store, "thing", b"lost", b"lost", b"lost") if undone == "added" else store.messages.clear()
        raise ZeroDivisionError
    assert store.messages.newest("thing").before == 3
    hear(store, "thing", b"5")
    assert bodies(store) == [b"2", b"3", b"4", b"5"]
    assert store.messages.newest("thing").before == store.messages.newest("").before == 4


def test_what_was_cleared_came_before(store: Store) -> None:
    hear(store, "thing", b"1", b"2")
    hear(store, "other", b"3")
    store.messages.clear()
    hear(store, "thing", b"4")
    assert [store.messages.newest(device).before for device in ("thing", "other", "")] == [2, 1, 3]


def test_an_answer_has_so_many_bytes_and_one_message_at_least(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "LARGEST_ANSWER", 250)
    hear(store, "thing", *[b"x" * 98] * 3, b"y" * 900, b"z")
    hear(store, "other", b"o")
    last, told = 0, list[tuple[int, int, bool]]()
    while True:
        page = store.messages.page("thing", after=last)
        told.append((page.before, len(page.messages), page.more))
        if not page.more:
            break
        last = page.messages[-1].sequence
    assert told == [(0, 2, True), (2, 1, True), (3, 1, True), (4, 1, False)]
    assert [one.body for one in store.messages.newest("thing").messages] == [b"z"]
    assert store.messages.newest("thing").before == 4
    assert store.messages.newest("").before == 5
    assert store.messages.newest("nobody") == messages.Page((), 0, more=False)


@pytest.mark.parametrize(
    ("follows", "seen", "missing"),
    [("", [b"0", b"6", b"7", b"1", b"2"], 9), ("quiet", [b"0", b"1", b"2"], 3)],
    ids=["all devices", "one"],
)
def test_who_fell_behind_is_told_how_many_were_missed(
    store: Store, monkeypatch: pytest.MonkeyPatch, follows: str, seen: list[bytes], missing: int
) -> None:
    def ask(_lab: object, _port: int, device_id: str, after: int, *, newest: bool = False) -> object:
        page = store.messages.newest(device_id) if newest else store.messages.page(device_id, after=after)
        found = [Heard(one.sequence, one.device_id, one.received_at, one.body, {}) for one in page.messages]
        return heard._Page(found, page.before, page.more)

    monkeypatch.setattr(heard, "_ask", ask)
    monkeypatch.setattr(heard, "_LOOK_SECONDS", 0)
    monkeypatch.setattr(messages, "KEPT", 4)
    hear(store, "busy", b"before")
    hear(store, "quiet", b"before")
    told: list[bytes] = []
    missed: list[int] = []
    looks = itertools.count()

    def look() -> None:
        match next(looks):
            case 0:
                hear(store, "quiet", b"0")
            case 1:  # asleep, as it were
                hear(store, "quiet", b"lost", b"lost", b"0")
                hear(store, "busy", *(str(number).encode() for number in range(8)))
                hear(store, "quiet", b"1", b"2")
            case 3:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        heard.follow(LabFolder(Path()), 0, follows, Follower(lambda one: told.append(one.data), missed.append, look))
    assert told == seen
    assert missed == [missing]


def test_what_is_large_or_no_text_is_read_whole(lab: Lab, device_files: tuple[str, tuple[Path, Path]]) -> None:
    device_id, files = device_files
    sent = [bytes([number]) * 200_000 for number in (1, 0x41, 0xFF)] * 3 + [b"\xc3\xa9", b"\xe9", b""]
    with tls(lab, files) as line:
        assert mqtt_connect(lab, line, device_id) == 0
        for number, payload in enumerate(sent):
            line.sendall(publish_packet(f"devices/{device_id}/messages/events/", payload, packet_id=number + 1))
            assert line.recv(4)
    found = lab.running.telemetry(device_id)
    assert [one.data for one in found] == sent
    assert [one.body for one in found[-3:]] == ["é", r"\xe9", ""]
    folder = LabFolder(lab.running.folder)
    path = f"/lab/telemetry?device={device_id}"
    answer = request(folder, lab.running.https_port, secrets_of(folder), "GET", path)
    assert answer["more"]
    assert len(answer["messages"]) == messages.LARGEST_ANSWER // 200_000 - 1  # their properties count, too
