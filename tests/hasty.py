"""azure-iot-device asks for a registration's outcome two seconds after it began, whatever the service says. Here at once.

For the process that imports this. The wait is the SDK's own; lines of the real `invoke` have it as users do.
"""

from typing import Any

from azure.iot.device.provisioning.pipeline import constant

sdk: Any = constant  # it ships no types
assert sdk.DEFAULT_POLLING_INTERVAL == 2
sdk.DEFAULT_POLLING_INTERVAL = 0.05
