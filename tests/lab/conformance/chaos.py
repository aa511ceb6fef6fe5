"""With --chaos: how the services say that they are busy or broken. What breaks a connection is any network's."""

import contextlib
import http.client
import itertools
import json
import math
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from azure.iot.hub.sastoken import SasToken

from tests.lab.clients import Lab, connack, connect_clients, connect_packet, is_closed, mqtt_connect, tls
from tests.lab.conformance.rows import done
from tests.lab.dialogue import Dialogue
from tests.lab.provisioning import Service
from tests.paper import Paper
from thingmint.lab import control, state
from thingmint.lab.chaos import Chaos
from thingmint.lab.cloud.faults.kinds import Fault, Kind, Point
from thingmint.lab.cloud.faults.seeded import Seeded
from thingmint.session import Session
from thingmint.target import PROVISIONING_DEVICES

REFUSED = "conf-storm"


@dataclass(frozen=True)
class Storm:
    """A lab of which it is known beforehand what it does to whom."""

    lab: Lab
    chaos: Chaos
    id_scope: str
    ca: Paper

    def ask(self, method: str, path: str, **headers: str) -> tuple[int, Any, Any]:
        """By the address: who asks for a host by name may be reset."""
        port = self.lab.running.https_port
        context = ssl.create_default_context(cafile=str(self.lab.target.ca_file))
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=10)
        with contextlib.closing(connection):
            connection.request(method, path, b"{}", {"Host": f"localhost:{port}", **headers})
            response = connection.getresponse()
            return response.status, response.headers, json.loads(response.read())

    def refused(self, kind: Kind, point: Point, asked: str) -> tuple[int, Any, Any]:
        """The answer to what is struck like this; `asked` is a method and a path with {} for a name."""
        name, fault = struck(self.chaos, kind, point, asked)
        method, _, path = asked.format(name).partition(" ")
        status, headers, body = self.ask(method, f"{path}?api-version=2021-10-01")
        wait = str(math.ceil(fault.amount)) if kind in (Kind.THROTTLED, Kind.UNAVAILABLE) else None
        assert headers.get("Retry-After") == wait
        return status, headers, body


def struck(chaos: Chaos, kind: Kind, point: Point, who: str) -> tuple[str, Fault]:
    """A name which, in the place of {}, meets this fault at its first time."""
    for number in itertools.count():
        fault = Seeded(chaos).draw(point, who.format(name := f"conf-{number}"))
        if fault and fault.kind is kind:
            return name, fault
    raise AssertionError


def calm(chaos: Chaos, point: Point, who: str, times: int) -> bool:
    source = Seeded(chaos)
    return not any(source.draw(point, who) for _ in range(times))


def seed_for(hub_host: str) -> Chaos:
    """One that refuses one device, and leaves alone what the exercises do beside."""
    for number in itertools.count():
        chaos, source = Chaos(number, 0.02), Seeded(Chaos(number, 0.02))
        fault = source.draw(Point.CONNACK, REFUSED)
        if (
            fault
            and fault.kind is Kind.REFUSED
            and all(calm(chaos, Point.DEVICE_HANDSHAKE, host, 6) for host in (hub_host, PROVISIONING_DEVICES))
            and calm(chaos, Point.READ, "GET /devices", 6)
        ):
            return chaos
    raise AssertionError


def misses_two_reads(chaos: Chaos, name: str) -> bool:
    """Whether this device is not to be seen that often once it is made."""
    fault = Seeded(chaos).draw(Point.CREATE, f"PUT /devices/{name}")
    missed = fault and fault.kind is Kind.HIDDEN and round(fault.amount) == 2
    return bool(missed) and calm(chaos, Point.READ, f"GET /devices/{name}", 3)


@contextlib.contextmanager
def storm(session: Session, ca: Paper) -> Iterator[Storm]:
    """What it holds is made before it begins."""
    before = connect_clients(session, control.start(session))
    before.upload("subca", ca)
    before.register(REFUSED)
    id_scope = Service(before).id_scope
    control.stop(session)
    chaos = seed_for(before.target.hub_host)
    running = control.start(session, chaos=chaos)
    try:
        yield Storm(replace(before, running=running, target=running.target(session.settings)), chaos, id_scope, ca)
    finally:
        control.stop(session)


@done("chaos-management")
def management(stormy: Storm) -> None:
    asked = "GET /subscriptions/s/resourceGroups/{}"
    for kind in (Kind.THROTTLED, Kind.THROTTLED_UNNAMED):
        status, _, body = stormy.refused(kind, Point.READ, asked)
        assert (status, set(body), body["error"]["code"]) == (429, {"error"}, "SubscriptionRequestsThrottled")
        assert "exceeded" in body["error"]["message"]
    for kind, status, code in (
        (Kind.FAILED, 500, "InternalServerError"),
        (Kind.UNAVAILABLE, 503, "ServiceUnavailable"),
        (Kind.UNAVAILABLE_UNNAMED, 503, "ServiceUnavailable"),
    ):
        told, _, body = stormy.refused(kind, Point.READ, asked)
        assert (told, body["error"]["code"]) == (status, code)


