"""Nothing is cut, too small or one over another: every state, language and size, worst cases."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from support.screens import product
from support.stage import Stage, Watched

from kiosk.booth import BoothPage
from kiosk.entrance import EntrancePage
from kiosk.issue import Problem
from kiosk.shelf import SEARCH, Shelf
from kiosk.weighing_page import WeighingPage
from kiosk.words import LANGUAGES
from mqtt.messages import Catalogue

SIZES = [(1280, 800), (1024, 600), (800, 480)]
AT = datetime(2026, 9, 23, 18, 30, tzinfo=UTC)
LONG_NAME = "Marie-Christophine"
LONGER_NAMES = (
    LONG_NAME,
    "MOHAMED-ABDERRAHMANE",
    "Jean Baptiste Emmanuel Zorg de la Tour d’Auvergne",
)
LONG_PRODUCT = "Abricots secs moelleux dénoyautés sans sulfites de Turquie"

Watch = Callable[..., Watched]


def entrance_pages() -> Iterator[EntrancePage]:
    states = ["idle", "ok", "warn", "stop", "unknown", "unreadable", "twice", "no_directory"]
    for language in LANGUAGES:
        for state in [*states, "reader_absent", "reader_failing"]:
            yield EntrancePage(state, language, name="Li", next_shift=AT)
            for name in LONGER_NAMES if state in ("ok", "warn", "stop") else (LONG_NAME,):
                yield EntrancePage(
                    state, language, name=name, next_shift=AT, stale=AT, noted=False, offline=True
                )


def shelf(*taps: str, tab: str = "often") -> Any:
    """A shelf with names of every length, at the place that the taps lead to."""
    names = ["Ail", "Lentilles vertes", LONG_PRODUCT, "Courgettes", "Châtaignes", "Pois chiches"]
    kinds = ["Fruits et légumes", "Légumineuses", "Alimentation générale", "Thés", "Épices"]
    products = tuple(
        product(n, names[n % 6], 99_999 if n % 2 else 150, kinds[n % 5]) for n in range(100, 190)
    )
    rules = ()
    made = Shelf()
    made.stock(Catalogue(as_of=AT, digest="0" * 64, products=products, rules=rules))
    made.open(tab)
    for tap in taps:
        made.key(tap)
    return made.view(101)


def scale_pages() -> Iterator[WeighingPage]:
    dear = product(101, LONG_PRODUCT, 99_999, "Épices")
    views = [
        shelf(), shelf(tab="others"), shelf(tab=SEARCH), shelf("abc", tab=SEARCH),
        shelf("1", tab=SEARCH), shelf("abc", "l", tab=SEARCH), shelf("abc", "z", "z", tab=SEARCH),
    ]  # fmt: skip
    told = ["tare_ask", "tare_done", "over", "below_zero", "paper", "printer_absent", "take",
            "printer_failing", "scale_absent", "scale_failing", "no_catalogue", "refused",
            "not_printed"]  # fmt: skip
    problem = Problem("barcode.caught", False, {"code": "2100104004824", "pattern": "0420"})
    for language in LANGUAGES:
        light = WeighingPage("pick", language, views[0], grams=482)
        full = replace(light, grams=14_995, cents=1_499_500, product=dear, tare_g=126)
        for view in views:
            yield replace(light, shelf=view)
        for state in ["empty", "moving", "ready", "printing", "under_min", "scale_silent"]:
            yield replace(full, state=state, prices_from=AT)
            yield replace(full, state=state, mode="scale-prices", offline=True)
        for state in told:
            can = frozenset({"retry", "reprint", "zero", "cancel"})
            yield replace(full, state=state, problem=problem, code="00104", can=can)
            yield replace(light, state=state)


def photo_pages() -> Iterator[BoothPage]:
    states = ["badge_first", "consent", "framing", "count", "review", "keeping", "kept",
              "kept_offline", "dropped", "not_kept", "no_photo", "unknown", "camera_absent",
              "camera_failing", "reader_absent"]  # fmt: skip
    for language in LANGUAGES:
        for state in states:
            picture = "a" if state in ("framing", "count", "review") else ""
            for name in LONGER_NAMES if state == "consent" else (LONG_NAME,):
                yield BoothPage(state, language, name=name, left=3, picture=picture, offline=True)


PAGES: dict[str, Callable[[], Iterator[Any]]] = {
    "entrance": entrance_pages,
    "scale": scale_pages,
    "photo": photo_pages,
}


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", PAGES)
def test_every_state_in_every_language(
    stage: Stage, watch: Watch, name: str, size: tuple[int, int]
) -> None:
    stage.do(stage.bench.go_offline)
    watched = watch(name, *size)
    page = watched.page
    value = stage.screens[name].page
    found: dict[str, list[str]] = {}
    for number, state in enumerate(PAGES[name](), start=1):
        stage.do(value.set, replace(state, cue=f"{number} none"))
        page.wait_for_selector(f'main.is-{state.state}[data-cue="{number} none"]')
        faults = watched.faults()
        if faults:
            found[f"{state.language} {state.state} {number}"] = faults
    assert found == {}


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_technicians_page_and_the_menu(
    stage: Stage, watch: Watch, size: tuple[int, int]
) -> None:
    for device in stage.bench.station.devices.values():
        stage.do(stage.bench.unplug, device)
    watched = watch("status", *size)
    for language in LANGUAGES:
        watched.page.click(f"[data-what={language}]")
        watched.page.wait_for_selector(f"[data-what={language}][aria-pressed=true]")
        assert watched.faults() == []
        time.sleep(0.3)  # a button that has only just appeared is not meant
    watched.open("")
    assert watched.faults() == []
    watched.sound()
