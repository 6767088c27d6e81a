"""What a load, its price and its tare go through between two people."""

import asyncio

import pytest
from support.screens import Bench, come, running, settle, until

from kiosk.weighing import Weighing
from kiosk.weighing_page import WeighingPage
from printer import Label, NotPrinted, Still


async def page(screen: Weighing) -> WeighingPage:
    await settle()
    return screen.page.get()


async def labelled(screen: Weighing, made: Bench, grams: int = 482) -> WeighingPage:
    screen.tap("pick", "104")
    made.scale.put(grams)
    await come(screen, "ready")
    screen.tap("print")
    return await come(screen, "take")


async def test_a_labels_price_stands_only_beside_its_own_weight(
    screen: Weighing, made: Bench
) -> None:
    assert (await labelled(screen, made)).cents == 142
    made.scale.put(900)
    assert ((await page(screen)).grams, (await page(screen)).cents) == (900, None)
    made.scale.move()
    assert ((await page(screen)).grams, (await page(screen)).cents) == (None, None)
    made.scale.put(482)
    assert (await page(screen)).cents == 142


async def test_a_price_goes_with_the_weight_while_the_label_comes_out(
    screen: Weighing, made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, print_it = asyncio.Event(), made.printer.print

    async def slowly(label: Label, still: Still) -> None:
        assert await still()
        asked.set()
        await print_it(label)

    monkeypatch.setattr(made.printer, "print", slowly)
    made.printer.gate.clear()
    screen.tap("pick", "104")
    made.scale.put(482)
    await come(screen, "ready")
    screen.tap("print")
    assert screen.page.get().cents == 142
    async with asyncio.timeout(10):
        await asked.wait()
    made.scale.put(20)
    assert ((await page(screen)).state, (await page(screen)).cents) == ("printing", None)
    made.printer.gate.set()
    await come(screen, "take")


async def test_the_frame_differs_when_a_number_comes_or_goes(screen: Weighing, made: Bench) -> None:
    before = await labelled(screen, made)
    made.scale.move()
    moving = await page(screen)
    assert (moving.state, moving.grams) == ("take", None)
    assert moving.frame != before.frame, "the word beside the digits changes with them"


async def test_a_weight_that_has_only_just_come_is_judged_before_printing(
    screen: Weighing, made: Bench
) -> None:
    screen.tap("pick", "104")
    made.scale.put(482)
    await come(screen, "ready")
    made.scale.put(20)
    screen.tap("print")  # before the screen has had its turn
    assert screen.page.get().state == "under_min"
    await settle()
    assert made.printer.labels == []
    assert await made.facts("label") == []


async def test_after_a_failure_no_label_beyond_the_limits_either(
    screen: Weighing, made: Bench
) -> None:
    made.printer.failure = NotPrinted("printer.paper_out", sure=True)
    screen.tap("pick", "104")
    made.scale.put(482)
    await come(screen, "ready")
    screen.tap("print")
    await until(screen.page, lambda page: "retry" in page.can)
    made.printer.failure = None
    for grams in (20, 15_001):
        made.scale.put(grams)
        assert "retry" not in (await page(screen)).can
        screen.tap("retry")
        await settle()
    assert made.printer.labels == []
    made.scale.put(482)
    await settle()
    screen.tap("retry")
    await come(screen, "take")


async def test_a_pan_below_zero_has_no_load_either(screen: Weighing, made: Bench) -> None:
    await labelled(screen, made)
    made.scale.put(-4)  # crumbs went with the product
    found = await page(screen)
    assert (found.state, found.product, "zero" in found.can) == ("below_zero", None, True)


async def test_a_reprint_that_fails_is_told_and_may_be_tried_again(
    screen: Weighing, made: Bench
) -> None:
    await labelled(screen, made)
    made.printer.failure = NotPrinted("printer.paper_out", sure=True)
    screen.tap("reprint")
    found = await until(screen.page, lambda page: page.problem is not None)
    assert isinstance(found, WeighingPage)
    assert found.problem is not None
    assert (found.state, found.problem.key) == ("take", "printer.paper_out")
    made.printer.failure = None
    assert "reprint" in found.can, "it is sure that none came out"
    screen.tap("reprint")
    await until(screen.page, lambda page: page.state == "take" and page.problem is None)
    assert len(made.printer.labels) == 2
    assert "reprint" not in screen.page.get().can


async def test_another_load_is_not_given_the_labels_twin(screen: Weighing, made: Bench) -> None:
    assert "reprint" in (await labelled(screen, made)).can
    made.scale.put(900)
    assert "reprint" not in (await page(screen)).can
    screen.tap("reprint")
    await settle()
    assert len(made.printer.labels) == 1
    made.scale.put(482)
    assert "reprint" in (await page(screen)).can


async def test_a_reprint_that_may_have_come_out_is_the_last(screen: Weighing, made: Bench) -> None:
    await labelled(screen, made)
    made.printer.failure = NotPrinted("printer.silent", sure=False)
    screen.tap("reprint")
    found = await until(screen.page, lambda page: page.problem is not None)
    assert isinstance(found, WeighingPage)
    assert "reprint" not in found.can


async def test_a_tare_that_is_nobodys_is_cleared_by_a_tap(screen: Weighing, made: Bench) -> None:
    made.scale.held = 126  # by the scale's own key, or before the station restarted
    made.scale.put(626)
    assert "cancel" in (await page(screen)).can
    screen.tap("cancel")
    await until(screen.page, lambda page: page.grams == 626)
    assert made.scale.held == 0


async def test_a_tare_that_is_nobodys_does_not_wait_for_the_next_person(made: Bench) -> None:
    made.scale.held = 126
    made.scale.put(0)
    screen = made.weighing()
    screen.rest_s = 0.02
    async with running(screen):
        await come(screen, "empty")
    assert made.scale.held == 0


async def test_a_bug_in_a_scales_driver_does_not_stop_the_screen(
    screen: Weighing, made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken() -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(made.scale, "tare", broken)
    made.scale.put(126)
    await settle()
    screen.tap("tare")
    assert (await page(screen)).tare_g == 0
    await labelled(screen, made)


async def test_a_language_stays_while_somebody_weighs(made: Bench) -> None:
    screen = made.weighing()
    screen.forget_language_s = 0.02
    async with running(screen):
        await settle()
        made.scale.put(482)
        await settle()
        screen.tap("language", "en")
        await asyncio.sleep(0.1)
        assert screen.page.get().language == "en"
        made.scale.put(0)
        await until(screen.page, lambda page: page.language == "fr")
