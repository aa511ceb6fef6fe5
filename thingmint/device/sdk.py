"""What every client of azure-iot-device 2.14 is handed, and what is to be known when one is used and given up."""

import contextlib
import gc
import logging
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from thingmint.device.explanation import Attempt, explain
from thingmint.errors import InputError
from thingmint.target import Target

_SHUTDOWN_SECONDS = 10.0
_LAST_WORD_SECONDS = 1.0


class LineError(Exception):
    """What the SDK raised in the middle of a conversation: its `args[0]`."""


@dataclass(frozen=True)
class Speaker:
    """A client and how it is used: `speak` has no time-out, `end` closes whatever is open. Both may raise anything.

    `then` follows in the caller's own thread, for as long as it likes. What it raises is the caller's, but for LineError.
    """

    speak: Callable[[], None]
    end: Callable[[], None]
    then: Callable[[], None] = lambda: None


def run(attempt: Attempt, opened: Callable[[], Speaker], *, key: Path, timeout: float) -> None:
    """Open a client and let it speak, for `timeout` seconds at most, and then go on. Raises InputError or the HubError
    that explains."""
    # Their warnings are raised by us; without a handler, Python would print them to stderr.
    for name in ("azure.iot.device", "paho"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
    _check_files(attempt.certificate_chain, key)
    with _without_the_sdks_warnings():
        error = _attempt(opened, timeout)
        refusal = explain(error, attempt) if error is not None else None
        del error  # it holds the SDK's frames, and those the sockets that a failed handshake leaves open
        if refusal is not None:
            gc.collect()
            raise refusal


def options(target: Target, timeout: float, *, websockets: bool) -> dict[str, Any]:
    """Keyword arguments for every client: whom to trust, which way to go, how long a handshake may take."""
    from azure.iot import device

    sdk: Any = device  # its types are half there
    found: dict[str, Any] = {
        "websockets": websockets,
        # paho gives a TLS handshake this long; the default of 60 s would outlast a shorter time-out.
        "keep_alive": max(1, min(60, int(timeout))),
    }
    if target.ca_file is not None:
        found["server_verification_cert"] = target.ca_file.read_text(encoding="ascii")
    if target.mqtt_proxy is not None:
        found["proxy_options"] = sdk.ProxyOptions("HTTP", *target.mqtt_proxy)
    return found


def _attempt(opened: Callable[[], Speaker], timeout: float) -> Exception | None:
    """Everything that touches the SDK. Returns what went wrong, since raising it would keep its frames alive."""
    before = set(threading.enumerate())
    try:
        speaker = opened()
    except Exception as error:  # noqa: BLE001 - the SDK wraps anything at all
        return error
    # The SDK's calls take no time-out. They run beside us; shutting the client down cancels what still waits.
    speaking = _Beside(speaker.speak, "thingmint-device")
    wrong: Exception | None = None
    try:
        speaking.start()
        speaking.join(timeout)
        wrong = TimeoutError(f"no answer within {timeout:g} s") if speaking.is_alive() else speaking.error
        if wrong is None:
            speaker.then()
    except LineError as broken:
        wrong = broken.args[0]
    finally:
        # Whatever state it is in: its threads would keep the process alive. Bounded, since they may be stuck.
        ending = _Beside(speaker.end, "thingmint-device-shutdown")
        ending.start()
        ending.join(_SHUTDOWN_SECONDS)
        # What is not back by now never comes back: nobody cancels a registration that gets no answer.
        speaking.join(_LAST_WORD_SECONDS)
        # Its timers would wait for their time, and then fail aloud for want of threads.
        for left in set(threading.enumerate()) - before:
            if isinstance(left, threading.Timer):
                left.cancel()
    return wrong


def bounded(call: Callable[[], None], seconds: float) -> None:
    """One call of the SDK's, in the middle of a conversation. Raises LineError."""
    calling = _Beside(call, "thingmint-device-call")
    calling.start()
    calling.join(seconds)
    if calling.is_alive():
        raise LineError(TimeoutError(f"no answer within {seconds:g} s"))
    if calling.error is not None:
        raise LineError(calling.error)


class _Beside(threading.Thread):
    """Runs a call and keeps its exception: an uncaught one would be printed."""

    def __init__(self, call: Callable[[], None], name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._call = call
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self._call()
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


@contextlib.contextmanager
def _without_the_sdks_warnings() -> Iterator[None]:
    """It names TLS 1.2 in a way that Python deprecates, and paho forgets the socket of a failed handshake."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", ResourceWarning)
        yield
