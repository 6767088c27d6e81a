"""Nervous fingers, a keyboard, a screen reader, two pages, and the person after."""

import time
from collections.abc import Callable

from playwright.sync_api import Page
from support.screens import CAMILLE, SACHA
from support.stage import Stage, Watched

from devices import Health, State
from printer import NotPrinted

Watch = Callable[..., Watched]


PRESS = """async ([x, y, times]) => {
  for (let tap = 0; tap < times; tap++) {
    document.elementFromPoint(x, y).click();
    await new Promise((later) => setTimeout(later, 50));
  }
}"""
"""In the page itself: between two calls from here, a busy machine may let any time pass."""


def press(page: Page, selector: str, times: int) -> None:
    """A finger on one place, twenty times a second, whatever comes under it."""
    spot = page.locator(selector).bounding_box()
    assert spot is not None
    page.evaluate(PRESS, [spot["x"] + spot["width"] / 2, spot["y"] + spot["height"] / 2, times])


def weigh(stage: Stage) -> None:
    """A scale says its weight over and over; an old one is not printed."""
    stage.do(stage.bench.scale.put, 482)


def pause() -> None:
    """A button that has only just appeared is not meant."""
    time.sleep(0.4)


def test_ten_taps_on_a_product_choose_it(stage: Stage, watch: Watch) -> None:
    watched = watch("scale", 800, 480)
    stage.do(stage.bench.scale.put, 482)
    watched.page.wait_for_selector("main.is-pick")
    pause()
    press(watched.page, "text=Pommes Gala", 10)
    pause()
    assert watched.page.get_attribute("main", "class") == "weighing is-ready"


def test_ten_taps_on_print_are_one_attempt_also_when_it_fails(stage: Stage, watch: Watch) -> None:
    watched = watch("scale", 800, 480)
    page = watched.page
    stage.bench.printer.failure = NotPrinted("printer.silent", sure=False)
    weigh(stage)
    page.click("text=Pommes Gala")
    page.wait_for_selector("main.is-ready")
    pause()
    weigh(stage)
    press(page, ".main", 10)
    page.wait_for_selector("main.is-not_printed")
    facts = stage.wait(stage.bench.facts("label"))
    assert [fact["action"] for fact in facts] == ["print", "void"]
    page.wait_for_selector("[data-do=retry]")
    pause()
    stage.bench.printer.failure = None
    weigh(stage)
    page.click(".main")
    page.wait_for_selector("main.is-take")


def test_nobody_sees_the_face_of_the_person_before(stage: Stage, watch: Watch) -> None:
    watched = watch("photo")
    page, camera = watched.page, stage.bench.camera
    flowing = camera.frames.set
    for badge in (CAMILLE, SACHA):
        stage.do(stage.bench.reader.show, badge)
        page.wait_for_selector("main.is-consent")
        pause()
        page.click("[data-do=start]")
        page.wait_for_selector("main.is-framing")
        if badge == SACHA:  # the camera has shown nothing of this sitting yet
            time.sleep(0.5)
            assert page.evaluate("document.querySelector('.mirror').naturalWidth") == 0
            camera.frames.set = flowing
        watched.until("document.querySelector('.mirror')?.naturalWidth > 0")
        page.wait_for_selector("main.is-review")
        watched.until("document.querySelector('.shot')?.naturalWidth > 0")
        pause()
        page.click("[data-do=erase]")
        page.wait_for_selector("main.is-dropped")
        camera.frames.set = lambda _: None
    pictures = [url for url in watched.requests if "jpg" in url]
    assert len(pictures) == len(set(pictures)) >= 4
    watched.sound()


def test_a_keyboard_stays_where_it_is(stage: Stage, watch: Watch) -> None:
    watched = watch("scale")
    page = watched.page
    page.focus("[data-do=pick][data-what='104']")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-what='104'][aria-pressed=true]")
    assert page.evaluate("document.activeElement.dataset.what") == "104"
    watched.sound()


def test_a_screen_reader_hears_what_is_to_be_done(stage: Stage, watch: Watch) -> None:
    watched = watch("scale")
    page = watched.page
    region = page.locator("#heard[role=status]")
    region.evaluate("(e) => { e.stays = true; }")
    for grams, words in ((0, "1 · Posez le produit"), (482, "2 · Choisissez votre produit")):
        stage.do(stage.bench.scale.put, grams)
        page.wait_for_selector(f"#heard:text('{words}')", state="attached")
    assert region.evaluate("(e) => e.stays"), "a region that is replaced is not read out"
    watched = watch("photo")
    told = watched.page.locator("#told[role=status]")
    told.evaluate("(e) => { e.stays = true; }")
    stage.do(stage.bench.reader.show, CAMILLE)
    watched.page.wait_for_selector("text=Camille, votre photo")
    assert told.evaluate("(e) => e.stays")


def test_two_pages_of_one_station_show_the_same(stage: Stage, watch: Watch) -> None:
    one, other = watch("scale"), watch("scale", 800, 480)
    stage.do(stage.bench.scale.put, 482)
    one.page.click("text=Pommes Gala")
    other.page.wait_for_selector("main.is-ready")
    pause()
    weigh(stage)
    other.page.click(".main")
    one.page.wait_for_selector("main.is-take")
    stage.do(stage.bench.scale.put, 0)
    for watched in (one, other):
        watched.page.wait_for_selector("main.is-empty")
        watched.sound()
    assert len(stage.bench.printer.labels) == 1


def test_the_journal_is_plain_whatever_happened(stage: Stage, watch: Watch) -> None:
    for level in ("info", "warning", "error"):
        stage.do(stage.bench.store.journal.add, level, "device.unplugged", {}, "balance")
    page = watch("status").page
    page.wait_for_selector("#journal p.error")
    looks = page.locator("#journal p").evaluate_all(
        "(lines) => lines.map((e) => getComputedStyle(e).backgroundColor)"
    )
    assert set(looks) == {"rgba(0, 0, 0, 0)"}, "a level is no tone of the entrance"


def test_a_technicians_button_stays_under_the_finger(stage: Stage, watch: Watch) -> None:
    stage.do(stage.bench.scale.health.set, Health(State.REFUSED, "scale.wrong_unit"))
    watched = watch("status")
    page = watched.page
    button = page.locator("[data-do=retry][data-what=balance]")
    button.evaluate("(e) => { e.stays = true; }")
    since = page.inner_text("#since-balance")
    watched.until(f"document.getElementById('since-balance').innerText !== '{since}'")
    assert button.evaluate("(e) => e.stays")
    button.click()
    until = time.monotonic() + 8
    while not stage.bench.scale.retry.is_set():
        assert time.monotonic() < until
        time.sleep(0.02)
