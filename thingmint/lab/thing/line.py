"""The TLS line of a device in operation to its hub: how far it checks the server is up to the device's manners."""

import contextlib
import select
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass

from thingmint.lab.thing import packets
from thingmint.lab.thing.manners import Manners
from thingmint.lab.thing.packets import Packet
from thingmint.target import Target

_PORT = 8883
_SECONDS = 5.0  # for TCP, and for the handshake
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, from OpenSSL's x509_vfy.h; the ssl module has no name for it


@dataclass(frozen=True)
class Credentials:
    """What the sec tags hold, as the ssl module takes it: the roots as text, certificate and key in files."""

    roots: tuple[str, ...]
    certificate: str
    key: str


class Line:
    def __init__(self, secured: ssl.SSLSocket) -> None:
        self._socket = secured
        self._buffer = bytearray()
        self.heard = time.monotonic()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self, seconds: float) -> Packet | None:
        """The next packet; None if none came in time. Raises OSError at the line's end."""
        deadline = time.monotonic() + seconds
        while (packet := packets.take(self._buffer)) is None:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            if not self._socket.pending() and not select.select([self._socket], [], [], left)[0]:
                return None
            data = self._socket.recv(65_536)
            if not data:
                raise ConnectionResetError("the hub ended the connection")
            self.heard = time.monotonic()
            self._buffer += data
        return packet


@contextlib.contextmanager
def opened(target: Target, credentials: Credentials, manners: Manners) -> Iterator[Line]:
    """Raises OSError (ssl.SSLError is one) where the line cannot be had, or breaks."""
    with (
        _tunnel(target) as plain,
        _context(credentials, manners).wrap_socket(plain, server_hostname=target.hub_host) as secured,
    ):
        yield Line(secured)


def _tunnel(target: Target) -> socket.socket:
    """TCP to the hub; through the lab's proxy where it is the way to the hub's real name and port."""
    place = target.mqtt_proxy or (target.hub_host, _PORT)
    plain = socket.create_connection(place, timeout=_SECONDS)
    try:
        if target.mqtt_proxy:
            plain.sendall(f"CONNECT {target.hub_host}:{_PORT} HTTP/1.1\r\n\r\n".encode())
            answer = b""
            while not answer.endswith(b"\r\n\r\n"):
                if not (byte := plain.recv(1)):  # one by one: what follows is the handshake's
                    raise ConnectionResetError("the proxy ended the connection")
                answer += byte
            if b" 200 " not in answer:
                raise ConnectionRefusedError("the proxy refused")
    except BaseException:
        plain.close()
        raise
    return plain


def _context(credentials: Credentials, manners: Manners) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2  # as the modem has it
    roots = credentials.roots if manners.roots == "both" else credentials.roots[:1]
    context.load_verify_locations(cadata="".join(roots))
    context.load_cert_chain(credentials.certificate, credentials.key)
    context.check_hostname = manners.checks not in {"nothing", "no-name"}
    if manners.checks == "nothing":
        context.verify_mode = ssl.CERT_NONE
    elif manners.checks == "no-date":
        context.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
    return context
