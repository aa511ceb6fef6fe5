"""What an SDK's exception tells: the service's answer, or what broke on the way to it. Reads; judges nothing.

The SDKs stand on two HTTP stacks (azure-core, msrest), which wrap requests, which wraps urllib3, which wraps ssl and
sockets, each with exceptions of its own. Classes are recognised by name along their bases, so that nothing has to be
imported to look at an error (msrest is not even installed everywhere).
"""

import contextlib
import datetime as dt
import email.utils
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from thingmint.target import Target

_MESSAGE_LIMIT = 1500  # characters: an HTML error page of a proxy helps nobody beyond its first lines


@dataclass(frozen=True)
class Answer:
    """An HTTP answer. `code` and `message` are the service's own; `retry_after` is in seconds."""

    status: int
    code: str
    message: str
    tracking: str
    url: str
    retry_after: float | None
    date: dt.datetime | None


@dataclass(frozen=True)
class Fault:
    """No usable answer: what broke, and the library's words for it."""

    kind: Literal["dropped", "tls", "proxy", "name", "connect-timeout", "timeout", "unreachable", "garbled"]
    words: str


def answer_of(error: BaseException) -> Answer | None:
    """The HTTP answer that an azure-core or msrest exception carries, if any."""
    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if response is None or not isinstance(status, int):
        return None
    headers: Mapping[str, str] = getattr(response, "headers", None) or {}
    code, message, tracking = _read_body(_text(response), headers)
    url = getattr(getattr(response, "request", None), "url", None) or getattr(response, "url", None) or ""
    return Answer(status, code, message, tracking, str(url), _retry_after(headers), http_date(headers.get("Date")))


def fault_of(error: BaseException) -> Fault | None:
    """What broke between this machine and the service, or None if this is no such error."""
    chain = list(causes(error))
    for kind, names in _FAULTS:
        for link in chain:
            if names & class_names(link):
                return Fault(kind, _words(chain, kind))
    return None


_FAULTS: tuple[tuple[Any, frozenset[str]], ...] = (
    # The order decides: each wrapper's name says less than the cause it wraps.
    ("dropped", frozenset({"SSLEOFError", "SSLZeroReturnError"})),  # these are SSLErrors too
    ("proxy", frozenset({"ProxyError"})),
    ("tls", frozenset({"SSLError", "CertificateError"})),
    ("name", frozenset({"gaierror", "NameResolutionError"})),
    ("unreachable", frozenset({"ConnectionRefusedError", "NewConnectionError"})),  # a ConnectTimeoutError in urllib3
    ("connect-timeout", frozenset({"ConnectTimeout", "ConnectTimeoutError", "ServiceRequestTimeoutError"})),
    ("timeout", frozenset({"TimeoutError", "ReadTimeout", "ServiceResponseTimeoutError"})),
    (
        "dropped",
        frozenset(
            {
                "RemoteDisconnected",
                "ConnectionResetError",
                "ConnectionAbortedError",
                "BrokenPipeError",
                "IncompleteRead",
                "IncompleteReadError",
                "ProtocolError",
                "ChunkedEncodingError",
            }
        ),
    ),
    ("garbled", frozenset({"DecodeError", "DeserializationError", "JSONDecodeError"})),
    ("unreachable", frozenset({"ServiceRequestError", "ConnectionError"})),
    ("dropped", frozenset({"ServiceResponseError"})),
)


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error and everything it wraps. Not `__context__`: that may be an older, unrelated error."""
    waiting: list[BaseException] = [error]
    seen: set[int] = set()
    while waiting:
        link = waiting.pop(0)
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        inner = (link.__cause__, getattr(link, "inner_exception", None), getattr(link, "reason", None), *link.args)
        waiting += [thing for thing in inner if isinstance(thing, BaseException)]


def class_names(error: BaseException) -> frozenset[str]:
    return frozenset(base.__name__ for base in type(error).__mro__)


def http_date(text: str | None) -> dt.datetime | None:
    """A Date header (RFC 9110, 5.6.7) as UTC, or None."""
    if text:
        with contextlib.suppress(ValueError, TypeError):
            return email.utils.parsedate_to_datetime(text).astimezone(dt.UTC)
    return None


def scrub(text: str, target: Target | None) -> str:
    """Text of foreign origin without what must not be shown: tokens, signatures, keys, this target's own secrets."""
    known = [] if target is None else [target.connection_string, target.login.secret if target.login else None]
    for secret in known:
        if secret:
            text = text.replace(secret, "***")
    for pattern in _SECRETS:
        text = pattern.sub(lambda found: f"{found[1]}***", text)
    return text


_SECRETS = (
    re.compile(r"(SharedAccessSignature\s+)[^\s'\"]+"),
    re.compile(r"(SharedAccessKey=)[^;\s'\"]+"),
    re.compile(r"(\bsig=)[^&\s'\"]+"),
    re.compile(r"(Bearer\s+)[A-Za-z0-9._~+/=-]{16,}", re.IGNORECASE),
    re.compile(r"()\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?"),
    re.compile(r"(client_secret=)[^&\s'\"]+"),
)


def _words(chain: list[BaseException], kind: str) -> str:
    """The innermost error says most: `certificate has expired` rather than `Max retries exceeded with url: …`."""
    for link in reversed(chain):
        verify_message = getattr(link, "verify_message", None)
        if kind == "tls" and verify_message:
            return str(verify_message)
    for link in reversed(chain):
        if str(link) and (kind != "tls" or "SSLError" in class_names(link)):
            return str(link)
    return type(chain[0]).__name__


def _text(response: Any) -> str:
    # azure-core has a method, requests a property; both raise if the body was cut off.
    with contextlib.suppress(Exception):
        text = response.text
        return str(text() if callable(text) else text)
    return ""


def _read_body(text: str, headers: Mapping[str, str]) -> tuple[str, str, str]:
    """(code, message, tracking) from any of the four bodies that the services answer with."""
    code = headers.get("iothub-errorcode") or ""
    try:
        body: Any = json.loads(text)
    except ValueError:
        return code, " ".join(re.sub(r"<[^>]*>", " ", text).split())[:_MESSAGE_LIMIT], ""
    if not isinstance(body, dict):
        return code, text[:_MESSAGE_LIMIT], ""
    if isinstance(body.get("error"), dict):  # Azure Resource Manager
        body = body["error"]
    if "error_description" in body:  # OAuth 2.0
        return str(body.get("error") or code), str(body["error_description"])[:_MESSAGE_LIMIT], ""
    message = str(body.get("Message") or body.get("message") or "")
    named = re.match(r"ErrorCode:(\w+);?\s*(.*)", message, re.DOTALL)
    if named:  # the device registry
        code, message = named[1], named[2]
    else:
        code = str(body.get("code") or body.get("Code") or body.get("errorCode") or code)
    return code, message[:_MESSAGE_LIMIT], str(body.get("ExceptionMessage") or "")[:_MESSAGE_LIMIT]


def _retry_after(headers: Mapping[str, str]) -> float | None:
    for name, unit in (("retry-after-ms", 0.001), ("x-ms-retry-after-ms", 0.001), ("Retry-After", 1.0)):
        text = headers.get(name)
        if not text:
            continue
        with contextlib.suppress(ValueError):
            return max(0.0, float(text) * unit)
        moment = http_date(text)
        if moment:
            return max(0.0, (moment - dt.datetime.now(dt.UTC)).total_seconds())
    return None
