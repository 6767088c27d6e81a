"""What a technician finds afterwards."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.stores import opened

from devices import Device, Health, State, Value
from edged.logbook import Logbook
from mqtt.link import LinkState
from store import Store


class Idle(Device):
    async def run(self) -> None:
        await asyncio.Event().wait()

    async def plugged(self) -> None:
        return


class World:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.device = Idle("balance")
        self.link = Value(LinkState(up=False, key="link.connecting"))
        self.trouble = Value("")

    async def lines(self) -> list[tuple[str, str, str]]:
        await asyncio.sleep(0.05)
        found = [(line.level, line.device, line.key) for line in await self.store.journal.recent()]
        return found[::-1]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with opened(tmp_path) as store:
        world = World(store)
        logbook = Logbook(store.journal)
        devices = {"balance": world.device}
        keeping = asyncio.create_task(logbook.keep(devices, world.link, world.trouble))
        await asyncio.sleep(0.05)
        yield world
        keeping.cancel()
        await asyncio.wait({keeping})


async def test_one_line_down_and_one_line_up(world: World) -> None:
    world.device.is_up()
    assert await world.lines() == []
    for seconds in ("0.25", "1", "5"):
        failing = Health(State.FAILING, "device.silent", {"retry_in": seconds})
        world.device.health.set(failing)
        await asyncio.sleep(0.02)
    world.device.is_up()
    assert await world.lines() == [
        ("error", "balance", "device.silent"),
        ("info", "balance", "status.up"),
    ]


async def test_links_and_what_keeps_facts_here(world: World) -> None:
    world.link.set(LinkState(up=True, key="link.up", params={"host": "h"}))
    await asyncio.sleep(0.02)
    world.trouble.set("link.facts_refused")
    assert await world.lines() == [("info", "", "link.up"), ("error", "", "link.facts_refused")]
