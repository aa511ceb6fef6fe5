"""How the sign-in says no."""

import uuid
from typing import Any

from thingmint.lab.cloud.wire import Refusal, now


def refusal(status: int, error: str, code: int, message: str, *, told: str = "") -> Refusal:
    """An error as the sign-in writes it; its texts begin with AADSTS and a number.

    `told` goes to the log instead of a message that repeats what the body said: a secret may stand in the wrong field.
    """
    trace, correlation, moment = uuid.uuid4(), uuid.uuid4(), f"{now():%Y-%m-%d %H:%M:%SZ}"
    body: dict[str, Any] = {
        "error": error,
        "error_description": f"AADSTS{code}: {message} Trace ID: {trace} Correlation ID: {correlation} "
        f"Timestamp: {moment}",
        "error_codes": [code],
        "timestamp": moment,
        "trace_id": str(trace),
        "correlation_id": str(correlation),
    }
    return Refusal(status, body, told or message)
