"""The client's first message is looked at before anything is answered: whom it wants, without a fuss, and without haste."""

import asyncio
import contextlib
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable

import pytest

from tests.lab.clients import Lab, wait_until
from thingmint.lab.cloud.faults import handshakes
from thingmint.lab.cloud.mqtt import trust

HUB = "hub.example"
Act = Callable[[socket.socket], Awaitable[None]]


class Watched(socket.socket):
    looks = 0

    def recv(self, *arguments: int) -> bytes:
        self.looks += 1
        return super().recv(*arguments)


def hello(name: str = HUB) -> bytes:
    outgoing = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


ODD = hello("x" * 5).replace(b"x" * 5, "grün".encode())
"""With a name that is no ASCII."""


@pytest.fixture(params=["asyncio's readers", "none, as on Windows"])
def loop_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param != "asyncio's readers":

        def add_reader(*_: object) -> None:
            raise NotImplementedError

        monkeypatch.setattr(asyncio.SelectorEventLoop, "add_reader", add_reader)


def wanted(act: Act) -> tuple[str, bytes, int]:
    """The name that was found while the client acts, what is there to be read afterwards, and how often was looked."""

    async def both() -> tuple[str, bytes, int]:
        with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
            client.connect(listener.getsockname())
            descriptor, _ = listener._accept()  # type: ignore[attr-defined]
            with Watched(fileno=descriptor) as accepted:
                accepted.setblocking(False)
                client.setblocking(False)
                found = asyncio.create_task(handshakes._wanted(accepted))
                await act(client)
                name, seen = await found, accepted.looks
                with contextlib.suppress(BlockingIOError):
                    return name, accepted.recv(65_536), seen
                return name, b"", seen

    return asyncio.run(both())


def pieces(message: bytes, *cuts: int) -> Act:
    async def send(client: socket.socket) -> None:
        for start, end in zip((0, *cuts), (*cuts, len(message)), strict=True):
            await asyncio.get_running_loop().sock_sendall(client, message[start:end])
            await asyncio.sleep(0.02)

    return send


@pytest.mark.usefixtures("loop_kind")
@pytest.mark.parametrize("cuts", [(), (3,), (5,), (60,), (2, 5, 100)])
def test_a_name_is_read_of_however_many_pieces_and_all_of_it_stays(cuts: tuple[int, ...]) -> None:
    message = hello()
    assert wanted(pieces(message, *cuts))[:2] == (HUB, message)


@pytest.mark.usefixtures("loop_kind")
@pytest.mark.parametrize(
    "message",
    [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x02no", hello("127.0.0.1"), ODD],
    ids=["HTTP", "no hello", "an address", "no ASCII"],
)
def test_who_says_no_name_is_not_waited_for(message: bytes) -> None:
    with trust.odd_names_refused():
        assert wanted(pieces(message))[:2] == ("", message)


def test_a_name_that_is_no_ascii_is_refused_in_one_line(lab: Lab) -> None:
    written = lab.mark()
    with socket.create_connection(("127.0.0.1", lab.running.mqtt_port), timeout=5) as client:
        client.sendall(ODD)
        with contextlib.suppress(OSError):
            client.recv(100)
        wait_until(lambda: " refused " in written())
    (line,) = written().splitlines()
    assert line.endswith("mqtt: refused no readable certificate: it asked for a server name that is no ASCII")


@pytest.mark.skipif(sys.platform == "win32", reason="asyncio's loop there tells of nothing that arrives")
@pytest.mark.parametrize("sent", [b"", b"\x16", hello()[:90]], ids=["nothing", "a byte", "a part"])
def test_who_ends_in_the_middle_is_not_waited_for(sent: bytes) -> None:
    async def part(client: socket.socket) -> None:
        await pieces(sent)(client)
        client.shutdown(socket.SHUT_RDWR)

    name, left, seen = wanted(part)
    assert (name, left) == ("", sent)
    assert seen <= 2


@pytest.mark.skipif(sys.platform == "win32", reason="asyncio's loop there tells of nothing that arrives")
@pytest.mark.parametrize("sent", [b"", b"\x16", hello()[:90]], ids=["nothing", "a byte", "a part"])
def test_who_is_silent_is_not_looked_at(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshakes, "_PATIENCE_SECONDS", 0.2)
    name, _, seen = wanted(pieces(sent))
    assert name == ""
    assert seen <= 1