@done("chaos-registry")
def registry(stormy: Storm) -> None:
    for kind, status, name, number, words in (
        (Kind.THROTTLED, 429, "ThrottlingException", "429001", ""),
        (Kind.THROTTLED_UNNAMED, 429, "ThrottlingException", "429001", ""),
        (Kind.FAILED, 500, "ServerError", "500001", "InternalServerError"),
        (Kind.UNAVAILABLE, 503, "ServiceUnavailable", "503001", ""),
        (Kind.UNAVAILABLE_UNNAMED, 503, "ServiceUnavailable", "503001", ""),
    ):
        told, headers, body = stormy.refused(kind, Point.READ, "GET /devices/{}")
        assert (told, headers["iothub-errorcode"], headers["iothub-errornumber"]) == (status, name, number)
        assert body["Message"].startswith(f"ErrorCode:{name};{words}")
        assert body["ExceptionMessage"].startswith("Tracking ID:")


@done("chaos-late")
def late(stormy: Storm) -> None:
    name = next(name for name in map("late-{}".format, itertools.count()) if misses_two_reads(stormy.chaos, name))
    secrets = state.read_secrets(state.LabFolder(stormy.lab.running.folder))
    assert secrets
    key = secrets.policy_keys["iothubowner"][0]
    signed = {"Authorization": str(SasToken(stormy.lab.target.registry_host, key, "iothubowner"))}

    def there() -> bool:
        return stormy.ask("GET", f"/devices/{name}?api-version=2021-04-12", **signed)[0] == 200

    def listed() -> bool:
        found = stormy.ask("GET", "/devices?api-version=2021-04-12", **signed)[2]
        return name in [one["deviceId"] for one in found]

    assert stormy.ask("PUT", f"/devices/{name}?api-version=2021-04-12", **signed)[0] == 200
    assert [there(), listed(), there(), listed()] == [False, False, True, True]


@done("chaos-sign-in")
def sign_in(stormy: Storm) -> None:
    for kind, status, code, words in (
        (Kind.THROTTLED, 429, 90055, "There are too many incoming requests."),
        (Kind.UNAVAILABLE, 503, 90033, "A transient error has occurred. Please try again."),
        (Kind.UNAVAILABLE_UNNAMED, 503, 90033, "A transient error has occurred. Please try again."),
    ):
        told, _, body = stormy.refused(kind, Point.CHANGE, "POST /{}/oauth2/v2.0/token")
        assert (told, body["error"], body["error_codes"]) == (status, "temporarily_unavailable", [code])
        assert body["error_description"].startswith(f"AADSTS{code}: {words}")
        assert {"timestamp", "trace_id", "correlation_id"} <= set(body)


@done("chaos-connack")
def busy(stormy: Storm, tmp_path: Path) -> None:
    files = stormy.ca.issue(REFUSED).save(tmp_path, "device")
    with tls(stormy.lab, files) as connection:
        assert mqtt_connect(stormy.lab, connection, REFUSED) == 3
        assert is_closed(connection)


@done("chaos-registration")
def registration(stormy: Storm, tmp_path: Path) -> None:
    for kind, status, code, words in (
        (Kind.THROTTLED, 429, 429001, "Operations are being throttled for this tenant."),
        (Kind.FAILED, 500, 500000, ""),
    ):
        name, fault = struck(stormy.chaos, kind, Point.REGISTRATION, "{}")
        files = stormy.ca.issue(name).save(tmp_path, name)
        with tls(stormy.lab, files, host=PROVISIONING_DEVICES) as connection:
            username = f"{stormy.id_scope}/registrations/{name}/api-version=2019-03-31"
            connection.sendall(connect_packet(name, username))
            assert connack(connection) == 0
            dialogue = Dialogue(connection)
            dialogue.subscribe("$dps/registrations/res/#")
            dialogue.publish("$dps/registrations/PUT/iotdps-register/?$rid=7", b"{}")
            told = dialogue.told()
        wait = f"&retry-after={math.ceil(fault.amount)}" if kind is Kind.THROTTLED else ""
        assert told.topic == f"$dps/registrations/res/{status}/?$rid=7{wait}"
        assert (told.json["errorCode"], words in told.json["message"]) == (code, True)


@done("chaos-provisioning")
def provisioning(stormy: Storm) -> None:
    for kind, status, code in (
        (Kind.THROTTLED, 429, 429001),
        (Kind.THROTTLED_UNNAMED, 429, 429001),
        (Kind.FAILED, 500, 500000),
        (Kind.UNAVAILABLE, 503, 503000),
        (Kind.UNAVAILABLE_UNNAMED, 503, 503000),
    ):
        told, headers, body = stormy.refused(kind, Point.READ, "GET /enrollmentGroups/{}")
        assert (told, headers["x-ms-error-code"], body["errorCode"]) == (status, str(code), code)
