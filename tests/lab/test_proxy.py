"""The proxy: the services' real names lead into the lab, by CONNECT and by SOCKS5, and no other name leads anywhere."""

import socket
import ssl

import pytest
import socks

from tests.lab.clients import Lab, wait_until
from thingmint.target import PROVISIONING_DEVICES

PLACES = (
    ("management.azure.com", 443),
    ("login.microsoftonline.com", 443),
    ("{hub}", 443),
    ("{hub}", 8883),
    (PROVISIONING_DEVICES, 8883),
)


@pytest.mark.parametrize("kind", [socks.HTTP, socks.SOCKS5], ids=["CONNECT", "SOCKS5"])
@pytest.mark.parametrize("place", PLACES, ids=str)
def test_each_service_answers_by_its_real_name(lab: Lab, kind: int, place: tuple[str, int]) -> None:
    host, port = place[0].format(hub=lab.target.hub_host), place[1]
    with socks.socksocket() as way:
        way.set_proxy(kind, "127.0.0.1", lab.running.proxy_port)
        way.settimeout(5)
        way.connect((host, port))
        heard = lab.mark()
        context = ssl.create_default_context(cafile=str(lab.target.ca_file))
        if port == 443:
            context.wrap_socket(way, server_hostname=host).close()  # the certificate is checked for that name
        else:
            with pytest.raises(ssl.SSLError):
                context.wrap_socket(way, server_hostname=host)
            wait_until(lambda: "the device sent no certificate" in heard())


@pytest.mark.parametrize(
    "request_line",
    [
        "CONNECT evil.example:443 HTTP/1.1",
        "CONNECT {hub}:22 HTTP/1.1",
        "CONNECT 127.0.0.1:22 HTTP/1.1",
        "GET https://{hub}/?a=b HTTP/1.1",
        "CONNECT {hub}:443 HTTP/9.9",
        "CONNECT {hub}:443 X",
    ],
)
def test_other_places_are_refused(lab: Lab, request_line: str) -> None:
    heard = lab.mark()
    with socket.create_connection(("127.0.0.1", lab.running.proxy_port), timeout=5) as connection:
        connection.sendall(f"{request_line.format(hub=lab.target.hub_host)}\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 403 ")
    wait_until(lambda: "proxy: refused" in heard())
    assert "a=b" not in heard()


@pytest.mark.parametrize(
    ("request_bytes", "answer"),
    [
        (b"\x05\x01\x00\x05\x01\x00\x03\x0cevil.example\x01\xbb", b"\x05\x00\x05\x02"),
        (b"\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x16", b"\x05\x00\x05\x02"),
        (b"\x05\x01\x00\x05\x02\x00\x03\x0cevil.example\x01\xbb", b"\x05\x00\x05\x07"),
        (b"\x05\x01\x02", b"\x05\xff"),
        (b"\x05\x01\x00\x04\x01\x00\x03\x14management.azure.com\x01\xbb", b"\x05\x00\x05\x01"),
    ],
    ids=["another host", "an address", "BIND", "wants to sign in", "a request of version 4"],
)
def test_socks_is_refused_in_its_own_words(lab: Lab, request_bytes: bytes, answer: bytes) -> None:
    heard = lab.mark()
    with socket.create_connection(("127.0.0.1", lab.running.proxy_port), timeout=5) as connection:
        connection.sendall(request_bytes)
        got = b""
        while data := connection.recv(100):
            got += data
    assert got.startswith(answer)
    wait_until(lambda: "proxy: refused" in heard())
