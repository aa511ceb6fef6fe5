"""The device's own side: connect with its certificate and send telemetry. The only importer of azure.iot.device."""

import contextlib
import datetime as dt
import gc
import logging
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

from thingmint.errors import HubError, InputError, ThingmintError
from thingmint.target import Target

_PORT, _WEBSOCKETS_PORT = 8883, 443
_SHUTDOWN_SECONDS = 10.0


def send_telemetry(
    target: Target,
    device_id: str,
    *,
    certificate_chain: Path,
    key: Path,
    body: str,
    timeout: float = 60,
    websockets: bool = False,
    connected: Callable[[], None] = lambda: None,
) -> None:
    """Connect as `device_id` over MQTT 3.1.1 and TLS 1.2, send `body` (JSON text) once, and disconnect.

    With `websockets` through port 443, which networks that block 8883 leave open.

    Returns when the hub has acknowledged the message (QoS 1). `timeout` is in seconds, for all of it. `connected` is
    called in between, from another thread, once the hub has let the device in. Raises
    InputError if certificate or key cannot be used, HubError if the hub refuses or cannot be reached
    (azure-iot-device 2.14, service api-version 2019-10-01).
    """
    # Their warnings are raised by us; without a handler, Python would print them to stderr.
    for name in ("azure.iot.device", "paho"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
    _check_files(certificate_chain, key)
    with _without_the_sdks_warnings():
        error = _attempt(
            target,
            device_id,
            certificate_chain,
            key,
            body=body,
            timeout=timeout,
            websockets=websockets,
            connected=connected,
        )
        refusal = _explain(error, target, device_id, certificate_chain, websockets) if error is not None else None
        del error  # it holds the SDK's frames, and those the sockets that a failed handshake leaves open
        if refusal is not None:
            gc.collect()
            raise refusal


def _attempt(
    target: Target,
    device_id: str,
    certificate_chain: Path,
    key: Path,
    *,
    body: str,
    timeout: float,
    websockets: bool,
    connected: Callable[[], None],
) -> Exception | None:
    """Everything that touches the SDK. Returns what went wrong, since raising it would keep its frames alive."""
    try:
        client = _open_client(
            target, device_id, certificate_chain=certificate_chain, key=key, timeout=timeout, websockets=websockets
        )
    except Exception as error:  # noqa: BLE001 - the SDK wraps anything at all
        return error
    # The SDK's calls take no time-out. They run beside us; shutting the client down cancels what still waits.
    attempt = _Attempt(client, body, connected)
    attempt.start()
    attempt.join(timeout)
    late = attempt.is_alive()
    _shut_down(client)
    attempt.join(_SHUTDOWN_SECONDS if late else None)
    return TimeoutError(f"no answer within {timeout:g} s") if late else attempt.error


class _Attempt(threading.Thread):
    """Connect, send, and keep the exception for the caller: an uncaught one would be printed."""

    def __init__(self, client: Any, body: str, connected: Callable[[], None]) -> None:
        super().__init__(name="thingmint-device", daemon=True)
        self._client = client
        self._body = body
        self._connected = connected
        self.error: Exception | None = None

    def run(self) -> None:
        from azure.iot import device as sdk

        try:
            message = cast("Any", sdk).Message(self._body, content_encoding="utf-8", content_type="application/json")
            self._client.connect()
            self._connected()
            self._client.send_message(message)
        except Exception as error:  # noqa: BLE001 - handed over, not swallowed
            self.error = error


def _check_files(certificate_chain: Path, key: Path) -> None:
    """The SDK reports these as `Unexpected failure`, so try them first. Raises InputError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        # A passphrase would be asked for on the terminal; an encrypted key fails here instead.
        context.load_cert_chain(certificate_chain, key, password="")
    except ssl.SSLError as error:
        mismatch = error.reason == "KEY_VALUES_MISMATCH"
        why = "does not belong to the key" if mismatch else "or the key cannot be read as PEM"
        raise InputError(
            f"the certificate in {certificate_chain} {why} {'in ' if mismatch else ''}{key}.",
            things_to_try=["bring back the key that the certificate was issued for"],
        ) from None
    except OSError as error:
        raise InputError(
            f"{certificate_chain} or {key} cannot be read: {error.strerror}.",
            things_to_try=["make the device's key and certificate: invoke device --imei ID"],
        ) from None


def _open_client(
    target: Target, device_id: str, *, certificate_chain: Path, key: Path, timeout: float, websockets: bool
) -> Any:
    from azure.iot import device

    sdk: Any = device  # its types are half there

    options: dict[str, Any] = {
        "connection_retry": False,
        "websockets": websockets,
        # paho gives a TLS handshake this long; the default of 60 s would outlast a shorter time-out.
        "keep_alive": max(1, min(60, int(timeout))),
    }
    if target.ca_file is not None:
        options["server_verification_cert"] = target.ca_file.read_text(encoding="ascii")
    if target.mqtt_proxy is not None:
        options["proxy_options"] = sdk.ProxyOptions("HTTP", *target.mqtt_proxy)
    return sdk.IoTHubDeviceClient.create_from_x509_certificate(
        sdk.X509(cert_file=str(certificate_chain), key_file=str(key)), target.hub_host, device_id, **options
    )


@contextlib.contextmanager
def _without_the_sdks_warnings() -> Iterator[None]:
    """It names TLS 1.2 in a way that Python deprecates, and paho forgets the socket of a failed handshake."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", ResourceWarning)
        yield


