"""The page without a browser: plain requests, and the live data as it comes."""

import contextlib
import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from tests.lab.clients import Lab

PARTS = {"lab", "trust", "sides", "devices", "telemetry", "refusals", "requests"}
SECONDS = 20.0


def ask(
    lab: Lab, path: str, *, method: str = "GET", headers: Mapping[str, str] = {}
) -> tuple[int, http.client.HTTPMessage, str]:
    connection = http.client.HTTPConnection("127.0.0.1", lab.running.page_port, timeout=SECONDS)
    with contextlib.closing(connection):
        connection.request(method, path, headers=dict(headers))
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode()


class Watch:
    """An open stream: the newest of each part, and all the text that came."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response
        self.parts: dict[str, Any] = {}
        self.text = ""
        self.ended = False

    def until(self, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        deadline = time.monotonic() + SECONDS
        while not (self.parts.keys() >= PARTS and condition(self.parts)):
            assert time.monotonic() < deadline, self.parts
            self._read()
        return self.parts

    def until_ended(self) -> None:
        while not self.ended:
            self._read()

    def _read(self) -> None:
        line = self._response.readline().decode()
        assert line, "the stream was cut"
        self.text += line
        if line.startswith("event: "):
            name = line[7:-1]
            self.ended = self.ended or name == "end"
            data = self._response.readline().decode()
            self.text += data
            self.parts[name] = json.loads(data.removeprefix("data: "))


@contextlib.contextmanager
def watch(lab: Lab, device: str = "") -> Iterator[Watch]:
    connection = http.client.HTTPConnection("127.0.0.1", lab.running.page_port, timeout=SECONDS)
    with contextlib.closing(connection):
        connection.request("GET", f"/live?device={quote(device, safe='')}")
        response = connection.getresponse()
        assert response.status == 200
        assert response.headers["content-type"] == "text/event-stream"
        yield Watch(response)


def look(lab: Lab, device: str = "", until: Callable[[dict[str, Any]], object] = lambda _: True) -> dict[str, Any]:
    with watch(lab, device) as stream:
        return stream.until(until)


def raw(lab: Lab, request: str) -> str:
    """The answer's first line."""
    with socket.create_connection(("127.0.0.1", lab.running.page_port), timeout=SECONDS) as plain:
        plain.sendall(request.replace("\n", "\r\n").encode() + b"\r\n\r\n")
        return plain.recv(4096).decode().split("\r\n")[0]
