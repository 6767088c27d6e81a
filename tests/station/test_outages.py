"""Outages: the broker away, the power cut. Nothing promised is lost, nothing happens twice."""

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support.shop import Shop, until

from bridge.standin.demo import BADGES

NADIA = BADGES["Nadia Petit (employee)"]
CAMILLE = BADGES["Camille Durand"]


class Person:
    """Does what people do at the three screens, and remembers what they were promised."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.photos = 0
        self.labels = 0

    async def badges(self) -> None:
        await self.shop.bench.act("door", "badge", NADIA)
        await self.shop.hands.sees("entrance", "ok")

    async def weighs(self) -> None:
        hands = self.shop.hands
        await self.shop.bench.act("balance", "put", "482")
        if await hands.sees("scale", {"pick", "ready"}) == "pick":
            await hands.insist("scale", "pick", await self._product(), "ready")
        await hands.insist("scale", "print", "", "take")
        self.labels += 1
        await self.shop.bench.act("balance", "take")
        await hands.sees("scale", "empty")

    async def takes_a_photo(self) -> None:
        hands = self.shop.hands
        await self.shop.bench.act("booth-reader", "badge", CAMILLE)
        await hands.sees("photo", "consent")
        await hands.tap("photo", "start")
        await hands.sees("photo", "review", seconds=30)
        await hands.tap("photo", "keep")
        await hands.sees("photo", {"kept", "kept_offline"})
        self.photos += 1
        await hands.tap("photo", "done")

    async def _product(self) -> str:
        page = await self.shop.hands.page("scale")
        return page.split('data-do="pick" data-what="', 1)[1].split('"', 1)[0]


def twice(shop: Shop) -> dict[Any, int]:
    rows = [(row["employee"], row["check_in"]) for row in shop.odoo()["attendances"]]
    return {row: count for row, count in Counter(map(str, rows)).items() if count > 1}


@pytest.mark.timeout(180)
async def test_the_broker_stops_and_the_screens_do_not(networked_shop: Shop) -> None:
    shop = networked_shop
    await shop.knows_the_shop()
    person = Person(shop)
    await person.badges()
    await shop.all_settled()
    assert len(shop.odoo()["attendances"]) == 1

    await shop.broker.kill()
    async with asyncio.timeout(30):
        while await shop.told("mqtt"):
            await asyncio.sleep(0.1)
    await asyncio.sleep(11)  # beyond "the same badge again"
    await person.badges()
    await person.weighs()
    await person.takes_a_photo()
    assert await shop.told("waiting") >= 3
    await shop.broker.start()  # it has forgotten everything
    await shop.all_settled(90)

    odoo = shop.odoo()
    assert len(odoo["attendances"]) == 1, "in, then out: one row"
    assert odoo["attendances"][0]["check_out"]
    assert len(odoo["photos"]) == 1
    assert [fact["state"] for fact in shop.facts()] == ["done"] * 4
    assert len(shop.bench.printer.printed) == person.labels == 1


@pytest.mark.timeout(240)
async def test_power_cuts_between_any_two_steps(networked_shop: Shop) -> None:
    """SIGKILL at random moments, to the daemon and to the bridge, the seed printed."""
    shop = networked_shop
    seed = random.randrange(1 << 32)
    dice = random.Random(seed)
    print(f"seed {seed}")
    await shop.knows_the_shop()
    person = Person(shop)
    for work in (person.badges, person.weighs, person.takes_a_photo, person.weighs):
        doing = asyncio.create_task(work())
        await asyncio.wait({doing}, timeout=dice.uniform(0.05, 2.5))
        await shop.power_cut()
        if dice.random() < 0.5:
            await shop.kill_bridge()
            await shop.start_bridge()
        doing.cancel()
        await asyncio.wait({doing})
        await shop.bench.act("balance", "take")
    # Whatever was cut short, the station works now.
    await asyncio.sleep(11)
    await person.badges()
    await person.weighs()
    await person.takes_a_photo()
    await shop.all_settled(90)

    kept = shop.facts()
    for epoch in {fact["epoch"] for fact in kept}:
        seqs = [fact["seq"] for fact in kept if fact["epoch"] == epoch]
        assert seqs == list(range(1, len(seqs) + 1)), "no gap"
    assert {fact["state"] for fact in kept} == {"done"}
    kinds = Counter(fact["kind"] for fact in kept)
    badges = [fact for fact in kept if fact["kind"] == "badge"]
    printed = [f for f in kept if f["kind"] == "label" and f["data"]["action"] == "print"]
    assert kinds["photo"] >= person.photos >= 1
    assert len(printed) >= person.labels >= 1
    assert len(shop.bench.printer.printed) <= len(printed), "no label without its fact"
    rows = shop.odoo()["attendances"]
    ends = [row for row in rows if row["check_out"]]
    assert len(rows) + len(ends) == len(badges), "each passage applied, and once"
    assert not twice(shop)
    assert len(shop.odoo()["photos"]) == 1


@pytest.mark.timeout(120)
async def test_a_station_whose_bridge_is_away_keeps_and_then_delivers(
    networked_shop: Shop, tmp_path: Path
) -> None:
    shop = networked_shop
    await shop.knows_the_shop()
    await shop.kill_bridge()
    person = Person(shop)
    await person.badges()
    await person.weighs()
    assert await shop.told("waiting") == 2
    await shop.start_bridge()
    await shop.all_settled()
    await until(lambda: len(shop.odoo()["attendances"]) == 1)
