"""A container's weight, and the packaging's: taken off once, for one load."""

from support.screens import Bench, come, settle, state

from kiosk.weighing import Weighing


async def test_a_containers_tare(screen: Weighing, made: Bench) -> None:
    screen.tap("tare")
    assert screen.page.get().state == "tare_ask"
    made.scale.put(126)
    await settle()
    screen.tap("tare")
    page = await come(screen, "tare_done")
    assert page.tare_g == 126
    made.scale.put(0)  # taken away to be filled
    assert await state(screen) == "tare_done"
    screen.tap("pick", "530")
    made.scale.put(626)
    page = await come(screen, "ready")
    assert (page.grams, page.tare_g) == (500, 126)
    screen.tap("print")
    await come(screen, "take")
    (fact,) = await made.facts("label")
    assert (fact["net_g"], fact["tare_g"]) == (500, 126)
    made.scale.put(0)
    page = await come(screen, "empty")
    assert (page.tare_g, made.scale.held) == (0, 0), "one tare for one load"


async def test_a_tare_that_the_scale_refuses(screen: Weighing, made: Bench) -> None:
    made.scale.refuses = "scale.tare_refused"
    made.scale.put(126)
    await settle()
    screen.tap("tare")
    await settle()
    assert screen.page.get().tare_g == 0
    assert screen.page.get().state == "pick"


async def test_a_scale_that_lost_its_tare(screen: Weighing, made: Bench) -> None:
    made.scale.put(126)
    await settle()
    screen.tap("tare")
    await come(screen, "tare_done")
    made.scale.held = 0
    made.scale.put(126)
    assert await state(screen) == "pick"
    assert screen.page.get().tare_g == 0


async def test_the_products_own_packaging_is_taken_off(screen: Weighing, made: Bench) -> None:
    screen.tap("pick", "530")
    made.scale.put(506)
    page = await come(screen, "ready")
    assert (page.grams, page.tare_g, page.cents) == (500, 6, 210)


async def test_cancel_forgets_product_and_tare(screen: Weighing, made: Bench) -> None:
    made.scale.put(126)
    await settle()
    screen.tap("tare")
    await come(screen, "tare_done")
    screen.tap("pick", "104")
    screen.tap("cancel")
    page = await come(screen, "pick")
    assert (page.product, page.tare_g, made.scale.held) == (None, 0, 0)
