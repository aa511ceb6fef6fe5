"""The bytes: their pace, a modem that reads slowly, not at all, or is gone; lines that are no ports of this machine."""

import contextlib
import select
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import serial
import serial.rfc2217

from tests.modem.host import Host, Nrf, certificate
from thingmint.errors import ModemError
from thingmint.modem import commands, credentials, link, refusals
from thingmint.modem.at import Modem, open_modem

BITS_A_SECOND = 115200


def test_nothing_outruns_the_line_and_5_kb_take_hardly_longer_than_it_needs(host: Host, nrf: Nrf) -> None:
    content = credentials.require_loadable(certificate(1650), "it")
    began = time.monotonic()
    with open_modem(host.port) as modem:
        commands.identify(modem)
        with commands.offline(modem):
            for kind in (0, 1, 2):
                credentials.store(modem, 10, kind, content)
    took = time.monotonic() - began
    needed = host.count * 10 / BITS_A_SECOND
    assert host.count > 5000
    assert took > 0.98 * (host.count - 512) * 10 / BITS_A_SECOND
    assert took < 1.15 * needed + 2  # measured 1.05; the machine may be busy


def test_no_more_than_a_chunk_is_ahead_of_the_line(modem: Modem, host: Host, nrf: Nrf) -> None:
    """What a USB bridge has to keep: its ring takes 2048 bytes, and drops the rest without a word."""
    nrf.cfun = 4
    arrivals: list[tuple[float, int]] = []
    host.drops = lambda count: bool(arrivals.append((time.monotonic(), count)))  # type: ignore[func-returns-value]
    credentials.store(modem, 10, 0, credentials.require_loadable(certificate(4000), "it"))
    start, first = arrivals[0]
    ahead = max(count - first - (when - start) * BITS_A_SECOND / 10 for when, count in arrivals)
    assert ahead <= 2 * 512


def test_a_modem_that_echoes_all_it_gets_is_read_while_it_is_written_to(modem: Modem, host: Host, nrf: Nrf) -> None:
    nrf.cfun, host.echo = 4, b"\r"
    content = credentials.require_loadable(certificate(4000), "it")
    credentials.store(modem, 10, 0, content)
    assert nrf.stored[10, 0] == content


def test_a_line_without_an_end_is_looked_through_once_and_can_be_taken(host: Host) -> None:
    long = b"x" * 200_000
    opened = link.Link(host.port)
    try:
        threading.Thread(target=host.say, args=(long,), daemon=True).start()
        taken, began = b"", time.monotonic()
        while len(taken) < len(long):
            assert opened.line(0.1) is None
            assert time.monotonic() - began < 30  # quadratic, it would take minutes
            taken += opened.take()
        assert taken == long
        assert opened.take() == b""
    finally:
        opened.close()


def test_a_modem_that_reads_late_gets_every_byte(modem: Modem, host: Host, nrf: Nrf) -> None:
    nrf.cfun = 4
    host.reads.clear()
    threading.Timer(0.5, host.reads.set).start()
    content = credentials.require_loadable(certificate(4000), "it")
    credentials.store(modem, 10, 2, content)
    assert nrf.stored[10, 2] == content


def test_a_modem_that_stops_reading_is_an_error_in_bounded_time(
    modem: Modem, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "_STALLED", 0.3)
    monkeypatch.setattr(link, "BAUD", 10**9)
    host.reads.clear()
    with pytest.raises(ModemError, match=r"stopped reading: for 0.3 s it took nothing, after \d+ of 80000 bytes"):
        modem._talk.link.transmit(bytes(80000))  # the pty itself takes some thousand


@pytest.mark.parametrize("times", [1, 2])
def test_a_vanished_modem_is_named(modem: Modem, host: Host, times: int) -> None:
    host.answer = lambda _: host.hang_up() or b""  # type: ignore[func-returns-value]
    for _ in range(times):
        with pytest.raises(refusals.GoneError, match=f"the modem at {host.port} disappeared"):
            modem.ask("AT+CGMR", seconds=5)


def test_a_modem_that_goes_while_it_is_written_to_is_named(modem: Modem, host: Host) -> None:
    host.drops = lambda count: count > 1500 and (host.hang_up() or False)  # type: ignore[func-returns-value]
    with pytest.raises(refusals.GoneError) as caught:
        modem.ask('AT%CMNG=0,10,2,"' + certificate(4000).decode() + '"')
    assert "BEGIN" not in caught.value.render()


def test_nothing_is_left_open(host: Host) -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    with open_modem(host.port):
        pass
    before = descriptors()
    for _ in range(3):
        with open_modem(host.port):
            pass
    assert descriptors() == before


@contextlib.contextmanager
def station(host: Host, *, telnet: bool) -> Iterator[int]:
    """What a remote machine runs to lend its port: plain bytes, or pyserial's own RFC 2217 server."""
    port = _Lent(host.port, timeout=0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_serve, args=(server, port, telnet), daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(10)
    port.close()


class _Lent(serial.Serial):
    """A pty has no modem lines, which an RFC 2217 server sets and asks for."""

    cts = dsr = ri = cd = False

    def _update_dtr_state(self) -> None:
        return

    _update_rts_state = _update_dtr_state


class _Wire:
    def __init__(self, client: socket.socket) -> None:
        self.write = client.sendall


def _serve(server: socket.socket, port: Any, telnet: bool) -> None:
    client, _ = server.accept()
    wire: Any = _Wire(client)
    manager = serial.rfc2217.PortManager(port, wire) if telnet else None
    with client, contextlib.suppress(OSError):
        while True:
            for ready in select.select([client, port], [], [])[0]:
                data = client.recv(1024) if ready is client else port.read(1024)
                if ready is client and not data:
                    return
                if ready is client:
                    port.write(b"".join(manager.filter(data)) if manager else data)
                else:
                    client.sendall(b"".join(manager.escape(data)) if manager else data)


@pytest.mark.parametrize("scheme", ["socket", "rfc2217"])
def test_a_remote_station_serves_as_a_port_does(host: Host, nrf: Nrf, scheme: str) -> None:
    content = credentials.require_loadable(certificate(4000), "it")
    with station(host, telnet=scheme == "rfc2217") as number, open_modem(f"{scheme}://127.0.0.1:{number}") as modem:
        assert commands.identify(modem).firmware == "mfw_nrf9160_1.3.5"
        with commands.offline(modem):
            credentials.store(modem, 10, 1, content)
    assert nrf.stored[10, 1] == content
    assert nrf.cfun == 1


@pytest.mark.parametrize("scheme", ["socket", "rfc2217"])
def test_a_station_that_hangs_up_is_a_modem_that_disappeared(host: Host, scheme: str) -> None:
    with station(host, telnet=scheme == "rfc2217") as number, open_modem(f"{scheme}://127.0.0.1:{number}") as modem:
        host.answer = lambda _: host.hang_up() or b""  # type: ignore[func-returns-value]
        with pytest.raises(refusals.GoneError):
            modem.ask("AT+CGMR", seconds=5)


def test_a_peer_that_reads_nothing_behind_a_socket(monkeypatch: pytest.MonkeyPatch, impatient: None) -> None:
    monkeypatch.setattr(link, "_STALLED", 0.3)
    monkeypatch.setattr(link, "BAUD", 10**9)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one = link.Link(f"socket://127.0.0.1:{server.getsockname()[1]}")
        client, _ = server.accept()
        with client, contextlib.closing(one), pytest.raises(ModemError, match="stopped reading"):
            one.transmit(bytes(64 << 20))
