"""How each service says that it is busy, or broken: the status of a fault in that service's own form."""

import math
import re
from typing import Literal

from thingmint.lab.cloud.faults.kinds import Fault, Kind
from thingmint.lab.cloud.provisioning import answers as provisioning
from thingmint.lab.cloud.signin import answers as signing_in
from thingmint.lab.cloud.wire import Refusal, arm_error, provider_error, registry_error

Service = Literal["management", "registry", "provisioning", "sign-in"]

_FIRST: dict[str, Service] = {
    "subscriptions": "management",
    "tenants": "management",
    "devices": "registry",
    "twins": "registry",
    "messages": "registry",
    "enrollmentgroups": "provisioning",
    "enrollments": "provisioning",
    "registrations": "provisioning",
}
_STATUS = {
    Kind.THROTTLED: 429,
    Kind.THROTTLED_UNNAMED: 429,
    Kind.FAILED: 500,
    Kind.UNAVAILABLE: 503,
    Kind.UNAVAILABLE_UNNAMED: 503,
    Kind.STALE: 412,
}


def service_of(path: str) -> Service | None:
    """None of what is no service of Azure's: the lab's own endpoints and its page never misbehave."""
    first, _, rest = path.removeprefix("/").casefold().partition("/")
    if first in _FIRST:
        return _FIRST[first]
    if rest.startswith("registrations/"):  # of devices, behind the id scope
        return "provisioning"
    if re.match(r"(oauth2|v2\.0|discovery|\.well-known)/", rest):  # behind the tenant
        return "sign-in"
    return None


def refusal(service: Service, fault: Fault) -> Refusal | None:
    """None where the fault is none that an answer tells of."""
    status = _STATUS.get(fault.kind)
    if status is None:
        return None
    refused = _OF[service](status)
    if fault.kind in (Kind.THROTTLED, Kind.UNAVAILABLE):
        refused.headers = {**(refused.headers or {}), "Retry-After": str(math.ceil(fault.amount))}
    return refused


def hidden(service: Service) -> Refusal:
    """The answer to a read of what is there, and not to be seen yet."""
    match service:
        case "management":
            return arm_error(404, "ResourceNotFound", "The Resource was not found.")
        case "registry":
            return registry_error("DeviceNotFound", "The device was not found.")
        case _:
            return provisioning.refusal(provisioning.NO_ENROLLMENT, "Enrollment not found.")


def _management(status: int) -> Refusal:
    match status:
        case 412:
            return provider_error(412_001, "Invalid ETag supplied.")
        case 429:  # https://github.com/MicrosoftDocs/azure-docs/issues/105248
            message = "Number of requests for the subscription exceeded the limit. Please try again later."
            return arm_error(429, "SubscriptionRequestsThrottled", message)
        case 500:
            return arm_error(500, "InternalServerError", "Encountered an internal server error.")
        case _:
            return arm_error(503, "ServiceUnavailable", "The service is temporarily unavailable. Try again later.")


def _registry(status: int) -> Refusal:
    name, words = {
        412: ("PreconditionFailed", "PreconditionFailed"),
        429: ("ThrottlingException", "TooManyRequests"),
        # The service's words: https://github.com/Azure/iot-edge-opc-proxy/issues/26
        500: ("ServerError", "InternalServerError"),
        503: ("ServiceUnavailable", "ServiceUnavailable"),
    }[status]
    return registry_error(name, words, reason="the hub cannot do this at the moment")


def _provisioning(status: int) -> Refusal:
    if status == 429:  # as the tests of https://github.com/Azure/azure-iot-middleware-freertos have it
        return provisioning.refusal(429_001, "Operations are being throttled for this tenant.")
    return provisioning.refusal(status * 1000, "Precondition failed." if status == 412 else "Internal service error.")


def _sign_in(status: int) -> Refusal:
    # https://learn.microsoft.com/entra/identity-platform/reference-error-codes; the form of a 503 is
    # https://github.com/Azure/azure-sdk-for-python/issues/14241
    code, words = (
        (90055, "There are too many incoming requests.")
        if status == 429
        else (90033, "A transient error has occurred. Please try again.")
    )
    return signing_in.refusal(status, "temporarily_unavailable", code, words)


_OF = {"management": _management, "registry": _registry, "provisioning": _provisioning, "sign-in": _sign_in}
