"""The provisioning service's REST for operators: enrollment groups, individual enrollments, registrations."""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.provisioning import enrollments
from thingmint.lab.cloud.provisioning.answers import (
    BAD_FORMAT,
    CONFLICT,
    NO_ENROLLMENT,
    NO_SERVICE,
    PRECONDITION,
    UNAUTHORIZED,
    no_registration,
    refusal,
    registration_json,
)
from thingmint.lab.cloud.provisioning.enrollments import NotDone, enrollment_json, valid_id
from thingmint.lab.cloud.provisioning.records import Enrollment, Kind
from thingmint.lab.cloud.provisioning.service import absence, linked_hubs
from thingmint.lab.cloud.signin.callers import Callers, has_api_version
from thingmint.lab.cloud.signin.tokens import PROVISIONING_AUDIENCES, Signer, TokenProblem
from thingmint.lab.cloud.store.enrollments import Enrollments
from thingmint.lab.cloud.wire import Refusal, not_done, page_size, read_json

# https://learn.microsoft.com/azure/iot-dps/about-iot-dps#quotas-and-limits
MOST_GROUPS = 100
_MOST_LISTED = 100
# https://learn.microsoft.com/rest/api/iot-dps/service, version 2021-10-01
_QUERY_OF_ALL = re.compile(r"select \*( from \w+)?( ?;)?", re.IGNORECASE | re.ASCII)


def routes(hub: Hub, signer: Signer) -> list[Route]:
    names = {f"{name}:{hub.https_port}" for name in ("localhost", "127.0.0.1")}
    hosts = frozenset(names | {hub.role.provisioning_host.lower()})
    callers = Callers(signer, PROVISIONING_AUDIENCES, hub.secrets.provisioning_keys, hosts)
    registrations = _Registrations(hub)

    def require_caller(request: Request) -> None:
        if reason := absence(hub):
            raise refusal(NO_SERVICE, "The provisioning service does not exist.", reason=reason)
        try:
            callers.check(request)  # its one policy may do all of this
        except TokenProblem as problem:
            raise refusal(UNAUTHORIZED, "Unauthorized", reason=problem.reason) from None
        if not has_api_version(request):
            raise refusal(BAD_FORMAT, "The query parameter api-version is missing or invalid.")

    def of_kind(kept: "_Enrollments") -> tuple[Callable[..., Any], Callable[..., Any]]:
        async def one(request: Request) -> Response:
            require_caller(request)
            enrollment_id = _require_id(request.path_params["id"])
            if request.method == "GET":
                return kept.show(enrollment_id)
            if request.method == "PUT":
                return kept.put(request, enrollment_id, await _object(request))
            if request.method == "DELETE":
                return kept.delete(enrollment_id, request.headers.get("if-match"))
            raise not_done(request)

        async def query(request: Request) -> Response:
            if request.method != "POST":
                request.path_params["id"] = "query"  # also a valid id
                return await one(request)
            require_caller(request)
            asked = " ".join(str((await _object(request)).get("query", "")).split())
            if not _QUERY_OF_ALL.fullmatch(asked):
                raise not_done(request, "of all queries only: SELECT *")
            return kept.query(request)

        return one, query

    async def registration(request: Request) -> Response:
        require_caller(request)
        registration_id = _require_id(request.path_params["id"])
        if request.method == "GET":
            return registrations.show(registration_id)
        if request.method == "DELETE":
            return registrations.delete(registration_id, request.headers.get("if-match"))
        raise not_done(request)

    async def registrations_of_group(request: Request) -> Response:
        require_caller(request)
        if request.method != "POST":
            raise not_done(request)
        return registrations.query(request, _require_id(request.path_params["id"]))

    group, groups = of_kind(_Enrollments(hub, "group"))
    individual, individuals = of_kind(_Enrollments(hub, "individual"))
    methods = ["GET", "PUT", "POST", "DELETE", "PATCH"]
    return [
        Route("/enrollmentGroups/query", groups, methods=methods),
        Route("/enrollmentGroups/{id}", group, methods=methods),
        Route("/enrollments/query", individuals, methods=methods),
        Route("/enrollments/{id}", individual, methods=methods),
        Route("/registrations/{id}", registration, methods=methods),
        Route("/registrations/{id}/query", registrations_of_group, methods=methods),
    ]


