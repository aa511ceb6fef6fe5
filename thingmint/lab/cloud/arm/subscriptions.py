"""What stands above a resource: tenants, subscriptions, resource groups, and the lists that clients look names up in."""

import re
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from thingmint.lab.cloud.arm import hubs, provisioning
from thingmint.lab.cloud.arm.gate import Do, Names, Operation
from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.signin.tokens import ARM_AUDIENCES
from thingmint.lab.cloud.tls import MANAGEMENT, SIGN_IN
from thingmint.lab.cloud.wire import arm_error

_ONE = "/subscriptions/{subscription}"
_GROUP = _ONE + "/resourceGroups/{group}"
_DEVICES = "/providers/Microsoft.Devices"
# Of the clauses that a $filter may have, those that look a name or a kind up:
# https://learn.microsoft.com/rest/api/resources/resources/list
_CLAUSE = r"\s*(name|resourceType|resourceGroup|location)\s+eq\s+'((?:[^']|'')*)'\s*"
_FILTER = re.compile(rf"{_CLAUSE}(\band\b{_CLAUSE})*", re.IGNORECASE)

Json = dict[str, Any]


def operations(hub: Hub) -> list[Operation]:
    def answer(make: Callable[[], Any]) -> Do:
        async def do(_request: Request, _names: Names) -> Response:
            return JSONResponse(make())

        return do

    def listing(make: Callable[[], list[Json]]) -> Do:
        return answer(lambda: {"value": make()})

    async def filtered(request: Request, names: Names) -> Response:
        wanted = _read_filter(request.query_params.get("$filter", ""))
        listed = ("id", "name", "type", "location", "tags", "sku")
        group = names.get("group")
        if group is not None:
            wanted.append(("resourcegroup", group.casefold()))
        found = [one for one in _resources(hub) if all(_plain(one, name) == text for name, text in wanted)]
        return JSONResponse({"value": [{key: one[key] for key in listed} for one in found]})

    table: list[tuple[str, str, Do]] = [
        ("GET", "/tenants", listing(lambda: [_tenant(hub)])),
        ("GET", "/subscriptions", listing(lambda: [_subscription(hub)])),
        ("GET", _ONE, answer(lambda: _subscription(hub))),
        ("GET", f"{_ONE}/providers", listing(lambda: [_provider(hub)])),
        ("GET", _ONE + _DEVICES, answer(lambda: _provider(hub))),
        ("GET", f"{_ONE}/resources", filtered),
        ("GET", f"{_GROUP}/resources", filtered),
    ]
    return [Operation(method, path, do) for method, path, do in table]


def metadata_route() -> Route:
    """Where a cloud's services are: asked by clients that know Resource Manager's address alone, before any sign-in.

    https://learn.microsoft.com/azure-stack/user/azure-stack-connect-cli: `az cloud register --endpoint-resource-manager`.
    """

    async def endpoints(_request: Request) -> JSONResponse:
        cloud = {
            "name": "AzureCloud",
            "portal": "https://portal.azure.com",
            "resourceManager": f"https://{MANAGEMENT}/",
            "authentication": {
                "loginEndpoint": f"https://{SIGN_IN}/",
                "audiences": [f"{ARM_AUDIENCES[1]}/", f"{ARM_AUDIENCES[0]}/"],
                "tenant": "common",
                "identityProvider": "AAD",
            },
            "suffixes": {},
        }
        return JSONResponse(cloud)

    return Route("/metadata/endpoints", endpoints)


def _resources(hub: Hub) -> list[Json]:
    kept, role = hub.store.resources, hub.role
    the_hub, service = kept.get("hub", role.hub), kept.get("service", role.provisioning_service)
    return [
        *([hubs.KIND.json(hub, the_hub)] if the_hub else []),
        *([provisioning.KIND.json(hub, service)] if service else []),
    ]


def _tenant(hub: Hub) -> Json:
    tenant = hub.role.tenant_id
    return {"id": f"/tenants/{tenant}", "tenantId": tenant, "displayName": "Lab", "tenantCategory": "Home"}


def _subscription(hub: Hub) -> Json:
    subscription = hub.role.subscription_id
    return {
        "id": f"/subscriptions/{subscription}",
        "subscriptionId": subscription,
        "displayName": "Lab",
        "tenantId": hub.role.tenant_id,
        "state": "Enabled",
        "subscriptionPolicies": {"spendingLimit": "Off"},
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
    }


def _provider(hub: Hub) -> Json:
    """Registered, as a subscription has to be before it holds a hub."""
    kinds = {"IotHubs": ["2023-06-30", "2021-07-02"], "ProvisioningServices": ["2022-12-12", "2021-10-15"]}
    return {
        "id": f"/subscriptions/{hub.role.subscription_id}{_DEVICES}",
        "namespace": "Microsoft.Devices",
        "registrationState": "Registered",
        "registrationPolicy": "RegistrationRequired",
        "resourceTypes": [
            {"resourceType": kind, "locations": ["West Europe"], "apiVersions": versions}
            for kind, versions in kinds.items()
        ],
    }


def _read_filter(text: str) -> list[tuple[str, str]]:
    """Field and value, each in small letters. Raises Refusal for what is more than names and kinds."""
    if text and not _FILTER.fullmatch(text):
        refusal = arm_error(501, "NotImplemented", f"The lab does not do this $filter: {text[:200]}")
        refusal.reason = "a $filter that the lab does not do"  # the log has no queries
        raise refusal
    found: list[tuple[str, str]] = re.findall(_CLAUSE, text, re.IGNORECASE)
    return [(name.casefold(), value.replace("''", "'").casefold()) for name, value in found]


def _plain(resource: Json, name: str) -> str:
    fields = {"resourcetype": "type", "resourcegroup": "resourcegroup"}
    return str(resource[fields.get(name, name)]).casefold()
