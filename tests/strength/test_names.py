"""Names that would be paths, SQL, markup or lines of the log elsewhere: here they are names."""

import contextlib
import http.client
import json
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.lab.clients import Lab, connect_packet, tls, username, wait_until
from tests.lab.dialogue import Dialogue, connected, send
from tests.paper import Paper
from tests.strength.test_http import ARM, PROVISIONING, REGISTRY, ask
from tests.strength.wild import NAMES

# Of an id's allowed characters, those that mean something elsewhere.
IDS = ["..", "a'--", "%2e%2e%2f", "$(id)", "a;b", "*", "#", "+", "(select)", "@me", "=1+1", "a" * 128]


def files(lab: Lab) -> set[Path]:
    """In the lab's workspace, and beside it."""
    workspace = lab.running.folder.parent
    return {*workspace.parent.iterdir(), *workspace.rglob("*")}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_in_every_place(lab: Lab, name: str) -> None:
    before, place = files(lab), quote(name, safe="")
    tokens = {audience: lab.bearer(audience) for audience in (ARM, REGISTRY, PROVISIONING)}
    group = lab.arm_path.partition("/resourceGroups")[0]
    for audience, path, body in (
        (REGISTRY, f"/devices/{place}-?", {"deviceId": name}),
        (REGISTRY, f"/twins/{place}?", {"tags": {name: name}}),
        (REGISTRY, "/devices/query?", {"query": f"SELECT * FROM devices WHERE tags.a = '{name}'"}),  # noqa: S608 - that is the point
        (REGISTRY, "/devices?", [{"id": name, "importMode": name}]),
        (PROVISIONING, f"/enrollments/{place}?", {"registrationId": name, "attestation": {"type": name}}),
        (PROVISIONING, f"/enrollmentGroups/{place}?", {"attestation": {"x509": {"caReferences": {"primary": name}}}}),
        (ARM, f"{lab.arm_path}/certificates/{place}?", {"properties": {"certificate": name}}),
        (ARM, f"{group}/resourcegroups/{place}?", {"location": name, "tags": {name: name}}),
        (ARM, f"{group}/resources?$filter={quote(f'''name eq '{name}' ''')}&", {}),
    ):
        for method in ("GET", "PUT", "POST", "PATCH"):
            target = f"{path}api-version=2021-04-12"
            status, _ = ask(lab, method, target, json.dumps(body).encode(), {**tokens[audience], "User-Agent": "x"})
            assert status < 500 or status == 501, (method, path)
    with contextlib.suppress(UnicodeEncodeError):
        ask(lab, "GET", "/", b"", {"User-Agent": name.replace("\r", "").replace("\n", " ").strip(), "If-Match": "*"})
    assert files(lab) == before


@pytest.mark.parametrize("device_id", IDS)
def test_a_device_with_an_odd_id(lab: Lab, good: Dialogue, subca: Paper, tmp_path: Path, device_id: str) -> None:
    before = files(lab)
    authorization = lab.bearer(REGISTRY)
    place = f"/devices/{quote(device_id, safe='')}?api-version=2021-04-12"
    body = json.dumps({"authentication": {"type": "certificateAuthority"}}).encode()
    assert ask(lab, "PUT", place, body, authorization)[0] == 200
    try:
        assert send(lab, device_id, "hello", properties={"<b>": "&amp;"})[0] == 200
        if len(device_id) <= 64:  # a common name has no more
            with connected(lab, device_id, subca.issue(device_id).save(tmp_path, "odd")) as dialogue:
                dialogue.ping()
        shown = json.loads(_live(lab, device_id))
        assert shown["device"] == device_id
        assert shown["slots"] is None
        assert files(lab) == before
    finally:
        assert ask(lab, "DELETE", place, b"", {**authorization, "If-Match": "*"})[0] == 204


def test_names_of_a_connection_are_no_lines_of_the_log(lab: Lab, subca: Paper, tmp_path: Path) -> None:
    forged = "x\n2026-01-01T00:00:00Z device 'forged' connected\x1b[2J\u2028\u202e"
    leaf = subca.issue("y\nforged\x1b[2J")
    heard = lab.mark()
    with tls(lab, leaf.save(tmp_path, "forged")) as connection:
        connection.sendall(connect_packet(forged, username(lab, forged)))
        assert connection.recv(4) == b"\x20\x02\x00\x02"
    wait_until(lambda: r"y\nforged\x1b[2J" in heard())


def test_properties_of_a_message_stay_text(lab: Lab, victim: tuple[str, tuple[Path, Path]]) -> None:
    device_id, its_files = victim
    with connected(lab, device_id, its_files) as dialogue:
        bag = f"{quote('<script>')}={quote('x' + chr(10) + chr(27))}&{quote(chr(0))}=%ff"
        dialogue.publish(f"devices/{device_id}/messages/events/{bag}", b"\x00<b>\xff", qos=1)
        dialogue.read()
    (heard,) = lab.running.telemetry(device_id)
    assert heard.properties == {"<script>": "x\n\x1b", "\0": "\ufffd"}


def _live(lab: Lab, device_id: str) -> str:
    """What the page is sent of the two sides of a device's connection."""
    connection = http.client.HTTPConnection("127.0.0.1", lab.running.page_port, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", f"/live?device={quote(device_id, safe='')}")
        answer = connection.getresponse()
        while (line := answer.readline()) != b"event: sides\n":
            assert line
        return answer.readline().decode().removeprefix("data: ")
