"""How the provisioning service answers: registrations as JSON, its moments and etags, and the form of its errors."""

import base64
import uuid
from typing import Any

from thingmint.lab.cloud.provisioning.records import Registration
from thingmint.lab.cloud.wire import Refusal, moment, now

# A status and three digits. Seen in answers of the service: 401002 with "Invalid certificate." and with "CA certificate
# not found.", 404201 where an enrollment is missing (https://github.com/MicrosoftDocs/azure-docs/issues/57082 tells
# that 404202 is another case). The rest, which nothing documents, ends in 000, as its "Unauthorized" 401000 does.
BAD_FORMAT = 400_000
UNAUTHORIZED = 401_000
INVALID_CERTIFICATE = 401_002
NO_SERVICE = 404_000
NO_ENROLLMENT = 404_201
NO_REGISTRATION = 404_202
CONFLICT = 409_000
PRECONDITION = 412_000


def error_json(code: int, message: str) -> dict[str, Any]:
    """ProvisioningServiceErrorDetails of https://learn.microsoft.com/rest/api/iot-dps/service."""
    return {"errorCode": code, "trackingId": str(uuid.uuid4()), "message": message, "timestampUtc": moment(now())}


def refusal(code: int, message: str, *, reason: str = "") -> Refusal:
    return Refusal(code // 1000, error_json(code, message), reason or message, {"x-ms-error-code": str(code)})


def no_registration(registration_id: str) -> Refusal:
    return refusal(
        NO_REGISTRATION, "Registration not found.", reason=f"there is no registration of {registration_id!r}"
    )


def new_etag() -> str:
    """Of the service's shape: base64 of a quoted GUID."""
    return base64.b64encode(f'"{uuid.uuid4()}"'.encode()).decode()


def registration_json(registration: Registration) -> dict[str, Any]:
    values: dict[str, Any] = {
        "registrationId": registration.registration_id,
        "createdDateTimeUtc": moment(registration.created),
        "assignedHub": registration.assigned_hub,
        "deviceId": registration.device_id,
        "status": registration.status,
        "substatus": registration.substatus,
        "errorCode": registration.error_code,
        "errorMessage": registration.error_message,
        "lastUpdatedDateTimeUtc": moment(registration.updated),
        "etag": registration.etag,
    }
    return {name: value for name, value in values.items() if value is not None}
