"""The device registry: azure-iot-hub where it runs, the same REST through azure-core elsewhere."""

import importlib.util
from typing import TYPE_CHECKING

from thingmint.hub.credentials import quiet_sdk_loggers
from thingmint.hub.identity import Registry
from thingmint.target import Target

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential


def open_registry(target: Target, credential: "TokenCredential | None") -> Registry:
    """azure-iot-hub where it can be imported (x86_64), the same REST through azure-core elsewhere.

    Where the target carries a connection string, that signs in, and `credential` is not asked. Raises InputError if
    the connection string is unusable, HubError if the sign-in fails.
    """
    quiet_sdk_loggers()
    if importlib.util.find_spec("uamqp") is not None and importlib.util.find_spec("azure.iot.hub") is not None:
        from thingmint.hub.registry_sdk import SdkRegistry

        return SdkRegistry(target, credential)
    from thingmint.hub.registry_rest import RestRegistry

    return RestRegistry(target, credential)
