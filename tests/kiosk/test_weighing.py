import asyncio
from datetime import timedelta

import pytest
from support.screens import (
    PRODUCTS,
    RULES,
    Bench,
    catalogue,
    come,
    fill,
    product,
    ready,
    running,
    settle,
    state,
    until,
)  # fmt: skip

from devices import Device, Health, State
from kiosk import weighing
from kiosk.weighing import Weighing
from kiosk.weighing_page import WeighingPage
from mqtt.messages import Rule
from printer import NotPrinted, Paper
from scale import Weight
from store import StoreFull


async def test_from_an_empty_pan_to_the_label_and_back(screen: Weighing, made: Bench) -> None:
    assert await state(screen) == "empty"
    made.scale.move()
    assert await state(screen) == "moving"
    assert screen.page.get().grams is None
    made.scale.put(482)
    assert await state(screen) == "pick"
    screen.tap("pick", "104")
    page = screen.page.get()
    assert (page.state, page.grams, page.cents, page.can >= {"print"}) == ("ready", 482, 142, True)
    screen.tap("print")
    assert screen.page.get().state == "printing"
    page = await come(screen, "take")
    assert page.cue == "1 ok"
    made.scale.put(0)
    assert await state(screen) == "empty"
    page = screen.page.get()
    assert (page.product, page.label) == (None, "")
    assert [label.barcode for label in made.printer.labels] == ["2100104004824"]


async def test_the_product_may_come_first(screen: Weighing, made: Bench) -> None:
    screen.tap("pick", "104")
    assert screen.page.get().state == "empty"
    made.scale.put(482)
    assert await state(screen) == "ready"
    for what in ("104", "104", "9999", "²"):
        screen.tap("pick", what)
        assert screen.page.get().state == "ready", "only another product or Cancel takes it back"
    screen.tap("cancel")
    assert screen.page.get().state == "pick"


async def test_the_fact_is_on_disk_before_the_label_comes_out(
    screen: Weighing, made: Bench
) -> None:
    made.printer.gate.clear()
    await ready(screen, made)
    screen.tap("print")
    async with asyncio.timeout(10):
        while not await made.facts("label"):
            await asyncio.sleep(0.01)
    assert made.printer.labels == []
    made.printer.gate.set()
    await come(screen, "take")
    (fact,) = await made.facts("label")
    assert fact["action"] == "print"
    assert (fact["net_g"], fact["price_cents"], fact["mode"]) == (482, 142, "indicative")
    assert fact["barcode"] == made.printer.labels[0].barcode


async def test_ten_taps_are_one_label(screen: Weighing, made: Bench) -> None:
    await ready(screen, made)
    for _ in range(10):
        screen.tap("print")
    await come(screen, "take")
    for _ in range(10):
        screen.tap("print")
    await settle()
    assert len(made.printer.labels) == 1
    assert len(await made.facts("label")) == 1


async def test_one_label_a_load_until_the_pan_was_empty(screen: Weighing, made: Bench) -> None:
    await ready(screen, made)
    screen.tap("print")
    await come(screen, "take")
    made.scale.put(900)
    assert await state(screen) == "take"
    screen.tap("print")
    made.scale.put(0)
    await settle()
    await ready(screen, made, 900)
    screen.tap("print")
    await come(screen, "take")
    assert [label.barcode[7:12] for label in made.printer.labels] == ["00482", "00900"]


async def test_reprint_once_is_the_same_label(screen: Weighing, made: Bench) -> None:
    await ready(screen, made)
    screen.tap("print")
    await come(screen, "take")
    for _ in range(5):
        screen.tap("reprint")
        await settle()
    await until(screen.page, lambda page: page.state == "take" and "reprint" not in page.can)
    assert len(made.printer.labels) == 2
    assert made.printer.labels[0] == made.printer.labels[1]
    first, second = await made.facts("label")
    assert (first["action"], second["action"]) == ("print", "reprint")
    assert first["label"] == second["label"]


