"""What the page is told: the same words as the log, both sides of a handshake, so much and no more, and no secret."""

import contextlib
import dataclasses
import datetime as dt
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websockets.exceptions import InvalidStatus

from tests.lab.clients import (
    Lab,
    connack,
    mqtt_connect,
    packet,
    publish_packet,
    text,
    tls,
    username,
    verification,
)
from tests.lab.websockets import opened
from tests.page.inprocess import hub_in
from tests.page.looking import PARTS, ask, look, watch
from tests.paper import DAY, Paper, make
from thingmint.ids import DeviceId
from thingmint.lab import control, state
from thingmint.lab.chaos import Chaos
from thingmint.lab.cloud.feed import KEPT
from thingmint.lab.cloud.journal import printable
from thingmint.lab.page.view import MOST_DEVICES, MOST_LINES, picture
from thingmint.lab.state import LabFolder
from thingmint.lab.thing.sectags import SecTags

Device = tuple[str, tuple[Path, Path]]


@contextlib.contextmanager
def connected(lab: Lab, device: Device) -> Iterator[ssl.SSLSocket]:
    with tls(lab, device[1]) as line:
        assert mqtt_connect(lab, line, device[0]) == 0
        yield line


def send(line: ssl.SSLSocket, device_id: str, payload: bytes, properties: str = "") -> None:
    line.sendall(publish_packet(f"devices/{device_id}/messages/events/{properties}", payload))
    assert line.recv(4)


def try_in_vain(lab: Lab, device_id: str, files: tuple[Path, Path]) -> None:
    with contextlib.suppress(ssl.SSLError, OSError), tls(lab, files) as line:
        mqtt_connect(lab, line, device_id)


def row(parts: dict[str, Any], device_id: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in parts["devices"]["rows"] if one["device"] == device_id)
    return found


def holds(facts: list[dict[str, str]]) -> list[str]:
    return [fact["holds"] for fact in facts]


def test_a_devices_life_is_told_as_it_happens(lab: Lab, device: Device) -> None:
    device_id, _ = device
    with watch(lab, device_id) as stream:
        parts = stream.until(lambda _: True)
        assert not row(parts, device_id)["connected"]
        assert holds(parts["sides"]["hub_trusts"]) == ["yes", "unknown"]
        with connected(lab, device) as line:
            parts = stream.until(lambda now: row(now, device_id)["connected"])
            assert holds(parts["sides"]["hub_trusts"]) == ["yes", "yes"]
            assert "subca" in parts["sides"]["hub_trusts"][1]["text"]
            assert parts["sides"]["meeting"]["refused"] == ""
            assert [one["name"] for one in parts["sides"]["meeting"]["shown"]] == [
                device_id,
                "Development Intermediate CA",
            ]
            until = dt.datetime.fromisoformat(row(parts, device_id)["expires"])
            assert dt.timedelta(days=29) < until - dt.datetime.now(dt.UTC) < dt.timedelta(days=31)
            send(line, device_id, b'{"temperature": 21.5}', "colour=blue")
            (newest, *_) = stream.until(lambda now: now["telemetry"])["telemetry"]
            assert (newest["who"], newest["text"], newest["more"]) == (
                device_id,
                '{"temperature": 21.5}',
                "colour=blue",
            )
        stream.until(lambda now: not row(now, device_id)["connected"])


def test_the_tree_has_root_intermediate_and_device(lab: Lab, root: Paper, device: Device) -> None:
    with connected(lab, device):
        pass
    lab.upload("unproven", make("Somebody else's root"), verified=False)
    nodes = look(lab, until=lambda now: any(node["name"] == "Somebody else's root" for node in now["trust"]))["trust"]
    unproven = next(node for node in nodes if node["name"] == "Somebody else's root")
    assert (unproven["kind"], unproven["standing"]) == ("root CA", "not verified")
    (named,) = [node for node in nodes if node["name"] == "Development Root CA"]
    assert (named["kind"], named["standing"]) == ("CA, known by its name alone", "not uploaded")
    (below,) = named["below"]
    assert (below["kind"], below["standing"]) == ("intermediate CA", "verified")
    assert below["uploads"] == [{"service": "hub", "name": "subca", "verified": True}]
    assert device[0] in below["devices"]
    # With the root itself uploaded it stands where its name stood.
    lab.upload("root", root, verified=False)
    nodes = look(lab, until=lambda now: any(node["kind"] == "root CA" and node["below"] for node in now["trust"]))[
        "trust"
    ]
    assert next(node for node in nodes if node["name"] == "Development Root CA")["below"] == [below]


