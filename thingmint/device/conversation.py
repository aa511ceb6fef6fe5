"""Connect to the hub as a device, and stay: telemetry, the twin, methods, messages from the service."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from thingmint.device import sdk
from thingmint.device.explanation import HUB, Attempt
from thingmint.target import Target

_ANSWER_SECONDS = 30.0


@dataclass(frozen=True)
class Desired:
    """Desired properties changed."""

    values: dict[str, Any]


@dataclass(frozen=True)
class Call:
    """A method is called. Who does not answer lets the service wait in vain."""

    method: str
    payload: Any
    answer: Callable[[int, Any], None] = field(repr=False)


@dataclass(frozen=True)
class Said:
    """A message of the service."""

    body: bytes


@dataclass(frozen=True)
class Gone:
    """The connection is lost."""


News = Desired | Call | Said | Gone


class Line:
    """An open conversation. Each method returns once the hub has acknowledged, and raises LineError where it does not."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.news: SimpleQueue[News] = SimpleQueue()

    def send(self, body: str) -> None:
        """An event, JSON text."""
        from azure.iot import device

        made: Any = device  # its types are half there
        message = made.Message(body, content_encoding="utf-8", content_type="application/json")
        sdk.bounded(lambda: self._client.send_message(message), _ANSWER_SECONDS)

    def twin(self) -> dict[str, Any]:
        """With `desired` and `reported`."""
        found: dict[str, Any] = {}
        sdk.bounded(lambda: found.update(self._client.get_twin()), _ANSWER_SECONDS)
        return found

    def report(self, values: dict[str, Any]) -> None:
        sdk.bounded(lambda: self._client.patch_twin_reported_properties(values), _ANSWER_SECONDS)

    def broke(self) -> sdk.LineError:
        from azure.iot.device import exceptions

        return sdk.LineError(exceptions.ConnectionDroppedError("the connection is gone"))

    def listen(self) -> None:
        """From now on there is news. Subscribes: the client has to be connected."""
        client, news = self._client, self.news
        client.on_method_request_received = lambda request: news.put(self._call(request))
        client.on_twin_desired_properties_patch_received = lambda patch: news.put(Desired(dict(patch)))
        client.on_message_received = lambda message: news.put(Said(_bytes(message.data)))
        client.on_connection_state_change = lambda: None if client.connected else news.put(Gone())

    def _call(self, request: Any) -> Call:
        from azure.iot import device

        def answer(status: int, payload: Any) -> None:
            made: Any = device
            response = made.MethodResponse.create_from_method_request(request, status, payload)
            sdk.bounded(lambda: self._client.send_method_response(response), _ANSWER_SECONDS)

        return Call(str(request.name), request.payload, answer)


def converse(
    target: Target,
    device_id: str,
    talk: Callable[[Line], None],
    *,
    certificate_chain: Path,
    key: Path,
    timeout: float = 60,
) -> None:
    """Connect as `device_id` over MQTT 3.1.1 and TLS 1.2, let `talk` go on for as long as it likes, and disconnect.

    `timeout` is in seconds, for the connection to stand. Raises InputError if certificate or key cannot be used,
    HubError if the hub refuses, cannot be reached, or is lost (azure-iot-device 2.14, service api-version 2019-10-01).
    """

    def opened() -> sdk.Speaker:
        from azure.iot import device

        made: Any = device  # its types are half there
        client = made.IoTHubDeviceClient.create_from_x509_certificate(
            made.X509(cert_file=str(certificate_chain), key_file=str(key)),
            target.hub_host,
            device_id,
            connection_retry=False,
            **sdk.options(target, timeout, websockets=False),
        )
        line = Line(client)

        def speak() -> None:
            client.connect()
            line.listen()

        return sdk.Speaker(speak, client.shutdown, lambda: talk(line))

    attempt = Attempt(
        HUB,
        target.hub_host,
        device_id,
        certificate_chain,
        local=target.local,
        websockets=False,
        line=f"invoke connect --imei {device_id}",
    )
    sdk.run(attempt, opened, key=key, timeout=timeout)


def _bytes(data: Any) -> bytes:
    """The SDK hands text on where the sender said so."""
    return data if isinstance(data, bytes) else (data if isinstance(data, str) else json.dumps(data)).encode()
