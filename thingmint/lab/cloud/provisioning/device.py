"""A device that registers over HTTPS: what it asks over MQTT, too, by the certificate of its TLS connection.

https://learn.microsoft.com/rest/api/iot-dps/device/runtime-registration
"""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from thingmint.lab.cloud.hub import Hub
from thingmint.lab.cloud.provisioning.answers import (
    BAD_FORMAT,
    INVALID_CERTIFICATE,
    NO_SERVICE,
    no_registration,
    refusal,
)
from thingmint.lab.cloud.provisioning.enrollments import valid_id
from thingmint.lab.cloud.provisioning.judging import enrollment_of
from thingmint.lab.cloud.provisioning.registration import RETRY_AFTER, operation_json, register, state_json
from thingmint.lab.cloud.provisioning.service import absence
from thingmint.lab.cloud.wire import not_done, read_json


def routes(hub: Hub) -> list[Route]:
    def require_device(request: Request) -> tuple[str, Sequence[bytes]]:
        """Its registration id, and the certificates that it showed."""
        scope, registration_id = request.path_params["scope"], request.path_params["id"]
        if reason := absence(hub):
            raise refusal(NO_SERVICE, "The provisioning service does not exist.", reason=reason)
        if scope != hub.role.id_scope:
            reason = f"the id scope {scope[:40]!r} is not the service's, {hub.role.id_scope}"
            raise refusal(NO_SERVICE, "The provisioning service does not exist.", reason=reason)
        if not valid_id(registration_id):
            raise refusal(BAD_FORMAT, f"The id {registration_id[:140]!r} is invalid.")
        if "api-version" not in request.query_params:
            raise refusal(BAD_FORMAT, "The query parameter api-version is missing.")
        if not hasattr(request.state, "handshake"):
            reason = (
                "a device is asked for its certificate at the service's real name alone: it comes through the proxy"
            )
            raise refusal(INVALID_CERTIFICATE, "Invalid certificate.", reason=reason)
        return registration_id, request.state.handshake.shown

    async def start(request: Request) -> Response:
        registration_id, shown = require_device(request)
        if request.method != "PUT":
            raise not_done(request)
        problem = refusal(BAD_FORMAT, "The request body is no JSON object.")
        body = await read_json(request, problem)
        if not isinstance(body, dict) or body.get("registrationId", registration_id) != registration_id:
            raise problem
        operation = register(hub, registration_id, shown)
        place = f"/{hub.role.id_scope}/registrations/{registration_id}/operations/{operation}"
        headers = {"Location": f"https://{request.headers['host']}{place}", "retry-after": str(RETRY_AFTER)}
        return JSONResponse({"operationId": operation, "status": "assigning"}, 202, headers)

    async def outcome(request: Request) -> Response:
        registration_id, shown = require_device(request)
        if request.method != "GET":
            raise not_done(request)
        enrollment_of(hub, registration_id, shown)
        return JSONResponse(operation_json(hub, registration_id, request.path_params["operation"]))

    async def last(request: Request) -> Response:
        registration_id, shown = require_device(request)
        if request.method != "POST":
            raise not_done(request)
        enrollment_of(hub, registration_id, shown)
        found = hub.store.registrations.get(registration_id)
        if found is None:
            raise no_registration(registration_id)
        return JSONResponse(state_json(found))

    methods = ["GET", "PUT", "POST", "DELETE", "PATCH"]
    one = "/{scope}/registrations/{id}"
    return [
        Route(f"{one}/register", start, methods=methods),
        Route(one + "/operations/{operation}", outcome, methods=methods),
        Route(one, last, methods=methods),
    ]