def _shut_down(client: Any) -> None:
    """Whatever state it is in: its threads would keep the process alive. Bounded, since they may be stuck."""

    def end() -> None:
        with contextlib.suppress(Exception):
            client.shutdown()

    ending = threading.Thread(target=end, name="thingmint-device-shutdown", daemon=True)
    ending.start()
    ending.join(_SHUTDOWN_SECONDS)


def _explain(
    error: Exception, target: Target, device_id: str, certificate_chain: Path, websockets: bool
) -> ThingmintError:
    """The SDK's exception as one HubError; what it wraps says more than its class."""
    chain = list(_causes(error))
    names = {base.__name__ for link in chain for base in type(link).__mro__}
    words = next((str(link) for link in reversed(chain) if str(link)), type(error).__name__)
    host = target.hub_host
    lab = ["lab/lab.log says why the lab refused it"] if target.local else []
    port = _WEBSOCKETS_PORT if websockets else _PORT
    blocked = [f"is port {port} ({'MQTT over websockets' if websockets else 'MQTT'}) open in the firewall?"]
    if not websockets:
        blocked.append(f"where a network blocks {_PORT}: invoke connect --websockets --imei {device_id}")
    doing = f"connecting {device_id} to {host} failed"
    reason = next((str(link.reason) for link in reversed(chain) if isinstance(link, ssl.SSLError)), "")
    if "SSLCertVerificationError" in names:
        return HubError(
            f"{doing}: the server's certificate is not trusted, so nothing was sent.",
            detail=words,
            things_to_try=(
                ["the lab's own CA may have changed: invoke lab-down lab-up"]
                if target.local
                else ["a company proxy may open TLS: MQTT needs a way around it", "check this machine's clock"]
            ),
        )
    if "ALERT" in reason or names & {"SSLError", "ConnectionResetError", "BrokenPipeError"}:
        expired = _expired(certificate_chain)
        return HubError(
            f"{doing}: the hub refused the device's certificate"
            + (f": {expired} has expired." if expired else " in the TLS handshake."),
            detail=words,
            things_to_try=[
                *([f"renew it: invoke device --imei {device_id} --renew"] if expired else []),
                "the CA must be uploaded and verified: invoke cas, then invoke verify",
                "certificate and chain must be of that CA, and not expired: invoke show --imei ID",
                *lab,
            ],
        )
    if "CredentialError" in names:
        return HubError(
            f"{doing}: the certificate is trusted, but this device is not let in.",
            detail=words,
            things_to_try=[
                f"the hub must have an identity {device_id!r}, enabled, authenticated by x509_ca: invoke devices",
                f"the certificate's CN must be exactly {device_id!r}: invoke show --imei {device_id}",
                *lab,
            ],
            status=401,
        )
    if names & {"ProxyError", "ProtocolProxyError"}:
        return HubError(
            f"{doing}: the proxy for MQTT does not answer, or refuses.",
            detail=words,
            things_to_try=["is the lab running? invoke lab-up"] if target.local else ["check the proxy's settings"],
        )
    if names & {"TimeoutError", "OperationTimeout", "OperationCancelled"}:
        return HubError(
            f"{doing}: no answer in time; the message may have arrived.",
            detail=words,
            things_to_try=[
                *blocked,
                f"does it answer? openssl s_client -connect {host}:{port}",
                "run the same command again",
                *lab,
            ],
        )
    if "gaierror" in names:
        things = ["check azure.hub: invoke config", "check the network: DNS, VPN"]
        return HubError(f"{doing}: the name cannot be resolved.", detail=words, things_to_try=things)
    if names & {"ConnectionDroppedError", "NoConnectionError"}:
        return HubError(
            f"{doing}: the connection broke; the message may have arrived.",
            detail=words,
            things_to_try=["another client with the same id makes the hub drop the first", "run it again", *lab],
        )
    if names & {"ConnectionFailedError", "OSError"}:
        things = [*blocked, *(["start the lab: invoke lab-up"] if lab else [])]
        return HubError(f"{doing}: it cannot be reached.", detail=words, things_to_try=things)
    return HubError(f"{doing}.", detail=words, things_to_try=lab)


def _expired(certificate_chain: Path) -> str:
    """The first expired certificate of the file, by this machine's clock. Many servers hang up without a reason."""
    from cryptography.x509 import load_pem_x509_certificates

    for certificate in load_pem_x509_certificates(certificate_chain.read_bytes()):
        if certificate.not_valid_after_utc < dt.datetime.now(dt.UTC):
            return f"{certificate.subject.rfc4514_string()} ({certificate.not_valid_after_utc:%Y-%m-%d})"
    return ""


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        # PySocks keeps what it wraps in an attribute.
        error = error.__cause__ or getattr(error, "socket_err", None)
