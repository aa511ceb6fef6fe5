"""HTTP as no client speaks it: every answer is one of the services' own, or "the lab does not do this"."""

import contextlib
import http.client
import json
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.lab.clients import Lab, wait_until
from tests.lab.dialogue import Dialogue
from tests.lab.provisioning import AUDIENCE, by_reference
from tests.paper import Paper
from tests.strength import wild

ARM, REGISTRY, PROVISIONING = "https://management.azure.com", "https://iothubs.azure.net", AUDIENCE
WILDLY = settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@dataclass(frozen=True)
class Family:
    """Paths of one service, and a body that it takes at some of them. `{}` stands for a name."""

    audience: str
    paths: tuple[str, ...]
    good: Any


def families(lab: Lab, ca: Paper) -> list[Family]:
    hub, pem = lab.arm_path, ca.pem.decode()
    service = hub.replace("IotHubs", "provisioningServices").replace(lab.target.hub, lab.target.provisioning_service)
    group = hub.partition("/providers")[0]
    certificate = "/certificates/{}"
    identity = {
        "deviceId": "x",
        "status": "enabled",
        "statusReason": "none",
        "authentication": {
            "type": "selfSigned",
            "x509Thumbprint": {"primaryThumbprint": "A" * 40},
            "symmetricKey": {"primaryKey": "eA=="},
        },
        "capabilities": {"iotEdge": True},
    }
    twin = {"tags": {"a": {"b": 1}}, "properties": {"desired": {"c": [1, {"d": "e"}]}}}
    enrollment = {
        **by_reference("x"),
        "attestation": {"type": "x509", "x509": {"clientCertificates": {"primary": {"certificate": pem}}}},
        "initialTwin": twin,
        "optionalDeviceInformation": {"a": 1},
        "iotHubs": [lab.target.hub_host],
        "reprovisionPolicy": {"updateHubAssignment": True},
        "allocationPolicy": "hashed",
        "capabilities": {"iotEdge": False},
    }
    resource = {"location": "australiaeast", "tags": {"a": "b"}, "sku": {"name": "S1", "capacity": 1}, "properties": {}}
    linked = {"iotHubs": [{"connectionString": "HostName=a;SharedAccessKeyName=b;SharedAccessKey=c", "location": "d"}]}
    hub_paths = ("", "/listkeys", "/IotHubKeys/{}/listkeys", "/IotHubStats", "/certificates", certificate)
    proofs = tuple(certificate + end for end in ("", "/generateVerificationCode", "/verify"))
    located = (
        f"{group.partition('/resourceGroups')[0]}/providers/Microsoft.Devices/locations/{{}}/operationResults/{{}}"
    )
    call = {"methodName": "led", "payload": {"on": True}, "responseTimeoutInSeconds": 5, "connectTimeoutInSeconds": 0}
    return [
        Family(ARM, tuple(hub + path for path in hub_paths), resource),
        Family(
            ARM, tuple(base + path for base in (hub, service) for path in proofs), {"properties": {"certificate": pem}}
        ),
        Family(ARM, (service, f"{service}/keys/{{}}/listkeys"), {**resource, "properties": linked}),
        Family(ARM, (f"{group}-{{}}", f"{group}/resources", "/tenants", "/subscriptions/{}", located), resource),
        Family(REGISTRY, ("/devices/{}", "/devices", "/devices/{}/commands"), identity),
        Family(REGISTRY, ("/devices",), [{**identity, **twin, "id": "x", "importMode": "createOrUpdate", "eTag": "*"}]),
        Family(REGISTRY, ("/twins/{}", "/twins/good"), twin),
        Family(REGISTRY, ("/twins/{}/methods", "/twins/good/methods"), call),
        Family(REGISTRY, ("/devices/query",), {"query": "SELECT COUNT() AS n FROM devices WHERE tags.a['b'] > 1"}),
        Family(REGISTRY, ("/messages/serviceBound/feedback", "/messages/serviceBound/feedback/{}/abandon"), {}),
        Family(PROVISIONING, ("/enrollments/{}", "/enrollments/x"), enrollment),
        Family(PROVISIONING, ("/enrollmentGroups/{}", "/enrollmentGroups/x"), by_reference("x")),
        Family(
            PROVISIONING, ("/enrollments/query", "/registrations/{}/query"), {"query": "SELECT * FROM enrollments;"}
        ),
        Family(PROVISIONING, ("/{}/registrations/{}/register", "/{}/registrations/x"), {"registrationId": "x"}),
        Family("", ("/{}/oauth2/v2.0/token", "/{}/v2.0/.well-known/openid-configuration"), {}),
        Family("", ("/common/discovery/instance", "/metadata/endpoints", "/{}", "/{}/{}"), {}),
        Family("lab", ("/lab/commands",), {"deviceId": "good", "body": "x", "properties": {"a": "b"}, "ack": "full"}),
        Family("lab", ("/lab/telemetry", "/lab/health", "/lab/{}"), {}),
    ]


