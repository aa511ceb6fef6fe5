"""How often the hub may be asked: the limits of one unit of F1 or S1, for those who rehearse what happens beyond them.

https://learn.microsoft.com/azure/iot-hub/iot-hub-devguide-quotas-throttling#operation-throttles
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Literal

from thingmint.lab.cloud.wire import registry_error

Operation = Literal["CRUD", "Query"]
A_MINUTE = {"CRUD": 100, "Query": 20}
_SECONDS = 60.0


class Throttle:
    """Counts the operations of the last minute. The service delays some before it refuses; the lab does not."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times: dict[Operation, deque[float]] = {"CRUD": deque(), "Query": deque()}

    def take(self, operation: Operation) -> None:
        """Raises Refusal beyond the limit. What is refused does not count."""
        now, times = self._clock(), self._times[operation]
        while times and times[0] <= now - _SECONDS:
            times.popleft()
        if len(times) >= A_MINUTE[operation]:
            # The service's words, and no Retry-After: https://github.com/Azure-Samples/Iot-Telemetry-Simulator/issues/39
            raise registry_error(
                "ThrottlingBacklogTimeout",
                f"The request has been throttled. Wait 10 seconds and try again. Operation type: {operation}",
                reason=f"more than {A_MINUTE[operation]} operations of the kind {operation} in a minute",
            )
        times.append(now)
