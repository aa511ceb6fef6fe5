"""The page in a real browser: everything as it happens and without reloading, and nothing that a client sends is markup."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from tests.conftest import MakeSession
from tests.lab.clients import Lab, mqtt_connect, tls, verification
from tests.page.inprocess import hub_in, serving
from tests.page.scene import refused, send
from tests.paper import Paper, make
from thingmint.lab import control

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 20_000.0


def see(page: "Page", selector: str, text: str | re.Pattern[str]) -> None:
    from playwright.sync_api import expect

    expect(page.locator(selector)).to_contain_text(text, timeout=SECONDS)


def open_page(page: "Page", address: str) -> None:
    page.goto(address)
    see(page, "#state", "live")
    page.evaluate("window.loadedOnce = true")


def test_each_step_shows_as_it_happens(page: "Page", empty_lab: Lab, subca: Paper, tmp_path: Path) -> None:
    lab = empty_lab
    open_page(page, lab.running.page)
    see(page, "#trust", "No CA was uploaded yet")
    see(page, "#sides", "No device yet")
    see(page, "#telemetry-none", "Nothing was heard yet")
    see(page, "#refusals-none", "No device was turned away yet")
    uploaded = lab.upload("subca", subca, verified=False)
    see(page, "#trust", "Development Intermediate CA")
    see(page, "#trust .badge >> nth=1", "not verified")
    where = (lab.target.resource_group, lab.target.hub, "subca")
    coded = lab.arm.certificates.generate_verification_code(*where, uploaded.etag)
    proof = subca.issue(coded.properties.verification_code)
    lab.arm.certificates.verify(*where, coded.etag, verification(proof))
    see(page, "#trust .badge >> nth=1", re.compile(r"^verified"))
    lab.register("thing-1")
    see(page, "#devices", "thing-1")
    see(page, "#devices .badge", "not connected")
    with tls(lab, subca.issue("thing-1").save(tmp_path, "thing", subca)) as line:
        assert mqtt_connect(lab, line, "thing-1") == 0
        see(page, "#devices .badge", re.compile(r"^connected"))
        see(page, "#sides", "The verified CA subca stands above its certificate.")
        see(page, ".meeting", "accepted")
        send(line, "thing-1", '{"temperature": 21.5}')
        see(page, "#telemetry", '{"temperature": 21.5}')
        see(page, "#announcer", "A message from thing-1.")
        send(line, "thing-1", '{"temperature": 24.0}')
        see(page, "#curve", "temperature 24 of thing-1, between 21.5 and 24")
    see(page, "#devices .badge", "not connected")
    refused(lab, "thing-1", make("Rogue CA").issue("thing-1").save(tmp_path, "rogue"))
    see(page, "#refusals", "no verified CA certificate there stands above 'CN=Rogue CA'")
    see(page, ".meeting", "refused")
    see(page, "#announcer", "Refused: certificate CN 'thing-1': unknown issuer")
    assert page.evaluate("window.loadedOnce")


def test_what_clients_send_is_never_markup(page: "Page", lab: Lab, trusted: Paper, tmp_path: Path) -> None:
    nasty = "<img src=x onerror=\"document.title='pwned'\"><script>document.title='pwned'</script>"
    open_page(page, lab.running.page)
    lab.upload("nasty", make("<img src=x onerror=document.title='pwned'>"), verified=False)
    lab.register("it's*(1)%")
    refused(lab, "x", make("<b onclick=alert(1)>").issue("<svg onload=alert(1)>").save(tmp_path, "nasty"))
    with tls(lab, trusted.issue("it's*(1)%").save(tmp_path, "thing", trusted)) as line:
        assert mqtt_connect(lab, line, "it's*(1)%") == 0
        send(line, "it's*(1)%", nasty)
        see(page, "#telemetry", nasty)
    see(page, "#trust", "<img src=x onerror=document.title='pwned'>")
    see(page, "#refusals", "<svg onload=alert(1)>")
    page.get_by_role("button", name="it's*(1)%").click()
    see(page, "#sides h3 >> nth=0", "it's*(1)%")
    assert page.url.endswith("#device=it's*(1)%25")
    page.reload()
    see(page, "#sides h3 >> nth=0", "it's*(1)%")
    assert page.locator("main img, main script, main svg:not(#curve svg)").count() == 0
    assert "pwned" not in page.title()


def test_what_is_long_is_wrapped(page: "Page", lab: Lab, trusted: Paper, tmp_path: Path) -> None:
    lab.register("350457791791735879")
    open_page(page, lab.running.page)
    with tls(lab, trusted.issue("350457791791735879").save(tmp_path, "thing", trusted)) as line:
        assert mqtt_connect(lab, line, "350457791791735879") == 0
        send(line, "350457791791735879", f'{{"data":"{"x" * 300}"}}')
    see(page, "#telemetry", "xxx")
    for width in (1100, 1280, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        wide, room = page.evaluate(
            "(one => [one.scrollWidth, one.clientWidth])(document.querySelector('.telemetry .scroll'))"
        )
        assert wide <= room, width


def test_refused_requests_are_folded_away(page: "Page", empty_lab: Lab, tmp_path: Path) -> None:
    open_page(page, empty_lab.running.page)
    see(page, "#refusals-none", "No device was turned away yet")
    assert not page.locator("#requests-fold").is_visible()
    for _ in range(2):
        empty_lab.request("GET", "/devices/nobody?api-version=2021-04-12")
    see(page, "#requests-fold summary", "Refused requests of programs: 2")
    refused(empty_lab, "x", make("Rogue CA").issue("stranger").save(tmp_path, "stranger"))
    see(page, "#refusals", "stranger")
    assert page.locator("#refusals tr").count() == 1
    assert not page.locator("#requests").is_visible()
    page.locator("#requests-fold summary").focus()
    page.keyboard.press("Enter")
    see(page, "#requests", "GET /devices/nobody → 401")
    assert "401" not in page.locator("#announcer").inner_text()


def test_the_page_shows_a_rehearsal_as_it_happens(page: "Page", tmp_path: Path) -> None:
    environment = {**os.environ, "THINGMINT_WORKSPACE": str(tmp_path / "ws"), "THINGMINT_PKI_KEY": "ec:P-256"}
    command = [str(Path(sys.executable).with_name("invoke")), "rehearse", "--imei", "350457791791735879"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as rehearsal:
        assert rehearsal.stderr
        line = next(line for line in rehearsal.stderr if line.startswith("watch it: "))
        drain = threading.Thread(target=rehearsal.stderr.read)
        drain.start()
        open_page(page, line.removeprefix("watch it: ").strip())
        for selector, text in (
            ("#trust", "Development Intermediate CA"),
            ("#verified", "1 of 1"),
            ("#devices", "350457791791735879"),
            ("#telemetry", "temperature"),
            ("#sides", "its private key"),
            ("#sides", "which signed the hub's certificate."),
            ("#devices", "350457791791735879-keygen"),
            ("#trust", "provisioning service: "),
            ("#devices", "350457791791735879-dps"),
            ("#state", "the lab has ended: its last picture"),
        ):
            see(page, selector, text)
        drain.join()
    assert rehearsal.returncode == 0
    assert page.locator("#telemetry tr").count() == 4


def test_a_lost_connection_is_said(page: "Page", make_session_in: MakeSession, tmp_path: Path) -> None:
    lab = control.start(make_session_in(tmp_path / "ws"))
    open_page(page, lab.page)
    os.kill(lab.pid, signal.SIGTERM if os.name == "nt" else signal.SIGKILL)
    see(page, "#state", "connection lost, trying again")


def test_a_page_comes_back_by_itself(page: "Page", tmp_path: Path) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = int(listener.getsockname()[1])
    with hub_beside(tmp_path, listener):
        open_page(page, f"http://localhost:{port}/")
    see(page, "#state", "connection lost")
    with hub_beside(tmp_path, socket.create_server(("127.0.0.1", port))):
        see(page, "#state", "live")
    assert page.evaluate("window.loadedOnce")


class hub_beside:  # noqa: N801 - used as a `with`
    """The page's server in a thread of its own, cut off at the end."""

    def __init__(self, folder: Path, listener: socket.socket) -> None:
        self._folder, self._listener = folder / "lab", listener
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()))

    async def _serve(self) -> None:
        with hub_in(self._folder) as hub:
            async with serving(hub, self._listener):
                await self._over.wait()

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        self._loop.close()
