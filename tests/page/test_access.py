"""Who may look at the page, and that there is nothing but the page."""

import json

import pytest

from tests.lab.clients import Lab, wait_until
from tests.page.looking import ask, raw
from thingmint.lab import state
from thingmint.lab.state import LabFolder

EVERYTHING = ("/", "/page.js", "/page.css", "/nothing", "/live")


@pytest.mark.parametrize("path", EVERYTHING)
@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_each_answer_forbids_everything_from_elsewhere(lab: Lab, path: str, name: str) -> None:
    headers = {"Host": f"{name}:{lab.running.page_port}"}
    status, answer, _ = ask(lab, path, method="HEAD", headers=headers)
    assert status == (404 if path == "/nothing" else 200)
    policy = dict(part.strip().partition(" ")[::2] for part in answer["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert {policy[name] for name in policy if name.endswith("-src") and name != "default-src"} == {"'self'"}
    assert "unsafe" not in answer["content-security-policy"]
    assert answer["x-content-type-options"] == "nosniff"
    assert answer["referrer-policy"] == "no-referrer"
    assert answer["cross-origin-resource-policy"] == answer["cross-origin-opener-policy"] == "same-origin"
    assert answer["cache-control"] == "no-store"
    assert not {name.lower() for name in answer} & {"server", "set-cookie", "access-control-allow-origin"}


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost", "localhost:1", "127.0.0.2:{port}", "[::1]:{port}", "evil.example:{port}"]
)
def test_another_name_for_this_machine_gets_nowhere(lab: Lab, host: str) -> None:
    for path in EVERYTHING:
        named = host.format(port=lab.running.page_port)
        status, answer, text = ask(lab, path, headers={"Host": named})
        assert status == 421
        assert "content-security-policy" in answer
        assert "<" not in text
    # HTTP/1.0 needs no Host; a request with two of them is none
    assert " 421 " in raw(lab, "GET / HTTP/1.0")
    good = f"localhost:{lab.running.page_port}"
    assert " 400 " in raw(lab, f"GET / HTTP/1.1\nHost: {good}\nHost: evil.example")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_sites_page_gets_nowhere(lab: Lab, headers: dict[str, str]) -> None:
    since = lab.mark()
    assert [ask(lab, path, headers=headers)[0] for path in EVERYTHING] == [403] * len(EVERYTHING)
    wait_until(lambda: since().count("page: refused") == len(EVERYTHING))


def test_its_own_script_and_a_typed_address_are_welcome(lab: Lab) -> None:
    origin = f"http://localhost:{lab.running.page_port}"
    for headers in ({"Sec-Fetch-Site": "none"}, {"Sec-Fetch-Site": "same-origin"}, {"Origin": origin}):
        assert ask(lab, "/", headers=headers)[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_nothing_can_be_changed(lab: Lab, method: str) -> None:
    for path in EVERYTHING:
        status, answer, _ = ask(lab, path, method=method)
        assert (status, answer["allow"]) == (405, "GET, HEAD")


def test_there_is_no_websocket(lab: Lab) -> None:
    upgrade = "Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\nSec-WebSocket-Version: 13"
    assert " 403 " in raw(lab, f"GET /live HTTP/1.1\nHost: localhost:{lab.running.page_port}\n{upgrade}")


def test_neither_the_services_nor_the_labs_own_endpoints_are_here(lab: Lab) -> None:
    secrets = state.read_secrets(LabFolder(lab.running.folder))
    assert secrets
    owner = {"Authorization": f"Bearer {secrets.control_token}"}
    for path in (
        "/lab/health",
        "/lab/telemetry?device=x",
        "/devices?api-version=2021-04-12",
        "/subscriptions",
        "/../lab.json",
    ):
        assert ask(lab, path, headers=owner)[0] == 404
    assert ask(lab, "/lab/stop", method="POST", headers=owner)[0] == 405
    record = json.loads((lab.running.folder / "lab.json").read_text())
    assert record["page_port"] == lab.running.page_port
    # And the other way round: the services' port has no page.
    assert lab.request("GET", "/")[0] == 501
