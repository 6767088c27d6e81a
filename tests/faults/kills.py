"""Everything that can die does, at any moment, while people badge at two entrances."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from faults.centre import Person
from faults.judge import Verdict
from faults.shop import Shop
from faults.station import Shown, Station

Blow = Callable[[Shop, random.Random], AbstractAsyncContextManager[None]]
LONGEST_S = 0.6
"""A blow falls within this time of the first badge, and what is dead stays so for as long."""


@asynccontextmanager
async def station_dies(shop: Shop, rng: random.Random) -> AsyncIterator[None]:
    station = rng.choice(shop.stations)
    await station.kill()
    yield
    await station.start()


@asynccontextmanager
async def bridge_dies(shop: Shop, _: random.Random) -> AsyncIterator[None]:
    await shop.bridge.kill()
    yield
    shop.bridge.spawn()


@asynccontextmanager
async def broker_dies(shop: Shop, _: random.Random) -> AsyncIterator[None]:
    await shop.broker.kill()
    yield
    await shop.broker.start()


@asynccontextmanager
async def broker_forgets(shop: Shop, _: random.Random) -> AsyncIterator[None]:
    """It dies, and what it kept on its disk is gone."""
    await shop.broker.kill()
    (shop.broker.folder / "mosquitto.db").unlink(missing_ok=True)
    yield
    await shop.broker.start()


@asynccontextmanager
async def odoo_dies(shop: Shop, _: random.Random) -> AsyncIterator[None]:
    await shop.odoo.kill()
    yield
    await shop.odoo.start()


@asynccontextmanager
async def line_is_cut(shop: Shop, rng: random.Random) -> AsyncIterator[None]:
    wire = rng.choice([shop.line, *(station.wire for station in shop.stations)])
    await wire.unplug()
    yield
    await wire.plug()


@asynccontextmanager
async def packet_is_cut(shop: Shop, rng: random.Random) -> AsyncIterator[None]:
    wire = rng.choice([shop.line, *(station.wire for station in shop.stations)])
    wire.cut_after(rng.randrange(1, 3000))
    yield


@asynccontextmanager
async def answers_are_lost(shop: Shop, rng: random.Random) -> AsyncIterator[None]:
    """Odoo carries out what it is told, and its answer does not arrive."""
    await shop.odoo.go_wrong(lose=rng.randrange(1, 4))
    yield


KILLS: dict[Blow, int] = {
    station_dies: 10,
    bridge_dies: 8,
    broker_dies: 5,
    broker_forgets: 4,
    odoo_dies: 5,
}
"""Each is one kill -9; the numbers say how often one is chosen rather than another."""
OTHERS: dict[Blow, int] = {line_is_cut: 3, packet_is_cut: 4, answers_are_lost: 4}


async def kills(shop: Shop, rng: random.Random, count: int, seconds: float = 3600) -> Verdict:
    """So many times kill -9, or as many as fit into `seconds`, and other blows between them."""
    over = time.monotonic() + seconds
    for name in ("entree", "caisse"):
        await shop.open_station(name)
    done = 0
    while done < count and time.monotonic() < over:
        blow = rng.choices([*KILLS, *OTHERS], [*KILLS.values(), *OTHERS.values()])[0]
        await _round(shop, rng, blow)
        done += blow in KILLS
    return await shop.verdict()


async def _round(shop: Shop, rng: random.Random, blow: Blow) -> None:
    """A few people badge at each entrance, and the blow falls somewhere in between."""
    lives = {station: station.life for station in shop.stations}
    before = {person: shop.truth.count(person.id) for person in shop.people}
    crowds = [asyncio.create_task(_crowd(shop, station, rng)) for station in shop.stations]
    await asyncio.sleep(rng.uniform(0, LONGEST_S))
    async with blow(shop, rng):
        await asyncio.sleep(rng.uniform(0, LONGEST_S))
    for station, crowd in zip(shop.stations, crowds, strict=True):
        shown = await crowd
        station.facts()
        if station.life == lives[station]:  # nothing may be missing where nobody died
            await station.wrote({one.person: before[one.person] for one in shown})


async def _crowd(shop: Shop, station: Station, rng: random.Random) -> list[Shown]:
    return [await station.show(person) for person in _group(shop, station, rng)]


def _group(shop: Shop, station: Station, rng: random.Random) -> list[Person]:
    """Of the people who badge at this entrance: one whose two entrances deliver at different times
    would rightly be refused as too late.
    """
    place = shop.stations.index(station)
    theirs = shop.people[place :: len(shop.stations)]
    fewest = sorted(theirs, key=lambda person: shop.truth.shown[person.id])
    return fewest[: rng.randrange(1, 4)]
