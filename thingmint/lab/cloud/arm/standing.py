"""What hub and provisioning service have in common as resources: shown, listed, tagged, deleted, and their keys told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from thingmint.lab.cloud.arm import resources
from thingmint.lab.cloud.arm.gate import Do, Names, Operation
from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.records import Resource, ResourceKind
from thingmint.lab.cloud.wire import arm_error, new_etag, now, provider_error


@dataclass(frozen=True)
class Kind:
    """What differs between the two."""

    kind: ResourceKind
    segment: str  # of the path, behind the provider
    keys_segment: str
    name_check: str
    own_name: Callable[[Hub], str]  # of the one that the lab plays
    policies: Callable[[Hub], Mapping[str, tuple[str, str]]]
    rights: Mapping[str, str]
    properties: Callable[[Hub, Resource], dict[str, Any]]
    remove: Callable[[Hub], None]

    @property
    def path(self) -> str:
        return f"{resources.GROUP}{resources.PROVIDER}/{self.segment}/{{resource}}"

    def resource_id(self, hub: Hub) -> str:
        role = hub.role
        return self.path.format(
            subscription=role.subscription_id, group=role.resource_group, resource=self.own_name(hub)
        )

    def require(self, hub: Hub, names: Names) -> Resource:
        """The one that the path names. Raises Refusal where it is not there."""
        found = self.find(hub, names)
        if found is None:
            raise arm_error(
                404,
                "ResourceNotFound",
                f"The Resource '{resources.TYPES[self.kind]}/{names['resource']}' under resource group "
                f"'{names['group']}' was not found.",
            )
        return found

    def find(self, hub: Hub, names: Names) -> Resource | None:
        found = hub.store.resources.get(self.kind, self.own_name(hub))
        return (
            found if found and names["resource"].casefold() == found.name.casefold() and _is_in(names, found) else None
        )

    def json(self, hub: Hub, kept: Resource) -> dict[str, Any]:
        state = kept.state(now())
        standing = {"state": state, "provisioningState": "Succeeded" if state == "Active" else state}
        return {**resources.envelope(hub, kept), "properties": standing | self.properties(hub, kept)}


def operations(hub: Hub, kind: Kind, put: Do) -> list[Operation]:
    """All but what is the kind's own; `put` makes or changes one."""
    standing = _Standing(hub, kind)
    listed = f"{resources.PROVIDER}/{kind.segment}"
    return [
        Operation("GET", resources.SUBSCRIPTION + listed, standing.show_all),
        Operation("GET", resources.GROUP + listed, standing.show_all),
        Operation("POST", f"{resources.SUBSCRIPTION}{resources.PROVIDER}/{kind.name_check}", standing.check_name),
        Operation("GET", kind.path, standing.show),
        Operation("PUT", kind.path, put),
        Operation("PATCH", kind.path, standing.patch),
        Operation("DELETE", kind.path, standing.delete),
        Operation("POST", f"{kind.path}/listkeys", standing.list_keys),
        Operation("POST", f"{kind.path}/{kind.keys_segment}/{{key}}/listkeys", standing.show_key),
    ]


class _Standing:
    def __init__(self, hub: Hub, kind: Kind) -> None:
        self._hub = hub
        self._kind = kind

    async def show_all(self, _request: Request, names: Names) -> Response:
        found = self._hub.store.resources.get(self._kind.kind, self._kind.own_name(self._hub))
        return JSONResponse({"value": [self._kind.json(self._hub, found)] if found and _is_in(names, found) else []})

    async def show(self, _request: Request, names: Names) -> Response:
        return JSONResponse(self._kind.json(self._hub, self._kind.require(self._hub, names)))

    async def check_name(self, request: Request, _names: Names) -> Response:
        return await resources.availability(self._hub, self._kind.kind, request)

    async def patch(self, request: Request, names: Names) -> Response:
        """The tags alone can be changed so."""
        existing = self._kind.require(self._hub, names)
        tags = resources.tags_of(await resources.body_of(request), existing.tags)
        resources.require_idle(existing)
        kept = replace(existing, tags=tags, etag=new_etag())
        self._hub.store.resources.put(kept)
        return JSONResponse(self._kind.json(self._hub, kept))

    async def delete(self, request: Request, names: Names) -> Response:
        existing = self._kind.find(self._hub, names)
        if existing is None:
            return Response(status_code=204)  # as ARM answers a deletion of what is not there
        resources.require_etag(request, existing)
        self._kind.remove(self._hub)
        return resources.going(request, self._hub, existing)

    async def list_keys(self, _request: Request, names: Names) -> Response:
        self._kind.require(self._hub, names)
        return JSONResponse({"value": [self._key(policy) for policy in self._kind.policies(self._hub)]})

    async def show_key(self, _request: Request, names: Names) -> Response:
        self._kind.require(self._hub, names)
        for policy in self._kind.policies(self._hub):
            if policy.casefold() == names["key"].casefold():
                return JSONResponse(self._key(policy))
        raise provider_error(404_000, f"There is no shared access policy '{names['key']}'.")

    def _key(self, policy: str) -> dict[str, str]:
        primary, secondary = self._kind.policies(self._hub)[policy]
        rights = self._kind.rights[policy]
        return {"keyName": policy, "primaryKey": primary, "secondaryKey": secondary, "rights": rights}


def _is_in(names: Names, found: Resource) -> bool:
    """A list of the whole subscription names no group."""
    return names.get("group", found.group).casefold() == found.group.casefold()