async def test_a_weight_that_changed_is_not_printed(
    screen: Weighing, made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = made.store.outbox.put

    async def slowly(*given: object, **more: object) -> object:
        envelope = await put(*given, **more)
        made.scale.put(700)
        return envelope

    await ready(screen, made)
    monkeypatch.setattr(made.store.outbox, "put", slowly)
    screen.tap("print")
    page = await come(screen, "ready")
    assert page.grams == 700
    assert made.printer.labels == []
    assert [fact["action"] for fact in await made.facts("label")] == ["print", "void"]


@pytest.mark.parametrize(
    ("failure", "key", "sure"),
    [
        (NotPrinted("printer.paper_out", sure=True), "printer.paper_out", True),
        (NotPrinted("printer.silent", sure=False), "printer.silent", False),
        (RuntimeError("a bug"), "device.bug", False),
    ],
)
async def test_a_label_that_did_not_come_out(
    screen: Weighing, made: Bench, failure: Exception, key: str, sure: bool
) -> None:
    made.printer.failure = failure
    await ready(screen, made)
    screen.tap("print")
    page = await come(screen, "not_printed")
    assert page.problem is not None
    assert (page.problem.key, page.problem.sure, page.code) == (key, sure, "00104")
    assert page.grams == 482, "the weight stays in view"
    printed, void = await made.facts("label")
    assert (void["action"], void["label"]) == ("void", printed["label"])
    made.printer.failure = None
    screen.tap("retry")  # in the first second: meant for the attempt that has just failed
    assert await state(screen) == "not_printed"
    await until(screen.page, lambda page: "retry" in page.can)
    made.scale.put(482)
    screen.tap("retry")
    await come(screen, "take")
    assert len(made.printer.labels) == 1
    assert (await made.facts("label"))[2]["label"] != printed["label"]


async def test_giving_up_after_a_failure(screen: Weighing, made: Bench) -> None:
    made.printer.failure = NotPrinted("printer.paper_out", sure=True)
    await ready(screen, made)
    screen.tap("print")
    await come(screen, "not_printed")
    made.scale.put(0)
    assert await state(screen) == "empty"


async def test_a_printer_that_never_answers(made: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weighing, "PRINT_S", 0.05)
    made.printer.gate.clear()
    screen = made.weighing()
    async with running(screen):
        await settle()
        await ready(screen, made)
        screen.tap("print")
        page = await come(screen, "not_printed")
    assert page.problem is not None
    assert not page.problem.sure


async def test_nothing_is_printed_that_cannot_be_written_down(
    screen: Weighing, made: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object, **__: object) -> None:
        raise StoreFull("store.full")

    await ready(screen, made)
    monkeypatch.setattr(made.store.outbox, "put", full)
    screen.tap("print")
    page = await come(screen, "not_printed")
    assert page.problem is not None
    assert page.problem.key == "store.full"
    assert made.printer.labels == []


async def test_no_printer_no_button_but_a_code_to_say(screen: Weighing, made: Bench) -> None:
    await ready(screen, made)
    made.printer.paper.set(Paper.OUT)
    assert await state(screen) == "paper"
    made.unplug(made.printer)
    assert await state(screen) == "printer_absent"
    page = screen.page.get()
    assert (page.code, page.grams, "print" in page.can) == ("00104", 482, False)
    screen.tap("print")
    assert screen.page.get().state == "printer_absent"
    made.plug(made.printer)
    assert await state(screen) == "ready"


async def test_digits_vanish_with_the_scale(screen: Weighing, made: Bench) -> None:
    await ready(screen, made)
    made.scale.reading.set(None)
    assert await state(screen) == "scale_silent"
    assert screen.page.get().grams is None
    made.unplug(made.scale)
    assert await state(screen) == "scale_absent"
    made.scale.health.set(Health(State.FAILING, "device.silent"))
    assert await state(screen) == "scale_failing"
    assert screen.page.get().grams is None


async def test_limits(screen: Weighing, made: Bench) -> None:
    screen.tap("pick", "104")
    for grams, expected in [(39, "under_min"), (40, "ready"), (15_000, "ready"), (15_001, "over")]:
        made.scale.put(grams)
        assert await state(screen) == expected, grams
    made.scale.too_heavy()
    assert await state(screen) == "over"


async def test_below_zero_is_zeroed_by_a_tap(screen: Weighing, made: Bench) -> None:
    made.scale.put(-20)
    assert await state(screen) == "below_zero"
    assert screen.page.get().grams is None
    screen.tap("zero")
    await come(screen, "empty")


async def test_the_next_person_finds_a_clean_screen(made: Bench) -> None:
    screen = made.weighing()
    screen.rest_s = screen.tared_rest_s = 0.05
    async with running(screen):
        await settle()
        screen.tap("language", "en")
        screen.tap("tab", "search")
        screen.tap("key", "5")
        screen.tap("pick", "541")
        page = await until(screen.page, lambda page: page.product is None)
        assert isinstance(page, WeighingPage)
        await until(screen.page, lambda page: page.language == "fr")
        assert not page.shelf.searching


async def test_a_load_on_the_pan_is_never_timed_out(made: Bench) -> None:
    screen = made.weighing()
    screen.rest_s = 0.02
    async with running(screen):
        await settle()
        await ready(screen, made)
        await asyncio.sleep(0.1)
        assert screen.page.get().state == "ready"


async def test_old_prices_are_told_and_printed(made: Bench) -> None:
    await fill(made, age=timedelta(hours=50))
    screen = made.weighing()
    async with running(screen):
        await settle()
        page = await ready(screen, made)
        assert page.prices_from is not None
        screen.tap("print")
        await come(screen, "take")
    assert made.printer.labels[0].price_note == "prix à confirmer en caisse"


async def test_without_a_catalogue(empty: Bench) -> None:
    screen = empty.weighing()
    async with running(screen):
        empty.scale.put(482)
        assert await state(screen) == "no_catalogue"
        await empty.store.catalogue.replace(catalogue())
        await come(screen, "pick")


async def test_a_new_catalogue_changes_the_price_in_view(screen: Weighing, made: Bench) -> None:
    await ready(screen, made)
    dearer = (product(104, "Pommes Gala", 395, "Fruits"), *PRODUCTS[1:])
    await made.store.catalogue.replace(catalogue(products=dearer))
    page = await until(screen.page, lambda page: page.cents == 190)
    assert isinstance(page, WeighingPage)
    await made.store.catalogue.replace(catalogue(products=PRODUCTS[1:]))
    await come(screen, "pick")


async def test_a_product_that_the_till_would_misread(screen: Weighing, made: Bench) -> None:
    caught = (Rule(sequence=1, type="client", encoding="ean13", pattern="21"), *RULES)
    await made.store.catalogue.replace(catalogue(rules=caught))
    screen.tap("pick", "104")
    made.scale.put(482)
    page = await come(screen, "refused")
    assert page.problem is not None
    assert page.problem.key.startswith("barcode.")
    screen.tap("print")
    assert made.printer.labels == []


async def test_the_scale_computes_the_price(made: Bench) -> None:
    screen = made.weighing(mode="scale-prices")
    async with running(screen):
        await settle()
        page = await ready(screen, made)
        assert page.cents is None
        screen.tap("print")
        await come(screen, "take")
    assert made.printer.labels[0].price == ""


async def test_digits_alone_do_not_change_the_frame(screen: Weighing, made: Bench) -> None:
    before = await ready(screen, made)
    made.scale.put(490)
    await settle()
    after = screen.page.get()
    assert before != after
    assert before.frame == after.frame


async def test_a_weight_in_pounds_is_no_weight(screen: Weighing, made: Bench) -> None:
    from decimal import Decimal

    made.scale.reading.set(Weight(Decimal("1.05"), "lb", stable=True))
    assert await state(screen) == "scale_silent"


class Unavailable(Device):
    async def run(self) -> None: ...
    async def plugged(self) -> None: ...


async def test_a_driver_that_could_not_be_loaded_is_told_and_no_more(made: Bench) -> None:
    import dataclasses

    broken = Unavailable("balance")
    broken.health.set(Health(State.REFUSED, "device.missing_library", {"library": "x"}))
    devices = {**made.station.devices, "balance": broken}
    made.station = dataclasses.replace(made.station, devices=devices)
    screen = made.weighing()
    async with running(screen):
        assert await state(screen) == "scale_failing"
        assert "tare" not in screen.page.get().can
