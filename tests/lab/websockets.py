"""A websocket to the lab by its hub's real name, with a client that also does what an SDK would never do."""

import contextlib
import ssl
from collections.abc import Iterator
from pathlib import Path

import socks
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

from tests.lab.clients import Lab, connect_packet, username

CONNACK, REFUSED, PONG = b"\x20\x02\x00\x00", b"\x20\x02\x00\x05", b"\xd0\x00"
PATH = "/$iothub/websocket"


@contextlib.contextmanager
def by_proxy(lab: Lab, host: str, files: tuple[Path, Path] | None = None) -> Iterator[ssl.SSLSocket]:
    """TLS to a real name's port 443."""
    context = ssl.create_default_context(cafile=str(lab.target.ca_file))
    if files:
        context.load_cert_chain(*files)
    with (
        socks.create_connection(
            (host, 443), 5, proxy_type=socks.HTTP, proxy_addr="127.0.0.1", proxy_port=lab.running.proxy_port
        ) as plain,
        context.wrap_socket(plain, server_hostname=host) as secured,
    ):
        yield secured


@contextlib.contextmanager
def opened(
    lab: Lab,
    files: tuple[Path, Path] | None,
    *,
    path: str = PATH,
    protocol: str = "mqtt",
    host: str = "",
    origin: str | None = None,
    compression: str | None = None,
) -> Iterator[ClientConnection]:
    """A websocket to the hub. TLS is ours, hence ws://; `host` is for a Host header of another name."""
    hub = lab.target.hub_host
    with (
        by_proxy(lab, hub, files) as secured,
        connect(
            f"ws://{host or hub}{path}",
            sock=secured,
            subprotocols=[Subprotocol(protocol)],
            origin=Origin(origin) if origin else None,
            compression=compression,
            open_timeout=5,
            close_timeout=2,
        ) as websocket,
    ):
        yield websocket


def login(lab: Lab, device_id: str, **changes: int) -> bytes:
    return connect_packet(device_id, username(lab, device_id), **changes)


def is_closed(websocket: ClientConnection) -> bool:
    try:
        websocket.recv(timeout=5)
    except ConnectionClosed:
        return True
    return False