class Tokens(dict[str, str]):
    """Audience → what goes into the header Authorization."""

    def __repr__(self) -> str:
        return "Tokens()"  # hypothesis tells the arguments of what failed


@pytest.fixture(scope="module")
def tokens(lab: Lab) -> Tokens:
    secrets = json.loads((lab.running.folder / "secrets.json").read_text())
    audiences = {name: lab.bearer(name)["Authorization"] for name in (ARM, REGISTRY, PROVISIONING)}
    return Tokens({"": "Basic eDp5", "lab": f"Bearer {secrets['control_token']}", **audiences})


_VERSIONS = ["api-version=2021-04-12"] * 6 + ["", "api-version=x", "api-version=2021-04-12&api-version=1"]
_QUERIES = ["", "top=1", "top=-1", "$filter=name eq 'a''b'", "after=99999999999999999999", "newest", "device=%00"]
_HEADERS = {
    "If-Match": ["*", '"*"', '""', "x" * 900, "\xff", "W/1"],
    "x-ms-max-item-count": ["1", "0", "-1", "9" * 40, "\xb2"],
    "x-ms-continuation": ["WyJhIiwgMV0=", "bnVsbA==", "gICA", "W1tdLDFd", "\xff", "="],
    "Content-Type": ["application/json", "application/x-www-form-urlencoded", "multipart/form-data", ""],
    "Expect": ["100-continue"],
    "X-Forwarded-For": ["192.0.2.1"],
    "Origin": ["null", "https://evil.example"],
    "Range": ["bytes=0-1"],
    "Upgrade": ["websocket", "h2c"],
}