class _Enrollments:
    """The operations on the enrollments of one kind. Each is committed before it is answered."""

    def __init__(self, hub: Hub, kind: Kind) -> None:
        self._hub = hub
        self._kind: Kind = kind
        self._kept: Enrollments = hub.store.groups if kind == "group" else hub.store.individuals

    def show(self, enrollment_id: str) -> Response:
        return self._answer(self._existing(enrollment_id))

    def put(self, request: Request, enrollment_id: str, body: dict[str, Any]) -> Response:
        if_match = request.headers.get("if-match")
        existing = self._kept.get(enrollment_id)
        if existing is None and if_match is not None:
            raise self._missing(enrollment_id)
        if existing is not None:
            if if_match is None:  # https://github.com/Azure/azure-sdk-for-python/issues/35187
                raise refusal(CONFLICT, f"The {existing} exists already; changing it takes If-Match.")
            _require_etag(existing.etag, if_match)
        if existing is None and self._kind == "group" and len(self._kept.page()) >= MOST_GROUPS:
            raise refusal(BAD_FORMAT, f"A provisioning service holds at most {MOST_GROUPS} X.509 enrollment groups.")
        try:
            enrollment = enrollments.parse(
                self._kind,
                enrollment_id,
                body,
                existing=existing,
                certificates=self._hub.store.provisioning_certificates,
                linked=linked_hubs(self._hub),
            )
        except NotDone as what:
            raise not_done(request, str(what)) from None
        self._kept.put(enrollment)
        self._say(enrollment, f"{'updated' if existing else 'created'} ({enrollment.status})")
        return self._answer(enrollment)

    def delete(self, enrollment_id: str, if_match: str | None) -> Response:
        existing = self._existing(enrollment_id)
        _require_etag(existing.etag, if_match or "*")
        with self._hub.store.transaction():
            self._kept.delete(enrollment_id)
            if self._kind == "individual":  # its state is a part of it; a group's registrations stay
                self._hub.store.registrations.delete(enrollment_id)
        self._say(existing, "deleted")
        return Response(status_code=204)

    def query(self, request: Request) -> Response:
        after, size = _page(request)
        found = self._kept.page(after=after, limit=size + 1)
        shown = [self._json(one) for one in found[:size]]
        item = "enrollmentGroup" if self._kind == "group" else "enrollment"
        return _answer_page(shown, item, [one.enrollment_id for one in found], size)

    def _existing(self, enrollment_id: str) -> Enrollment:
        found = self._kept.get(enrollment_id)
        if found is None:
            raise self._missing(enrollment_id)
        return found

    def _missing(self, enrollment_id: str) -> Refusal:
        what = "enrollment group" if self._kind == "group" else "individual enrollment"
        return refusal(NO_ENROLLMENT, "Enrollment not found.", reason=f"there is no {what} {enrollment_id!r}")

    def _json(self, enrollment: Enrollment) -> dict[str, Any]:
        alone = enrollment.kind == "individual"
        return enrollment_json(
            enrollment, self._hub.store.registrations.get(enrollment.enrollment_id) if alone else None
        )

    def _answer(self, enrollment: Enrollment) -> Response:
        return JSONResponse(self._json(enrollment))

    def _say(self, enrollment: Enrollment, what: str) -> None:
        self._hub.journal.write(f"provisioning service: {enrollment} {what}")


class _Registrations:
    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._kept = hub.store.registrations

    def show(self, registration_id: str) -> Response:
        found = self._kept.get(registration_id)
        if found is None:
            raise no_registration(registration_id)
        return JSONResponse(registration_json(found))

    def delete(self, registration_id: str, if_match: str | None) -> Response:
        found = self._kept.get(registration_id)
        if found is None:
            raise no_registration(registration_id)
        _require_etag(found.etag, if_match or "*")
        self._kept.delete(registration_id)
        self._hub.journal.write(f"provisioning service: registration {found.registration_id!r} deleted")
        return Response(status_code=204)

    def query(self, request: Request, group: str) -> Response:
        if self._hub.store.groups.get(group) is None:
            raise refusal(NO_ENROLLMENT, "Enrollment not found.", reason=f"there is no enrollment group {group!r}")
        after, size = _page(request)
        found = self._kept.of_group(group, after=after, limit=size + 1)
        shown = [registration_json(one) for one in found[:size]]
        return _answer_page(shown, "deviceRegistration", [one.registration_id for one in found], size)


def _page(request: Request) -> tuple[str, int]:
    """Behind which id the page begins, and how many it may have."""
    problem = refusal(BAD_FORMAT, "x-ms-max-item-count must be a positive number.")
    size = page_size(request, _MOST_LISTED, _MOST_LISTED, problem)
    try:
        after = base64.b64decode(request.headers.get("x-ms-continuation", ""), validate=True).decode()
    except (binascii.Error, ValueError):
        raise refusal(BAD_FORMAT, "x-ms-continuation is not one of this service's.") from None
    return after, size


def _answer_page(shown: Sequence[dict[str, Any]], item: str, ids: Sequence[str], size: int) -> Response:
    headers = {"x-ms-item-type": item, "x-ms-max-item-count": str(size)}
    if len(ids) > size:
        headers["x-ms-continuation"] = base64.b64encode(ids[size - 1].encode()).decode()
    return JSONResponse(list(shown), headers=headers)


def _require_id(text: str) -> str:
    if not valid_id(text):
        raise refusal(BAD_FORMAT, f"The id {text[:140]!r} is invalid.")
    return text


def _require_etag(current: str, given: str) -> None:
    if given.strip('"') not in (current, "*"):
        raise refusal(PRECONDITION, "ETag is invalid.", reason="the etag given is not the current one")


async def _object(request: Request) -> dict[str, Any]:
    problem = refusal(BAD_FORMAT, "The request body is no JSON object.")
    body = await read_json(request, problem)
    if not isinstance(body, dict):
        raise problem
    return body