def test_a_refusal_has_the_words_of_the_log(lab: Lab, device: Device, tmp_path: Path) -> None:
    device_id, _ = device
    stranger = make("Rogue CA").issue(device_id)
    since = lab.mark()
    try_in_vain(lab, device_id, stranger.save(tmp_path, "rogue"))
    parts = look(lab, device_id, until=lambda now: any(device_id in one["who"] for one in now["refusals"]))
    refusal = parts["refusals"][0]
    assert "no verified CA certificate there stands above 'CN=Rogue CA'" in refusal["text"]
    assert f"mqtt: refused {refusal['who']}: {refusal['text']}\n" in since()
    assert parts["sides"]["meeting"]["refused"] == refusal["text"]
    assert holds(parts["sides"]["hub_trusts"]) == ["yes", "no"]
    lab.request("GET", f"/devices/{device_id}?api-version=2021-04-12")


def test_refused_requests_of_programs_hide_no_devices_refusal(lab: Lab, device: Device, tmp_path: Path) -> None:
    device_id, _ = device
    stranger = make("Rogue CA").issue(device_id)
    since = lab.mark()
    try_in_vain(lab, device_id, stranger.save(tmp_path, "rogue"))
    for _ in range(KEPT + 5):
        assert lab.request("GET", f"/devices/{device_id}?api-version=2021-04-12")[0] == 401
    parts = look(lab, until=lambda now: len(now["requests"]) == MOST_LINES)
    assert device_id in parts["refusals"][0]["who"]
    assert not [one for one in parts["refusals"] if "401" in one["text"]]
    request = parts["requests"][0]
    assert f"https: refused {request['who']}: {request['text']}\n" in since()


def test_who_comes_as_a_device_over_https_is_refused_as_one(lab: Lab, device: Device) -> None:
    """It registers, or speaks MQTT in a websocket."""
    assert lab.request("PUT", "/0ne00000000/registrations/thing/register?api-version=2021-06-01", body={})[0] == 404
    with contextlib.suppress(InvalidStatus), opened(lab, device[1], path="/elsewhere"):
        pass
    assert lab.request("GET", "/registrations/thing?api-version=2021-10-01")[0] == 401
    parts = look(lab, until=lambda now: now["requests"] and "GET /registrations/thing" in now["requests"][0]["text"])
    websocket, registration = (one["text"] for one in parts["refusals"][:2])
    assert "websocket /elsewhere" in websocket
    assert "PUT /0ne00000000/registrations/thing/register" in registration


def test_what_a_modem_holds_decides_whether_the_device_trusts_the_hub(lab: Lab, device: Device) -> None:
    device_id, files = device
    outside = look(lab, device_id)["sides"]
    assert outside["slots"] is None
    assert holds(outside["device_trusts"]) == ["unknown"]
    assert not LabFolder(lab.running.folder).modems.exists()  # whoever looks makes nothing
    memory = SecTags.open(LabFolder(lab.running.folder).modems, DeviceId.parse(device_id))
    memory.keep()
    assert holds(look(lab, device_id)["sides"]["device_trusts"]) == ["no"]
    memory.write(7, 0, make("Another root").pem)
    assert "Another root" in look(lab, device_id)["sides"]["device_trusts"][0]["text"]
    memory.write(11, 0, (lab.running.folder / "ca.pem").read_bytes())
    memory.write(10, 1, files[0].read_bytes())
    memory.write(10, 2, files[1].read_bytes())
    loaded = look(lab, device_id)["sides"]
    assert holds(loaded["device_trusts"]) == ["yes"]
    assert [(slot["tag"], slot["kind"], len(slot["papers"])) for slot in loaded["slots"]] == [
        (7, "server roots", 1),
        (10, "its certificate", 2),
        (10, "its private key", 0),
        (11, "server roots", 1),
    ]
    memory.path.write_text("damaged")
    assert look(lab, device_id)["sides"]["slots"] is None


