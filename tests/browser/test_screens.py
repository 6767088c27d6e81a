"""Each screen in a real browser: what a person sees and what their taps do."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.screens import CAMILLE, DOMINIQUE, SACHA, STRANGER
from support.stage import Stage, Watched

from printer import NotPrinted

Watch = Callable[..., Watched]
VERDICTS = [(CAMILLE, "ok"), (SACHA, "warn"), (DOMINIQUE, "stop"), (STRANGER, "unknown")]


def test_a_badge_and_its_verdict(stage: Stage, watch: Watch) -> None:
    watched = watch("entrance")
    page = watched.page
    page.wait_for_selector("text=Présentez votre badge")
    for badge, state, words in [
        (CAMILLE, "ok", "Bonjour Camille"),
        (SACHA, "warn", "Pensez à choisir un rattrapage"),
        (DOMINIQUE, "stop", "Pase por recepción"),
        (STRANGER, "unknown", "Badge non reconnu"),
    ]:
        stage.do(stage.bench.reader.show, badge)
        page.wait_for_selector(f"main.is-{state}")
        assert words in page.inner_text("#answer")
        assert badge not in page.content()
    assert page.evaluate("document.documentElement.lang") == "fr"
    watched.sound()


def test_the_states_differ_without_colour(stage: Stage, watch: Watch) -> None:
    watched = watch("entrance")
    signs = set()
    for badge, state in VERDICTS:
        stage.do(stage.bench.reader.show, badge)
        watched.page.wait_for_selector(f"main.is-{state}")
        signs.add(watched.page.inner_html(".sign"))
    assert len(signs) == 4


def test_weighing_to_the_label(stage: Stage, watch: Watch) -> None:
    watched = watch("scale", 800, 480)
    page = watched.page
    scale, printer = stage.bench.scale, stage.bench.printer
    stage.do(scale.put, 482)
    page.wait_for_selector("main.is-pick")
    page.click("text=Pommes Gala")
    page.wait_for_selector("main.is-ready")
    assert page.inner_text("#weight") == "0,482"
    assert page.inner_text("#total") == "1,42\u00a0€"
    stage.do(scale.put, 490)
    watched.until("document.getElementById('weight').textContent === '0,490'")
    time.sleep(0.3)  # a button that has only just appeared is not meant
    spot = page.locator(".main").bounding_box()
    assert spot is not None
    for _ in range(10):  # a finger presses a place, whatever button is there by then
        page.mouse.click(spot["x"] + spot["width"] / 2, spot["y"] + spot["height"] / 2)
    page.wait_for_selector("main.is-take")
    watched.until("document.querySelector('.telling img').naturalWidth > 0")
    stage.do(scale.put, 0)
    page.wait_for_selector("main.is-empty")
    assert [label.barcode[7:12] for label in printer.labels] == ["00490"]
    watched.sound()


def test_a_name_typed_on_the_screen_and_on_a_keyboard(stage: Stage, watch: Watch) -> None:
    watched = watch("scale")
    page = watched.page
    page.click("text=N° ou nom")
    page.click(".keys >> text=ABC")
    page.wait_for_selector(".keys.letters")
    page.click("[data-what=p]")
    page.wait_for_selector(".query >> text=P")
    page.keyboard.press("a")
    watched.until("document.querySelectorAll('.found button').length === 1")
    assert "Pâtes" in page.inner_text(".found")
    page.keyboard.press("Backspace")
    watched.until("document.querySelectorAll('.found button').length === 3")
    watched.sound()


def test_no_label_is_told_with_what_to_say_at_the_till(stage: Stage, watch: Watch) -> None:
    watched = watch("scale")
    page = watched.page
    stage.bench.printer.failure = NotPrinted("printer.paper_out", sure=True)
    stage.do(stage.bench.scale.put, 482)
    page.click("text=Pommes Gala")
    page.wait_for_selector("main.is-ready")
    time.sleep(0.3)
    page.click(".main")
    page.wait_for_selector("main.is-not_printed")
    told = page.inner_text(".telling")
    assert "produit 00104" in told
    assert "0,482" in told
    assert page.inner_text("#weight") == "0,482"


def test_digits_vanish_with_the_scale(stage: Stage, watch: Watch) -> None:
    watched = watch("scale")
    stage.do(stage.bench.scale.put, 482)
    watched.page.wait_for_selector("main.is-pick")
    stage.do(stage.bench.unplug, stage.bench.scale)
    watched.page.wait_for_selector("main.is-scale_absent")
    assert watched.page.inner_text("#weight") == ""


def test_a_photo_from_badge_to_kept(stage: Stage, watch: Watch) -> None:
    watched = watch("photo")
    page = watched.page
    stage.do(stage.bench.reader.show, CAMILLE)
    page.wait_for_selector("main.is-consent")
    time.sleep(0.5)
    page.click("text=Commencer")
    watched.until("document.querySelector('.mirror')?.naturalWidth > 0")
    page.wait_for_selector("main.is-review")
    watched.until("document.querySelector('.shot')?.naturalWidth > 0")
    time.sleep(0.5)
    page.click("text=Oui, l’utiliser")
    page.wait_for_selector("main.is-kept")
    assert len(stage.wait(stage.bench.facts("photo"))) == 1
    watched.sound()


@pytest.mark.parametrize("name", ["entrance", "scale", "photo", "status"])
def test_a_first_visit_is_light_and_private(watch: Watch, name: str) -> None:
    watched = watch(name)
    watched.page.wait_for_timeout(400)
    assert len(watched.requests) <= 6, watched.requests
    sizes = watched.page.evaluate(
        "performance.getEntries().reduce((sum, e) => sum + (e.transferSize || 0), 0)"
    )
    assert 3_000 < sizes < 60_000
    watched.sound()


def test_the_language_of_the_whole_page(stage: Stage, watch: Watch) -> None:
    watched = watch("scale")
    watched.page.click("text=EN")
    watched.page.wait_for_selector("text=Often weighed")
    assert watched.page.evaluate("document.documentElement.lang") == "en"
    assert "the weight shown is the scale’s own" in watched.page.inner_text("footer")
    watched.sound()


def test_a_frozen_daemon_is_told_and_its_numbers_hidden(stage: Stage, watch: Watch) -> None:
    watched = watch("scale")
    page = watched.page
    stage.do(stage.bench.scale.put, 482)
    page.wait_for_selector("main.is-pick")
    before = time.monotonic()
    stage.freeze(7.5)
    page.wait_for_selector("#away", state="visible")
    assert time.monotonic() - before <= 7.5  # 6 s on a machine that has nothing else to do
    assert "La borne redémarre" in page.inner_text("#away")
    assert not page.is_visible("#weight")
    page.wait_for_selector("#away", state="hidden", timeout=15_000)
    assert page.is_visible("#weight")


def test_a_number_that_may_be_old_goes_before_the_page_knows_why(
    stage: Stage, watch: Watch
) -> None:
    watched = watch("scale")
    page = watched.page
    stage.do(stage.bench.scale.put, 482)
    page.wait_for_selector("main.is-pick")
    assert watched.page.evaluate("document.body.className") == ""
    page.evaluate(
        """() => {
          window.left = [];
          new MutationObserver(() => {
            const now = document.body.className;
            if (now !== left.at(-1)) left.push(now);
          })
            .observe(document.body, { attributes: true, attributeFilter: ["class"] });
        }"""
    )
    stage.freeze(7.5)
    page.wait_for_selector("#away", state="visible")
    assert page.evaluate("left") == ["late", "late silent"]
    assert page.evaluate("getComputedStyle(document.getElementById('weight')).visibility") == (
        "hidden"
    )
    page.wait_for_selector("#away", state="hidden", timeout=15_000)
    assert page.is_visible("#weight")


def test_a_line_that_is_closed_takes_the_number_at_once(stage: Stage, watch: Watch) -> None:
    """As by a daemon that was killed: no heartbeat is waited for."""
    watched = watch("scale")
    page = watched.page
    stage.do(stage.bench.scale.put, 482)
    page.wait_for_selector("main.is-pick")
    page.evaluate(
        """() => {
          window.told = [];
          new MutationObserver(() => told.push(document.body.className))
            .observe(document.body, { attributes: true, attributeFilter: ["class"] });
        }"""
    )
    stage.hang_up()
    page.wait_for_selector("#weight", state="hidden")
    assert page.evaluate("told[0]") == "late"


def test_a_new_build_reloads_the_page(stage: Stage, watch: Watch) -> None:
    watched = watch("entrance")
    page = watched.page
    page.wait_for_timeout(200)
    page.evaluate("document.querySelector('meta[name=build]').content = 'older'")
    watched.until("document.querySelector('meta[name=build]').content === '0.4.0'")
    watched.sound()


def test_the_four_sounds_differ_and_each_is_made_once(stage: Stage, watch: Watch) -> None:
    watched = watch("entrance")
    page = watched.page
    page.evaluate(
        """() => {
          window.made = [];
          const create = AudioContext.prototype.createOscillator;
          AudioContext.prototype.createOscillator = function () {
            const tone = create.call(this);
            const start = tone.start.bind(tone);
            tone.start = (at) => { window.made.push(at); start(at); };
            return tone;
          };
        }"""
    )
    heard = []
    for badge, state in VERDICTS:
        page.evaluate("window.made = []")
        stage.do(stage.bench.reader.show, badge)
        page.wait_for_selector(f"main.is-{state}")
        stage.do(stage.bench.go_offline)  # the same answer drawn anew makes no second sound
        heard.append(page.evaluate("window.made.length"))
    assert heard == [2, 2, 1, 3]
    watched.sound()


CONTRAST = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8").partition("\n")[2]


def test_whatever_is_to_be_read_stands_out(stage: Stage, watch: Watch) -> None:
    watched = watch("entrance")
    for badge, state in VERDICTS:
        stage.do(stage.bench.reader.show, badge)
        watched.page.wait_for_selector(f"main.is-{state}")
        assert watched.page.evaluate(CONTRAST) == [], state
    watched = watch("scale")
    stage.do(stage.bench.scale.put, 482)
    watched.page.click("text=Pommes Gala")
    watched.page.wait_for_selector("main.is-ready")
    assert watched.page.evaluate(CONTRAST) == []
    stage.do(stage.bench.unplug, stage.bench.printer)
    watched = watch("status")
    assert watched.page.evaluate(CONTRAST) == []
