"""Readers that do not keep up."""

import asyncio
import socket
from pathlib import Path

import pytest

from tests.page.inprocess import hub_in, serving
from thingmint.lab.cloud.records import Message
from thingmint.lab.cloud.wire import now
from thingmint.lab.page import live


def test_a_reader_that_reads_no_more_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(live, "SLOW_SECONDS", 0.5)
    monkeypatch.setattr(live, "_PAUSE_SECONDS", 0.0)

    async def go() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        with hub_in(tmp_path / "lab") as hub:
            port = listener.getsockname()[1]
            async with serving(hub, listener) as web:
                reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
                writer.write(f"GET /live HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n".encode())
                assert b"200" in await reader.readline()
                number = 0
                while hub.feed._watchers or not number:
                    number += 1
                    assert number < 20_000, "nobody cut it off"
                    hub.feed.heard(Message(number, "thing", now(), b"x" * 1000, {}))
                    await asyncio.sleep(0.001)
                # It still reads nothing, and the lab has connection and memory back.
                async with asyncio.timeout(10):
                    while web.server_state.connections:  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
                writer.close()

    asyncio.run(go())
    assert not caplog.records  # which the server would write between the journal's lines
