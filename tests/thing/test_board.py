"""The line in a time of its own: how fast it is, what its ring loses, when nobody listens."""

from pathlib import Path

import pytest

from thingmint.ids import DeviceId
from thingmint.lab.thing.board import BANNER, RING, Board
from thingmint.lab.thing.faults import parse
from thingmint.lab.thing.sectags import SecTags

BYTE = 10 / 115200
STEP = 0.001


class Bench:
    """A board, and a clock that the test turns."""

    def __init__(self, folder: Path, *faults: str) -> None:
        self.memory = SecTags.open(folder, DeviceId("352656100367872"))
        self.now = 100.0
        self.board = Board(self.memory, parse(faults), now=self.now)
        self.run(0.1)

    def run(self, seconds: float) -> bytes:
        left = b""
        for _ in range(round(seconds / STEP)):
            self.now += STEP
            self.board.arrive(b"", self.now)
            left += self.board.advance(self.now)
        return left

    def say(self, data: bytes, seconds: float = 1.0) -> bytes:
        self.board.arrive(data, self.now)
        return self.run(seconds)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_it_starts_with_its_banner(tmp_path: Path) -> None:
    board = Board(SecTags.open(tmp_path, DeviceId("1")), parse([]), now=0.0)
    assert board.advance(1.0) == "".join(f"{line}\r\n" for line in BANNER).encode()


def test_command_and_answer_take_the_time_of_the_line(bench: Bench) -> None:
    command, answer = b"AT+CGSN\r", b"352656100367872\r\nOK\r\n"
    least = (len(command) + len(answer)) * BYTE
    first = bench.say(command, least - STEP)
    assert answer.startswith(first)
    assert first != answer
    assert first + bench.run(0.01) == answer


def test_while_a_command_runs_nobody_listens(bench: Bench) -> None:
    assert bench.say(b"AT\rAT\r") == b"OK\r\n"
    assert bench.say(b"AT\r", 0.02) + bench.say(b"AT\r") == b"OK\r\nOK\r\n"


def test_a_burst_that_fits_the_ring_is_whole(bench: Bench) -> None:
    content = b"x" * (RING - 20)
    assert bench.say(b'AT%CMNG=0,10,0,"' + content + b'"\r') == b"OK\r\n"
    assert bench.memory.read(10, 0) == content


def test_a_longer_burst_loses_bytes_and_is_answered_by_ok(bench: Bench) -> None:
    content = bytes(b"abcdefghij" * 350)
    assert bench.say(b'AT%CMNG=0,10,0,"' + content + b'"\r') == b"OK\r\n"
    stored = bench.memory.read(10, 0) or b""
    assert len(stored) == RING - len(b'AT%CMNG=0,10,0,""\r')
    assert stored.endswith(content[-40:])


def test_a_client_that_paces_loses_nothing(bench: Bench) -> None:
    content = bytes(b"abcdefghij" * 400)
    whole = b'AT%CMNG=0,10,0,"' + content + b'"\r'
    answer = b"".join(bench.say(whole[at : at + 512], 512 * BYTE) for at in range(0, len(whole), 512))
    assert answer + bench.run(0.1) == b"OK\r\n"
    assert bench.memory.read(10, 0) == content


def test_a_machine_that_looks_late_loses_nothing_of_a_paced_write(bench: Bench) -> None:
    content = b"x" * 4000
    whole = b'AT%CMNG=0,10,0,"' + content + b'"\r'
    bench.now += len(whole) * BYTE  # all of it came meanwhile, at the line's rate
    assert bench.say(whole) == b"OK\r\n"
    assert bench.memory.read(10, 0) == content


def test_another_rate_is_another_time(tmp_path: Path) -> None:
    slow = Bench(tmp_path, "baud=9600")
    slow.run(0.2)
    first = slow.say(b"AT+CGSN\r", 0.025)
    assert b"OK" not in first
    assert first + slow.run(0.01) == b"352656100367872\r\nOK\r\n"


def test_slow_answers_come_late_and_whole(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "slow=2")
    assert bench.say(b"AT\r", 1.9) == b""
    assert bench.run(0.2) == b"OK\r\n"


def test_an_echo_comes_before_the_answer(tmp_path: Path) -> None:
    assert Bench(tmp_path, "echo").say(b"AT\r\n") == b"AT\rOK\r\n"  # what comes while it runs is not heard


def test_noise_fills_every_gap(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "urc", "log")
    lines = bench.say(b"AT+CGSN\r").decode().split("\r\n")
    assert [line for line in lines if line[:1] not in {"+", "["}] == ["352656100367872", "OK", ""]
    assert [line[:1] for line in lines] == ["+", "[", "3", "+", "[", "O", "+", "[", ""]
    assert bench.say(b"AT\r").count(b"OK\r\n") == 1