def test_an_expired_certificate_is_named_as_one(lab: Lab, trusted: Paper, device: Device, tmp_path: Path) -> None:
    late = trusted.issue(device[0], start=-3 * DAY, end=-DAY)
    try_in_vain(lab, device[0], late.save(tmp_path, "late"))
    meeting = look(lab, device[0], until=lambda now: now["sides"]["meeting"])["sides"]["meeting"]
    assert "has expired" in meeting["refused"]
    assert meeting["shown"][0]["expired"]


def test_names_and_payloads_stay_text(lab: Lab, device: Device, tmp_path: Path) -> None:
    """As JSON in one ASCII line: neither an event nor a direction of writing can be forged. The browser's part is elsewhere."""
    device_id, _ = device
    nasty = "<img src=x onerror=alert(1)>'\"&\u202e\u2028"
    try_in_vain(lab, device_id, make(nasty).issue(nasty).save(tmp_path, "nasty"))
    lab.upload("nasty", make(nasty), verified=False)
    lab.register("thing'*(1)")
    with connected(lab, device) as line:
        send(line, device_id, f"{nasty}\n\nevent: end\ndata: {{}}\n\n".encode(), "%3Cb%3E=%0Aevent")
        with watch(lab, device_id) as stream:
            parts = stream.until(lambda now: now["telemetry"] and "event" in now["telemetry"][0]["text"])
    assert not stream.ended
    assert parts.keys() == PARTS
    assert stream.text.isascii()
    assert parts["telemetry"][0]["text"] == printable(f"{nasty}\n\nevent: end\ndata: {{}}\n\n")
    assert parts["telemetry"][0]["more"] == "<b>=\\nevent"
    assert any(node["name"] == printable(nasty) for node in parts["trust"])
    assert row(parts, "thing'*(1)")


def test_what_is_no_text_is_shown_byte_by_byte(lab: Lab, device: Device) -> None:
    with connected(lab, device) as line, watch(lab, device[0]) as stream:
        send(line, device[0], b"\xe9t\xc3\xa9\x00")
        stream.until(lambda now: now["telemetry"] and now["telemetry"][0]["text"] == r"\xe9té\x00")
        send(line, device[0], b"\xff" * 2000)
        parts = stream.until(lambda now: now["telemetry"][0]["text"].endswith("… (2000 bytes)"))
        assert parts["telemetry"][0]["text"].startswith(r"\xff\xff")
        send(line, device[0], 400 * "😀".encode())
        stream.until(lambda now: now["telemetry"][0]["text"] == 400 * "😀")
        send(line, device[0], 401 * "😀".encode())
        stream.until(lambda now: now["telemetry"][0]["text"] == f"{400 * '😀'}… (1604 bytes)")


def test_much_is_cut_to_the_newest_with_a_count(lab: Lab, device: Device) -> None:
    device_id, _ = device
    for start in range(0, 300, 100):
        crowd = [
            {"id": f"crowd-{n}", "authentication": {"type": "certificateAuthority"}} for n in range(start, start + 100)
        ]
        headers = lab.bearer("https://iothubs.azure.net")
        assert lab.request("POST", "/devices?api-version=2021-04-12", body=crowd, headers=headers)[0] == 200
    with connected(lab, device) as line:
        for n in range(MOST_LINES + 5):
            send(line, device_id, f"{n} {'long ' * 200}".encode())
        parts = look(lab, until=lambda now: now["telemetry"][0]["text"].startswith(f"{MOST_LINES + 4} "))
    assert len(parts["devices"]["rows"]) == MOST_DEVICES < 300 <= parts["devices"]["total"]
    assert row(parts, device_id)["connected"]  # active last, so it is not among those left out
    assert len(parts["telemetry"]) == MOST_LINES
    assert all(len(one["text"]) < 450 and "bytes)" in one["text"] for one in parts["telemetry"])


