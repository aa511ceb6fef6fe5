"""The way in for TLS connections: bounded in number, and a handshake that fails has its reason in the log."""

import asyncio
import datetime as dt
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
import socks

from tests.lab.clients import Lab, wait_until
from thingmint.lab.cloud import server
from thingmint.lab.cloud import tls as lab_tls
from thingmint.lab.cloud.door import Door
from thingmint.lab.cloud.hub import Hub
from thingmint.lab.state import LabFolder, LabRecord, Role
from thingmint.session import Session

Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Notes:
    """The part of a Hub that a door uses."""

    lines: list[str] = field(default_factory=list)

    @property
    def journal(self) -> "Notes":
        return self

    def write(self, text: str) -> None:
        self.lines.append(text)

    def refused(self, who: str, why: str, *, door: str) -> None:
        self.lines.append(f"{door}: refused {who}: {why}")

    def touch(self) -> None:
        pass


@asynccontextmanager
async def opened(door: Door) -> AsyncIterator[Callable[[], Awaitable[Client]]]:
    """What opens a connection to it."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    serving = asyncio.create_task(door.serve(listener))
    clients: list[Client] = []

    async def client() -> Client:
        clients.append(await asyncio.open_connection(*listener.getsockname()[:2]))
        return clients[-1]

    yield client
    serving.cancel()
    await door.close()
    listener.close()
    for _, writer in clients:
        writer.close()


async def is_open(client: Client) -> bool:
    try:
        return await asyncio.wait_for(client[0].read(), 0.1) != b""
    except TimeoutError:
        return True


def test_connections_are_bounded_and_a_failure_ends_none_but_its_own() -> None:
    notes, leave = Notes(), asyncio.Event()

    async def serve_one(accepted: socket.socket) -> None:
        with accepted:
            door.keep()
            if await asyncio.get_running_loop().sock_recv(accepted, 10) == b"fail":
                raise ValueError("a bug")
            await leave.wait()

    door = Door(cast("Hub", notes), "door", serve_one, held=lambda: 1, most=3)

    async def run() -> None:
        async with opened(door) as client:
            first, _, too_many = [await client() for _ in range(3)]
            assert await too_many[0].read() == b""
            first[1].write(b"fail")
            assert await first[0].read() == b""
            await asyncio.sleep(0)
            late = await client()  # the place is free again
            late[1].write(b"hello")
            assert await is_open(late)

    asyncio.run(run())
    assert notes.lines == [
        "door: refused a connection: 3 are open already",
        "door: failed on a connection: ValueError: a bug",
    ]


def test_those_without_a_claim_give_way_the_oldest_first() -> None:
    notes = Notes()

    async def serve_one(accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with accepted:
            while await loop.sock_recv(accepted, 10):
                door.keep()
                await loop.sock_sendall(accepted, b"kept")

    door = Door(cast("Hub", notes), "door", serve_one, most=3)

    async def run() -> None:
        async with opened(door) as client:
            kept, oldest, older = [await client() for _ in range(3)]
            kept[1].write(b"hello")
            assert await kept[0].readexactly(4) == b"kept"
            newer = await client()
            assert [await is_open(one) for one in (kept, oldest, older, newer)] == [True, False, True, True]
            for one in (older, newer):
                one[1].write(b"hello")
                assert await one[0].readexactly(4) == b"kept"
            assert not await is_open(await client())

    asyncio.run(run())
    assert notes.lines == [
        "door: refused a connection: it had no claim to its place yet, and gave way to a newer one",
        "door: refused a connection: 3 are open already",
    ]


def test_a_handshake_that_fails_is_told(lab: Lab) -> None:
    heard = lab.mark()
    place = ("127.0.0.1", lab.running.https_port)
    with socket.create_connection(place, timeout=5) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        plain.recv(100)
    wait_until(lambda: "https: refused a client: TLS failed: http request" in heard())
    with socket.create_connection(place, timeout=5) as plain, pytest.raises(ssl.SSLError):
        ssl.create_default_context().wrap_socket(plain, server_hostname="localhost")
    wait_until(lambda: "https: refused a client: it broke off: " in heard())


def served(record: LabRecord, host: str) -> bytes:
    """The certificate that a name's port 443 shows."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    proxy = {"proxy_type": socks.HTTP, "proxy_addr": "127.0.0.1", "proxy_port": record.proxy_port}
    with (
        socks.create_connection((host, 443), 5, **proxy) as plain,
        context.wrap_socket(plain, server_hostname=host) as secured,
    ):
        return secured.getpeercert(binary_form=True) or b""


def test_a_renewed_certificate_is_served_at_both_doors(
    tmp_path: Path, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab_tls, "LIFETIME", lab_tls.RENEW_BEFORE + dt.timedelta(hours=1, seconds=2))
    folder = LabFolder(tmp_path / "lab")
    folder.make(session.shell)
    role = Role("acc5", "tenant", "rg", "hub", "provs", idle_seconds=2.0)
    hosts = (role.hub_host, "management.azure.com")
    seen: list[list[bytes]] = []

    def watch(record: LabRecord) -> None:
        seen.append([served(record, host) for host in hosts])
        wait_until(lambda: "renewed the server certificate" in folder.log.read_text(), seconds=30)
        seen.append([served(record, host) for host in hosts])

    watching: list[threading.Thread] = []

    def ready(record: LabRecord) -> None:
        watching.append(threading.Thread(target=watch, args=(record,)))
        watching[0].start()

    server.run(folder, role, ready=ready)
    watching[0].join()
    before, after = seen
    assert all(before)
    assert all(after)
    assert not set(before) & set(after)