@given(data=st.data())
@WILDLY
def test_every_request_has_an_answer(
    lab: Lab, good: Dialogue, subca: Paper, tokens: Tokens, data: st.DataObject
) -> None:
    family = data.draw(st.sampled_from(families(lab, subca)))
    path = data.draw(st.sampled_from(family.paths))
    while "{}" in path:
        path = path.replace("{}", quote(data.draw(wild.utf8 | st.just("x")), safe=""), 1)
    method = data.draw(
        st.sampled_from(["GET", "PUT", "PUT", "POST", "POST", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW"])
    )
    if method == "DELETE" and "/certificates" not in path:
        method = "GET"  # hub and groups stay
    query = (
        f"{data.draw(st.sampled_from(_VERSIONS))}&{quote(data.draw(st.sampled_from(_QUERIES) | wild.utf8), safe='=&%')}"
    )
    body = data.draw(wild.bodies | wild.changed(family.good).map(lambda value: json.dumps(value).encode()))
    headers = {"Authorization": tokens[family.audience]}
    for name in data.draw(st.lists(st.sampled_from(sorted(_HEADERS)), max_size=2)):
        headers[name] = data.draw(st.sampled_from(_HEADERS[name]))
    status, answer = ask(lab, method, f"{path}?{query}", body, headers)
    left_out = status == 501 and (method == "HEAD" or b"does not do this" in answer)
    assert status < 500 or left_out or (status == 504 and "/methods" in path)  # 504: a device that does not answer
    assert b"Traceback" not in answer
    good.ping()


def ask(lab: Lab, method: str, target: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    """Header by header as it is told: http.client would refuse some of them."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: localhost:{lab.running.https_port}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()] + ["", ""]
    with _tls(lab) as connection:
        connection.sendall("\r\n".join(lines).encode("latin-1") + body)
        response = http.client.HTTPResponse(connection, method=method)
        response.begin()
        return response.status, response.read()


@contextlib.contextmanager
def _tls(lab: Lab) -> Any:
    context = ssl.create_default_context(cafile=str(lab.target.ca_file))
    with (
        socket.create_connection(("127.0.0.1", lab.running.https_port), timeout=15) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        yield secured


def raw(lab: Lab, head: str, body: bytes = b"") -> bytes:
    """Everything that is answered until the lab hangs up."""
    with _tls(lab) as connection:
        answer = b""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            connection.sendall(head.format(host=f"localhost:{lab.running.https_port}").encode() + b"\r\n\r\n" + body)
            while piece := connection.recv(65_536):
                answer += piece
        return answer


@pytest.mark.parametrize(
    ("lengths", "body"),
    [
        ("Content-Length: 4\r\nTransfer-Encoding: chunked", b"0\r\n\r\nGET /"),
        ("Content-Length: 4\r\nContent-Length: 5", b"abcd"),
        ("Content-Length: -1", b""),
        ("Transfer-Encoding: gzip", b""),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", b"0\r\n\r\n"),
    ],
)
def test_a_body_of_two_lengths(lab: Lab, lengths: str, body: bytes) -> None:
    answer = raw(lab, "POST /lab/stop HTTP/1.1\r\nHost: {host}\r\n" + lengths, body)
    assert answer.split(b" ")[1] in (b"400", b"501")
    assert answer.count(b"HTTP/1.1") == 1


def test_no_end_of_headers(lab: Lab) -> None:
    for headers in ("a: b\r\n" * 30_000, f"a: {'b' * 100_000}\r\n"):
        answer = raw(lab, "GET / HTTP/1.1\r\nHost: {host}\r\n" + headers)
        assert answer[:12] in (b"HTTP/1.1 400", b"")  # cut off while they are still being sent


def test_a_client_that_leaves_within_its_body(lab: Lab, tokens: Tokens) -> None:
    heard = lab.mark()
    token = tokens[REGISTRY]
    head = f"PUT /devices/x?api-version=2021-04-12 HTTP/1.1\r\nHost: localhost:{lab.running.https_port}\r\n"
    with _tls(lab) as connection:
        connection.sendall(f"{head}Authorization: {token}\r\nContent-Length: 99\r\n\r\n{{".encode())
    wait_until(lambda: "the client went away within the body" in heard())


def test_an_address_is_not_forged(lab: Lab) -> None:
    heard = lab.mark()
    ask(lab, "GET", "/", b"", {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "http"})
    assert "192.0.2.1" not in heard()


@pytest.mark.parametrize("depth", [65, 450, 900, 50_000])
def test_json_of_no_end_of_levels(lab: Lab, tokens: Tokens, subca: Paper, depth: int) -> None:
    (family,) = [one for one in families(lab, subca) if one.paths[0] == "/enrollments/{}"]
    text = json.dumps({**family.good, "registrationId": "deep", "optionalDeviceInformation": {"a": 123456}})
    body = text.replace("123456", "[" * depth + "]" * depth).encode()
    target = "/enrollments/deep?api-version=2021-10-01"
    assert ask(lab, "PUT", target, body, {"Authorization": tokens[family.audience]})[0] == 400


def test_a_query_of_spaces_takes_no_time(lab: Lab, tokens: Tokens) -> None:
    body = json.dumps({"query": "select *" + " " * 900_000 + "x"}).encode()
    began = time.monotonic()
    authorization = {"Authorization": tokens[PROVISIONING]}
    assert ask(lab, "POST", "/enrollments/query?api-version=2021-10-01", body, authorization)[0] == 501
    assert time.monotonic() - began < 10  # it would be hours
