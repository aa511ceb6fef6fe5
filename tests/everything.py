"""Imports all of the program, and what it imports at use: whoever is forked from here imports nothing more."""

import importlib
import pkgutil

import thingmint

_AT_USE = (
    "_strptime", "azure.identity", "azure.iot.device", "azure.iot.hub", "azure.mgmt.iothub.v2023_06_30",
    "azure.mgmt.iothubprovisioningservices", "azure.mgmt.resource.resources",
    "cryptography.hazmat.backends.openssl.backend", "encodings.idna", "invoke.main", "jinja2", "joserfc.jwe",
    "msal_extensions", "rich.table", "sqlite3", "tests.hasty",
)  # fmt: skip
_PROGRAMS = ("thingmint.keyscan.__main__", "thingmint.lab.__main__", "thingmint.lab.sdk.standin")

for found in pkgutil.walk_packages(thingmint.__path__, "thingmint."):
    if found.name not in _PROGRAMS:
        importlib.import_module(found.name)
for name in _AT_USE:
    importlib.import_module(name)
