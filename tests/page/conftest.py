"""A lab whose page is looked at, shared by a file's tests; certificates under it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.lab.clients import Lab, connect_clients
from tests.paper import Paper, make
from thingmint import config
from thingmint.console import Console
from thingmint.lab import control
from thingmint.session import make_session

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = Path("/usr/bin/chromium")


@contextlib.contextmanager
def lab_in(folder: Path) -> Iterator[Lab]:
    session = make_session(folder, config.load({}), Console(), echo=False, dry=False)
    running = control.start(session)
    try:
        yield connect_clients(session, running)
    finally:
        control.stop(session)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with lab_in(tmp_path_factory.mktemp("page-ws")) as started:
        yield started


@pytest.fixture
def empty_lab(tmp_path: Path) -> Iterator[Lab]:
    """In which nothing happened yet."""
    with lab_in(tmp_path) as started:
        yield started


@pytest.fixture(scope="module")
def root() -> Paper:
    return make("Development Root CA")


@pytest.fixture(scope="module")
def subca(root: Paper) -> Paper:
    return root.issue("Development Intermediate CA", ca=True)


@pytest.fixture(scope="module")
def trusted(lab: Lab, subca: Paper) -> Paper:
    """The intermediate, uploaded and verified."""
    lab.upload("subca", subca)
    return subca


@pytest.fixture
def device(lab: Lab, trusted: Paper, tmp_path: Path) -> tuple[str, tuple[Path, Path]]:
    """A registered device and its certificate, with the intermediate behind it; ids differ from test to test."""
    device_id = f"thing-{tmp_path.name[:50]}"
    lab.register(device_id)
    return device_id, trusted.issue(device_id).save(tmp_path, "device", trusted)


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Debian's Chromium, headless, that speaks to nobody but the page."""
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    switches = "headless no-sandbox disable-lcd-text disable-gpu disable-quic no-first-run disable-background-networking disable-component-update disable-sync"
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(
            executable_path=CHROMIUM, args=[f"--{switch}" for switch in switches.split()]
        )
        yield launched
        launched.close()


@pytest.fixture
def page(browser: "Browser") -> Iterator["Page"]:
    """A tab, in which nothing may fail, be blocked, or come from elsewhere."""
    tab = browser.new_page(viewport={"width": 1280, "height": 900}, reduced_motion="reduce", locale="en-GB")
    troubles: list[str] = []
    asked: set[str] = set()
    tab.on("pageerror", lambda error: troubles.append(str(error)))
    tab.on("console", lambda line: troubles.append(line.text) if "ERR_" not in line.text else None)  # the lab is gone
    tab.on("request", lambda request: asked.add(urlsplit(request.url).hostname or request.url))
    yield tab
    tab.close()
    assert not troubles
    assert asked <= {"localhost"}