def test_no_secret_is_ever_shown(lab: Lab, trusted: Paper, device: Device) -> None:
    device_id, files = device
    secrets = state.read_secrets(LabFolder(lab.running.folder))
    assert secrets
    token = lab.bearer("https://management.azure.com")["Authorization"].removeprefix("Bearer ")
    key, planted = state.random_key(), "Planted" * 5
    lab.registry.create_device_with_sas("by-key", key, key, "enabled")
    pending = lab.upload("pending", make("Pending Root"), verified=False)
    where = (lab.target.resource_group, lab.target.hub, "pending")
    code = lab.arm.certificates.generate_verification_code(*where, pending.etag).properties.verification_code
    with contextlib.suppress(Exception):  # the proof is refused: another CA's
        etag = lab.arm.certificates.get(*where).etag
        lab.arm.certificates.verify(*where, etag, verification(trusted.issue(code)))
    sas = f"SharedAccessSignature sr=hub&sig={planted}&skn=iothubowner"
    lab.request("GET", f"/devices?api-version=2021-04-12&sig={planted}", headers={"Authorization": sas})
    memory = SecTags.open(LabFolder(lab.running.folder).modems, DeviceId.parse(device_id))
    memory.write(10, 2, files[1].read_bytes())
    memory.write(10, 3, planted.encode())
    with tls(lab, files) as line:
        head = text("MQTT") + bytes((4, 0xC0)) + (60).to_bytes(2, "big")
        line.sendall(packet(0x10, head + text("by-key") + text(username(lab, "by-key")) + text(sas)))
        assert connack(line) == 5
    with connected(lab, device):
        pass
    served = "".join(ask(lab, path)[2] for path in ("/", "/page.js", "/page.css"))
    for chosen in ("", device_id, "by-key"):
        with watch(lab, chosen) as stream:
            stream.until(lambda now: now["refusals"])
        served += stream.text
    assert "by-key" in served
    assert "its private key" in served
    keys = [one for pair in (secrets.policy_keys | secrets.provisioning_keys).values() for one in pair]
    pem = files[1].read_text().splitlines()[1]
    for secret in (key, planted, code, token, secrets.control_token, secrets.client_secret, pem, *keys, "PRIVATE KEY"):
        assert secret not in served
        assert secret not in lab.log


def test_at_most_some_tens_watch_and_the_end_of_the_lab_is_told(make_session_in: Any, tmp_path: Path, lab: Lab) -> None:
    session = make_session_in(tmp_path / "ws")
    own = Lab(session, control.start(session), lab.target, lab.credential, None, None)
    with contextlib.ExitStack() as streams:
        first = streams.enter_context(watch(own))
        for _ in range(23):
            streams.enter_context(watch(own))
        assert ask(own, "/live")[0] == 503
        assert ask(own, "/")[0] == 200
        first.until(lambda _: True)
        control.stop(session)
        first.until_ended()


def test_what_is_wrong_on_purpose_is_told(tmp_path: Path) -> None:
    with hub_in(tmp_path / "lab") as hub:
        assert picture(hub, "").lab.mischief == ""
        hub.role = dataclasses.replace(hub.role, chaos=Chaos(7, 0.2))
        chaos = "This lab misbehaves on purpose: --chaos seed=7,rate=0.2"
        assert picture(hub, "").lab.mischief == chaos
        for device, whose in (("thing-1", "of device thing-1 "), ("", "")):
            hub.watch.begin(device, frozenset())
            told = f"A trial {whose}is under way (invoke advise): this lab misbehaves on purpose."
            assert picture(hub, "").lab.mischief == told
        hub.watch.end()
        assert picture(hub, "").lab.mischief == chaos
