"""The page for everybody: by keyboard, by ear, enlarged, on a narrow screen, light and dark; and its pictures for the docs.

The checks of axe-core (https://github.com/dequelabs/axe-core) find about half of what can be wrong; the walks are ours.
"""

import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from tests.lab.clients import Lab
from tests.page.scene import IMEI, OTHER, scene
from tests.page.test_browser import open_page, see
from tests.paper import Paper
from thingmint.lab import trials

if TYPE_CHECKING:
    from playwright.sync_api import Page

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
SCREENSHOTS = os.environ.get("SCREENSHOTS")  # a folder: `make screenshots`


@pytest.fixture(scope="module")
def busy(lab: Lab, subca: Paper, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with scene(lab, subca, tmp_path_factory.mktemp("scene")):
        yield lab


@pytest.fixture
def shown(page: "Page", busy: Lab) -> "Page":
    open_page(page, busy.running.page)
    see(page, "#telemetry tr >> nth=0", "23.5")
    see(page, "#sides", IMEI)
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 320])
def test_axe_finds_nothing(shown: "Page", scheme: Scheme, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    shown.emulate_media(color_scheme=scheme)
    shown.set_viewport_size({"width": width, "height": 900})
    shown.locator("summary").click()
    found = axe.run(shown)
    assert not found.response["violations"], found.generate_report()
    assert len(found.response["passes"]) > 20


def test_what_is_wrong_on_purpose_is_said_and_not_by_colour_alone(shown: "Page", busy: Lab) -> None:
    banner = shown.get_by_role("status").filter(has_text="on purpose")
    assert banner.count() == 0
    with trials.begun(busy.running, "on-trial"):  # nobody: the devices stay as they are
        shown.reload()
        see(shown, "#mischief", "A trial of device on-trial is under way (invoke advise)")
        assert banner.is_visible()
        for scheme in SCHEMES:
            axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
            shown.emulate_media(color_scheme=scheme)
            found = axe.run(shown)
            assert not found.response["violations"], found.generate_report()
    shown.reload()
    see(shown, "#state", "live")
    see(shown, "#telemetry tr >> nth=0", "23.5")
    assert not shown.locator("#mischief").is_visible()


@pytest.mark.parametrize("width", [320, 640, 1280])  # 640: a window of 1280 at 200 %
def test_nothing_is_cut_off_to_the_side(shown: "Page", width: int) -> None:
    shown.set_viewport_size({"width": width, "height": 700})
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    # What is wider, such as a table, scrolls in a region of its own, by keyboard too.
    stuck = shown.evaluate(
        """() => [...document.querySelectorAll("main *")].filter((one) => !one.closest(".scroll, .unseen")
             && one.getBoundingClientRect().right > innerWidth + 1).map((one) => one.outerHTML)"""
    )
    assert not stuck


def test_all_of_it_by_keyboard(shown: "Page") -> None:
    def focus() -> str:
        return str(shown.evaluate("document.activeElement.textContent || document.activeElement.id"))

    shown.keyboard.press("Tab")
    assert focus() == "Skip to the lab"
    assert shown.locator(".skip").bounding_box()["y"] >= 0  # type: ignore[index]
    shown.keyboard.press("Enter")
    assert shown.evaluate("document.activeElement.id") == "main"
    reached = []
    for _ in range(8):
        shown.keyboard.press("Tab")
        reached.append(focus())
        assert shown.evaluate("getComputedStyle(document.activeElement).outlineWidth") == "3px"
        if reached[-1] == OTHER:
            break
    assert IMEI in reached
    shown.keyboard.press("Enter")
    see(shown, "#sides h3 >> nth=0", OTHER)
    assert focus() == OTHER
    assert shown.evaluate("document.activeElement.ariaPressed") == "true"
    shown.keyboard.press("Shift+Tab")
    while focus() != "Follow the latest device":
        shown.keyboard.press("Shift+Tab")
    shown.keyboard.press("Enter")
    see(shown, "#sides h3 >> nth=0", IMEI)
    assert shown.evaluate("document.activeElement.id") == "main"


def test_focus_stays_where_it_is_while_things_happen(shown: "Page", busy: Lab) -> None:
    shown.get_by_role("button", name=OTHER).focus()
    busy.register("000-comes-first")
    see(shown, "#devices", "000-comes-first")
    assert shown.evaluate("document.activeElement.textContent") == OTHER


def test_by_ear_it_has_landmarks_headings_and_named_tables(shown: "Page") -> None:
    assert [shown.get_by_role(role).count() for role in ("banner", "main", "contentinfo")] == [1, 1, 1]
    levels = shown.evaluate("[...document.querySelectorAll('h1, h2, h3')].map((one) => Number(one.tagName[1]))")
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for table in shown.get_by_role("table").all():
        assert table.locator("caption").inner_text()
        assert table.locator("th[scope=col]").count() >= 3
    # A state is a word before it is a sign or a colour.
    assert all(word.strip() for word in shown.locator(".badge, #state").all_inner_texts())
    assert shown.get_by_text("Yes: ").count() == 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_its_pictures_are_taken(shown: "Page", scheme: Scheme, tmp_path: Path) -> None:
    shown.emulate_media(color_scheme=scheme)
    file = (Path(SCREENSHOTS) if SCREENSHOTS else tmp_path) / f"page-{scheme}.png"
    shown.screenshot(path=file, full_page=scheme == "light")
    assert 20_000 < file.stat().st_size < 350_000
