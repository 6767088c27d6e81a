"""The main job, end to end and as a person does it: in Chromium, on real bytes, into Odoo."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.async_api import Browser, Error, Locator, Page, async_playwright, expect
from support.shop import Shop, until

from bridge.standin.demo import BADGES

CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=CHROMIUM
        )
        yield browser
        await browser.close()


async def press(target: Locator, then: Locator) -> None:
    """As a person does: again while nothing comes of it.

    A button that has only just come under the finger is not taken; and on a busy machine the
    scale beside us may answer too late, and is rightly not believed.
    """
    for _ in range(5):
        await expect(target.or_(then).first).to_be_visible(timeout=20_000)
        if await then.is_visible():
            return
        await asyncio.sleep(0.4)
        with suppress(Error, AssertionError):
            await target.click(timeout=3000)
            await expect(then).to_be_visible(timeout=3000)
    await expect(then).to_be_visible()


async def opened(browser: Browser, shop: Shop, screen: str) -> Page:
    page = await browser.new_page(viewport={"width": 1280, "height": 800})
    page.set_default_timeout(20_000)
    await page.goto(f"{shop.stage.url}/{screen}")
    return page


@pytest.mark.timeout(120)
async def test_badge_weigh_print_and_photo(shop: Shop, browser: Browser, tmp_path: Path) -> None:
    await shop.knows_the_shop()

    entrance = await opened(browser, shop, "entrance")
    await expect(entrance.get_by_role("heading")).to_contain_text("Bonjour")
    await shop.bench.act("door", "badge", BADGES["Camille Durand"])
    await expect(entrance.get_by_role("heading")).to_have_text("Bonjour Camille")
    assert "Durand" not in await entrance.content()
    await shop.bench.act("door", "badge", BADGES["Nadia Petit (employee)"])
    await expect(entrance.get_by_role("heading")).to_have_text("Bonjour Nadia")
    await shop.bench.act("door", "badge", BADGES["nobody's badge"])
    await expect(entrance.locator("#answer")).to_contain_text("Badge non reconnu")
    await until(lambda: len(shop.odoo()["attendances"]) == 1)

    scale = await opened(browser, shop, "scale")
    await shop.bench.act("balance", "put", "482")
    await expect(scale.get_by_text("0,482")).to_be_visible()
    await press(scale.get_by_text("Pommes").first, scale.get_by_text("1,42"))
    picture = scale.locator("img[src*='label.png']")
    await press(scale.get_by_role("button", name="Imprimer"), picture)
    shown = await scale.request.get(shop.stage.url + str(await picture.get_attribute("src")))
    await until(lambda: len(shop.bench.printer.printed) == 1)
    assert shop.bench.printer.garbled == 0
    assert pixels(await shown.body()) == pixels(shop.bench.printer.printed[0])
    await shop.bench.act("balance", "take")
    await expect(scale.get_by_text("0,000")).to_be_visible()

    photo = await opened(browser, shop, "photo")
    await shop.bench.act("booth-reader", "badge", BADGES["Camille Durand"])
    keep = photo.get_by_role("button", name="Oui")
    await press(photo.get_by_role("button", name="Commencer"), keep)
    await press(keep, photo.get_by_text("Votre photo part à l"))
    await until(lambda: bool(shop.odoo()["photos"]))
    await shop.all_settled()
    assert len(shop.odoo()["photos"]) == 1
    assert len(shop.odoo()["attendances"]) == 1
    assert len(shop.bench.printer.printed) == 1


def pixels(png: bytes) -> bytes:
    """What is black and what is white, whatever the margins that a printer cannot print."""
    from io import BytesIO

    from PIL import Image, ImageChops

    image = Image.open(BytesIO(png)).convert("1")
    box = ImageChops.invert(image.convert("L")).getbbox()
    return image.crop(box).tobytes()


@pytest.mark.timeout(120)
async def test_every_device_unplugged_and_back_while_the_others_go_on(
    shop: Shop, browser: Browser
) -> None:
    await shop.knows_the_shop()
    for name in shop.bench.devices:
        await shop.device_is(name, "up", "degraded")
    people = ["Camille Durand", "Ahmed Benali", "Emma Clarke", "Théo Garnier", "Lucía Romero"]
    for name, person in zip(shop.bench.devices, people, strict=True):
        await shop.bench.act(name, "unplug")
        await shop.device_is(name, "absent", "failing")
        others = [other for other in shop.bench.devices if other != name]
        assert {await shop.device(other) for other in others} == {"up"}
        if name != "balance":
            await shop.bench.act("balance", "put", "250")
            await shop.hands.sees("scale", {"pick", "printer_absent", "ready"})
            await shop.bench.act("balance", "take")
        if name != "door":
            await shop.bench.act("door", "badge", BADGES[person])
            await shop.hands.sees("entrance", "ok")
        await shop.bench.act(name, "plug")
        await shop.device_is(name, "up", "degraded")
    # What came back works, not only says so.
    await shop.bench.act("booth-reader", "badge", BADGES["Fatou Diop"])
    await shop.hands.sees("photo", "consent")
    await shop.hands.tap("photo", "no")
