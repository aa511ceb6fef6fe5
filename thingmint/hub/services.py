"""Who is asked: how each service is called in what users read, and which role of whose scope it takes."""

import re
from typing import Literal
from urllib.parse import urlsplit

from thingmint.target import Target

Service = Literal["management", "registry", "provisioning"]
"""Who is asked: Azure Resource Manager (CA certificates), the hub's own device registry, or the provisioning service."""

# https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
ROLES: dict[Service, str] = {
    "management": "Contributor",
    "registry": "IoT Hub Data Contributor",
    "provisioning": "Device Provisioning Service Data Contributor",
}


def of_provisioning(url: str) -> bool:
    """Whether a resource's address is a provisioning service's, or of something in it."""
    return "/provisioningservices/" in url.casefold()


def host_of(target: Target | None, service: Service) -> str:
    if target is None:
        return "the sign-in service"
    host = {
        "management": urlsplit(target.arm_url).netloc,
        "registry": target.registry_host,
        "provisioning": target.provisioning_host,
    }[service]
    return host if ":" in host else f"{host}:443"


def called(target: Target | None, service: Service) -> str:
    host = host_of(target, service).removesuffix(":443")
    if target is None:
        return host
    if target.local:
        return f"the lab at {host}"
    if service == "provisioning":
        return f"the provisioning service {host}"
    return f"Azure Resource Manager ({host})" if service == "management" else f"the hub {host}"


def scope_of(target: Target | None, service: Service, url: str) -> str:
    if target is None:
        return "/subscriptions/…"
    whose = f"IotHubs/{target.hub}"
    if service == "provisioning" or of_provisioning(url):
        whose = f"provisioningServices/{target.provisioning_service}"
    return (
        f"/subscriptions/{target.subscription_id}/resourceGroups/{target.resource_group}"
        f"/providers/Microsoft.Devices/{whose}"
    )


def quoted(word: str) -> str:
    # Double quotes: the one kind that sh, PowerShell and cmd all take.
    return f'"{word}"' if re.search(r"[^A-Za-z0-9/._@-]", word) else word
