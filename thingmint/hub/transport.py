"""How requests travel: bounded time-outs, whom to trust, never through a proxy to loopback; patience when throttled."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from thingmint.errors import HubError, PassingError
from thingmint.hub.refusals import ThrottledError, refusals
from thingmint.hub.services import Service
from thingmint.target import Target

if TYPE_CHECKING:
    from azure.core.pipeline.transport import RequestsTransport

CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0
PATIENCE_SECONDS = 60.0
"""How long a call waits in all when the service throttles it; a longer Retry-After is reported at once."""
WATCHED_PATIENCE_SECONDS = 900.0
"""The same for a call whose waits are told to the user."""
UNNAMED_WAIT_SECONDS = 10.0
"""The hub's registry sends 429 without Retry-After; its message says "Wait 10 seconds and try again"."""
_PASSING_PAUSES = (0.1, 0.4, 1.5)
_ANEW_SECONDS = 0.2

_T = TypeVar("_T")


def verify(target: Target) -> str | bool:
    """The only trusted root, or True: the public roots, or what REQUESTS_CA_BUNDLE names."""
    return str(target.ca_file) if target.ca_file is not None else True


def client_options(target: Target) -> dict[str, Any]:
    """Keyword arguments for every azure-core client and azure-identity credential.

    The SDKs' own retries are off: they try untrusted certificates for seconds and repeat what may have been carried
    out. `patiently` does so, and those who call it know how something shows that was carried out twice.
    """
    return {"transport": open_transport(target), "retry_total": 0}


def open_transport(target: Target) -> "RequestsTransport":
    from azure.core.pipeline.transport import RequestsTransport

    return RequestsTransport(
        connection_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        connection_verify=verify(target),
        # With HTTPS_PROXY set, requests does not bypass localhost by itself.
        use_env_settings=not target.local,
    )


def patiently(
    target: Target,
    doing: str,
    step: Callable[[], _T],
    *,
    service: Service,
    on_wait: Callable[[float], None] | None = None,
) -> _T:
    """Run `step` under `refusals`; where the service names a time to wait (Retry-After), wait and repeat.

    So it does, a few times, where service or network had a passing fault. A step of which only the answer was lost is
    carried out twice then: what is created is refused with 409 or 412, what is changed by its etag with 412, what is
    deleted with 404, and the caller has to see whether it was its own doing.
    Raises HubError as `refusals` does, once the waits would exceed PATIENCE_SECONDS. With `on_wait`, which is told
    the seconds before each wait, it is WATCHED_PATIENCE_SECONDS, and a 429 that names no time is waited out too.
    """
    patience = PATIENCE_SECONDS if on_wait is None else WATCHED_PATIENCE_SECONDS
    waited = 0.0
    pauses = iter(_PASSING_PAUSES)
    while True:
        try:
            with refusals(target, doing, service=service):
                return step()
        except PassingError:
            pause = next(pauses, None)
            if pause is None:
                raise
            time.sleep(pause)
        except ThrottledError as busy:
            wanted = busy.retry_after
            if wanted is None and on_wait is not None:
                wanted = UNNAMED_WAIT_SECONDS
            if wanted is None or waited + wanted > patience:
                raise
            # A floor, so that `Retry-After: 0` cannot spin.
            pause = max(wanted, 0.1)
            waited += pause
            if on_wait is not None:
                on_wait(pause)
            time.sleep(pause)


def anew(turn: Callable[[], _T], *, turns: int = 5) -> _T:
    """`turn` reads what is there and changes it; again where that was refused because it is not what was read (409, 412).

    Somebody changed it in between; or the answer to our own change was lost; or what was created does not show yet.
    """
    for left in reversed(range(turns)):
        try:
            return turn()
        except HubError as refusal:
            if refusal.status not in {409, 412} or not left:
                raise
            time.sleep(_ANEW_SECONDS)
    raise AssertionError("no turn was left")


def seen(read: Callable[[], _T | None], *, looks: int = 5) -> _T | None:
    """What `read` finds that is known to be there: the services may not show it for a moment after it was created."""
    for left in reversed(range(looks)):
        found = read()
        if found is not None or not left:
            return found
        time.sleep(_ANEW_SECONDS)
    return None
