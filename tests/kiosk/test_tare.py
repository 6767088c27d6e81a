"""A container's weight, and the packaging's: taken off once, for one load."""

from support.screens import Bench, come, settle, state, until

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
    await until(screen.page, lambda page: "cancel" in page.can)
    screen.tap("cancel")
    page = await come(screen, "pick")
    assert (page.product, page.tare_g, made.scale.held) == (None, 0, 0)


async def test_the_scales_own_tare_is_not_taken_off_again(screen: Weighing, made: Bench) -> None:
    """Somebody pressed the scale's own tare key, or the station restarted under its tare."""
    made.scale.held = 100
    screen.tap("pick", "530")  # whose usual packaging weighs 6 g
    made.scale.put(600)
    page = await come(screen, "ready")
    assert (page.grams, page.tare_g) == (500, 0)
    screen.tap("print")
    await come(screen, "take")
    (fact,) = await made.facts("label")
    assert (fact["net_g"], fact["tare_g"]) == (500, 0)


async def test_a_container_is_not_tared_on_top_of_the_scales_own_tare(
    screen: Weighing, made: Bench
) -> None:
    """The label would name only one of the two."""
    made.scale.held = 100
    made.scale.put(226)
    page = await come(screen, "pick")
    assert ("tare" in page.can, "cancel" in page.can) == (False, True)
    screen.tap("tare")
    await settle()
    assert (screen.page.get().tare_g, made.scale.held) == (0, 100)
    screen.tap("cancel")
    await settle()
    assert made.scale.held == 0
    screen.tap("tare")
    page = await come(screen, "tare_done")
    assert (page.tare_g, made.scale.held) == (226, 226)
