"""Members and products on their way to the stations, over a real broker."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.bridging import KEY, bridge_here, write_config
from support.broker import Mosquitto, mosquitto
from support.stations import FakeStation

from bridge.config import load
from bridge.standin import StandIn
from bridge.standin.demo import KG, PASSWORD, PRODUCTS, badge_of, stock
from mqtt.digest import shard_digest
from mqtt.identity import badge_hash
from mqtt.link import Outgoing
from mqtt.messages import Ask, Catalogue, DirectoryHead, DirectoryShard, Entry


@dataclass
class World:
    broker: Mosquitto
    odoo: StandIn
    config: Path

    def station(self, name: str = "entree") -> FakeStation:
        return FakeStation(self.broker.url, "demo", name)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with mosquitto(tmp_path / "broker") as broker, StandIn(stock()) as odoo:
        config = write_config(tmp_path, broker=broker.url, odoo=odoo.url, password=PASSWORD)
        yield World(broker, odoo, config)


async def until(reached: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not reached():
            await asyncio.sleep(0.02)


def head(station: FakeStation) -> DirectoryHead | None:
    body = station.received.get(station.topics.of_site.directory_head)
    return DirectoryHead.model_validate_json(body) if body else None


def shards(station: FakeStation) -> dict[str, tuple[Entry, ...]]:
    prefix = station.topics.of_site.directory_shard("")
    found = [
        DirectoryShard.model_validate_json(body)
        for topic, body in station.received.items()
        if topic.startswith(prefix) and body
    ]
    return {shard.shard: shard.entries for shard in found}


def agrees(station: FakeStation) -> bool:
    """The station holds exactly what the head says."""
    told = head(station)
    return told is not None and told.shards == {
        n: shard_digest(e) for n, e in shards(station).items()
    }


def entry(station: FakeStation, badge: str) -> Entry | None:
    wanted = badge_hash(bytes.fromhex(KEY), badge)
    found = [e for e in shards(station).get(wanted[:2], ()) if e.badge == wanted]
    return found[0] if found else None


async def test_the_directory_comes_shards_first_and_follows_odoo(world: World) -> None:
    async with world.station() as station, bridge_here(load(world.config)):
        await until(lambda: agrees(station))
        first_head = station.arrivals.index(station.topics.of_site.directory_head)
        topics = {station.topics.of_site.directory_shard(name) for name in shards(station)}
        assert topics <= set(station.arrivals[:first_head])
        assert (camille := entry(station, badge_of(101))) is not None
        assert camille.first_name == "Camille"
        # After a start every other shard is ended, in case the broker remembers an older life.
        await until(lambda: len({t for t in station.arrivals if "/shard/" in t}) == 256)
        # One member is stopped, another leaves: one shard changes, one vanishes.
        seen = len(station.arrivals)
        with world.odoo.database.transaction():
            world.odoo.database.write("res.partner", [101], {"ref": "STOP"})
            world.odoo.database.write("res.partner", [102], {"active": False})
        await until(lambda: entry(station, badge_of(102)) is None and agrees(station))
        assert (camille := entry(station, badge_of(101))) is not None
        assert camille.verdict == "stop"
        sent = [t for t in station.arrivals[seen:] if "/shard/" in t]
        assert len(sent) <= 3
        before = head(station)
        await until(lambda: head(station) != before)  # the age is told although nothing changed


async def test_who_comes_later_finds_it_retained_and_may_ask_again(world: World) -> None:
    async with bridge_here(load(world.config)), world.station() as first:
        await until(lambda: agrees(first))
        async with world.station("late") as late:
            await until(lambda: agrees(late))
            await until(lambda: late.topics.of_site.catalogue_head in late.received)
            session = await late.session.get()
            late.received.clear()
            name = next(iter(shards(first)))
            body = Ask(shards=(name, "zz")).model_dump_json().encode()
            await session.publish(Outgoing(late.topics.ask("directory"), body))
            await until(lambda: name in shards(late) and head(late))
            await session.publish(Outgoing(late.topics.ask("directory"), b""))
            await until(lambda: agrees(late))


async def test_a_shard_of_an_earlier_life_is_ended(world: World) -> None:
    stale = {f"{n:02x}" for n in range(256)}
    async with world.station("early") as early:
        session = await early.session.get()
        for name in stale:
            topic = early.topics.of_site.directory_shard(name)
            body = DirectoryShard(shard=name, entries=()).model_dump_json().encode()
            await session.publish(Outgoing(topic, body, retain=True))
        async with bridge_here(load(world.config)):
            await until(lambda: agrees(early))
            async with world.station("late") as late:
                await until(lambda: agrees(late))


async def test_the_catalogue_follows_odoo(world: World) -> None:
    async with bridge_here(load(world.config)), world.station() as station:
        topic = station.topics.of_site.catalogue_head
        await until(lambda: topic in station.received)
        catalogue = Catalogue.model_validate_json(station.received[topic])
        assert len(catalogue.products) == len(PRODUCTS)
        with world.odoo.database.transaction():
            world.odoo.database.write("product.template", [1], {"list_price": 3.15})
        await until(
            lambda: (
                Catalogue.model_validate_json(station.received[topic]).digest != catalogue.digest
            )
        )


async def test_odoo_away_at_the_start(world: World) -> None:
    await world.odoo.down()
    async with world.station() as station, bridge_here(load(world.config)):
        station.badge(member=101)
        await station.settled()  # what Odoo has no part in goes on
        assert head(station) is None
        await world.odoo.up()
        await until(lambda: agrees(station))


async def test_a_number_that_is_none_costs_the_catalogue_and_not_the_bridge(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.odoo.database.tables["uom.uom"][KG]["rounding"] = float("nan")
    async with world.station() as station, bridge_here(load(world.config)):
        await until(lambda: agrees(station) and "products cannot be read" in caplog.text)
        station.badge(member=101)
        await station.settled()
