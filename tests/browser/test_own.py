"""The kiosk's own browser: its page says that it is alive, and nothing lies over it."""

import json
import time
import urllib.request
from collections.abc import Callable

import pytest
from playwright.sync_api import Page
from support.stage import Stage, Watched

Watch = Callable[..., Watched]

TOKEN = "0123456789abcdef0123456789abcdef"
ALIVE_S = 5.0
"""The page says it this often."""


def seconds(stage: Stage) -> float | None:
    with urllib.request.urlopen(f"{stage.url}/alive/{TOKEN}", timeout=20) as answer:
        told: float | None = json.load(answer)["seconds"]
    return told


def speaks(stage: Stage, page: Page) -> None:
    """Wait for a sign of life from now on."""
    asked = time.monotonic()
    while (told := seconds(stage)) is None or told > time.monotonic() - asked:
        assert time.monotonic() - asked < 40, f"the last sign of life: {told} s ago"
        page.wait_for_timeout(100)


def silent(stage: Stage, page: Page, *, within: float = 3 * ALIVE_S) -> None:
    """In all this time there is no sign of life: the last one is as old as it must be."""
    before, asked = seconds(stage), time.monotonic()
    page.wait_for_timeout(1000 * within)
    after = seconds(stage)
    if before is None:
        assert after is None
    else:
        assert after is not None
        assert after > time.monotonic() - asked - 1


def own(watched: Watched, name: str = "entrance") -> None:
    """As the kiosk's unit opens it: a tab of its own, the token behind the address."""
    watched.page.goto("about:blank")
    watched.open(f"{name}#kiosk={TOKEN}")


def test_the_own_page_speaks_and_shows_no_token_in_its_address(stage: Stage, watch: Watch) -> None:
    watched = watch("scale")
    own(watched)
    speaks(stage, watched.page)
    assert watched.page.url == f"{stage.url}/entrance"


def test_another_page_and_back_is_still_the_own_page(stage: Stage, watch: Watch) -> None:
    watched = watch("scale")
    own(watched)
    watched.page.click("nav [data-what=en]")
    watched.until("document.documentElement.lang === 'en'")
    for name in ("status", "entrance"):
        watched.open(name)
        speaks(stage, watched.page)
    watched.page.reload()
    speaks(stage, watched.page)


def test_a_second_browser_keeps_no_dead_kiosk_alive(stage: Stage, watch: Watch) -> None:
    first = watch("entrance")
    own(first)
    speaks(stage, first.page)
    first.page.close()
    second = watch("entrance")
    silent(stage, second.page)
    assert not [url for url in second.requests if url.endswith("/alive")]


def test_a_page_that_does_not_hear_the_station_says_nothing(stage: Stage, watch: Watch) -> None:
    """Its stream is held back; everything else is answered."""
    watched = watch("scale")
    watched.page.route("**/entrance/stream", lambda route: None)
    own(watched)
    silent(stage, watched.page)


def test_a_page_that_is_not_drawn_says_nothing(stage: Stage, watch: Watch) -> None:
    """Timers and the stream go on in it."""
    watched = watch("scale")
    watched.page.add_init_script("window.requestAnimationFrame = () => 0")
    own(watched)
    silent(stage, watched.page)


KEYS = [
    {"key": "p", "ctrlKey": True},
    {"key": "ArrowLeft", "altKey": True},
    {"key": "F1"},
    {"key": "F12"},
    {"key": "BrowserHome"},
    {"key": "ContextMenu"},
]
KEPT = """(key) => !document.body.dispatchEvent(
    new KeyboardEvent("keydown", { ...key, bubbles: true, cancelable: true }))"""


@pytest.mark.parametrize("key", KEYS, ids=lambda key: str(key["key"]))
def test_no_key_of_the_kiosk_reaches_the_browser(
    key: dict[str, object], stage: Stage, watch: Watch
) -> None:
    watched = watch("scale")
    assert not watched.page.evaluate(KEPT, key), "a technician's browser lost a key"
    own(watched)
    assert watched.page.evaluate(KEPT, key)


@pytest.mark.parametrize("key", ["Tab", "Enter", "a", " ", "ArrowDown", "Escape"])
def test_keys_of_the_page_stay_the_pages(key: str, stage: Stage, watch: Watch) -> None:
    watched = watch("scale")
    own(watched)
    assert not watched.page.evaluate(KEPT, {"key": key})


GESTURES = """() => ["contextmenu", "dragstart"].map((name) => !document.body.dispatchEvent(
    new Event(name, { bubbles: true, cancelable: true })))"""
WHEEL = """() => !document.body.dispatchEvent(
    new WheelEvent("wheel", { ctrlKey: true, bubbles: true, cancelable: true }))"""


def test_no_menu_no_drag_and_no_zoom_at_the_kiosk(stage: Stage, watch: Watch) -> None:
    watched = watch("scale")
    own(watched)
    assert watched.page.evaluate(GESTURES) == [True, True]
    assert watched.page.evaluate(WHEEL)


@pytest.mark.parametrize("name", ["entrance", "scale", "photo", "status", "nowhere"])
def test_no_page_is_offered_to_a_translator(name: str, stage: Stage, watch: Watch) -> None:
    watched = watch("scale")
    watched.open(name)
    meta = watched.page.locator("meta[name=google]").get_attribute("content")
    assert meta == "notranslate"
    assert watched.page.locator("html").get_attribute("translate") == "no"
