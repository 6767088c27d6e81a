"""The bridge dies, at each step and at any moment, and Odoo has every fact once."""

import asyncio
import base64
import random
from datetime import UTC, datetime, timedelta

import pytest
from support.bridging import BridgeProcess
from support.delivered import CAMILLE, NADIA, PAUL, World, jpeg, passages
from support.stations import FakeStation

from bridge.odoo import to_odoo

STEPS = [
    "before:bridge.inbox:Inbox.store:1",
    "after:bridge.blobs:Blobs.put:1",
    "after:bridge.inbox:Inbox.store:1",
    "after:mqtt.link:Incoming.done:1",
    "before:bridge.inbox:Inbox.ack:2",
    "before:bridge.post:Post._send:3",
    "before:bridge.wire.jsonrpc:JsonRpc.call:5",
    "after:bridge.wire.jsonrpc:JsonRpc.call:5",
    "after:bridge.wire.jsonrpc:JsonRpc.call:9",
    "before:bridge.inbox:Inbox.done:1",
    "after:bridge.inbox:Inbox.done:1",
    "after:bridge.wire.jsonrpc:JsonRpc.call:11",
]


@pytest.mark.timeout(180)
async def test_killed_between_two_steps(world: World) -> None:
    """The bridge dies at each step of a fact's way, one after the other, and is started again."""
    bridge = BridgeProcess(world.config)
    try:
        async with world.station() as station:
            begin = datetime(2026, 11, 20, 6, 0, tzinfo=UTC)
            for number, step in enumerate(STEPS):
                for employee in (NADIA, PAUL):  # they go to Odoo together
                    station.badge(employee=employee, at=begin + timedelta(minutes=2 * number))
                station.photo(jpeg(number), CAMILLE)
                for employee in (NADIA, PAUL):
                    station.badge(employee=employee, at=begin + timedelta(minutes=2 * number + 1))
                bridge.start(die=step)
                await bridge.dead()
            bridge.start()
            ack = await station.settled(60)
    finally:
        await bridge.close()
    assert ack.parked == ()
    assert ack.done == 5 * len(STEPS)
    assert world.attendances() == [
        (
            employee,
            to_odoo(begin + timedelta(minutes=2 * number)),
            to_odoo(begin + timedelta(minutes=2 * number + 1)),
        )
        for employee in (NADIA, PAUL)
        for number in range(len(STEPS))
    ]
    photo = world.odoo.database.tables["res.partner"][CAMILLE]["image_1920"]
    assert base64.b64decode(photo) == jpeg(len(STEPS) - 1)


async def somewhere_further(*stations: FakeStation) -> None:
    """Until something more is done, or nothing is left to do."""
    before = [station.ack.get() for station in stations]
    async with asyncio.timeout(30):
        while [station.ack.get() for station in stations] == before:
            if all(station.ack.get().done == len(station.rows) for station in stations):
                return
            await asyncio.sleep(0.01)


@pytest.mark.timeout(180)
async def test_killed_at_any_moment(world: World) -> None:
    """kill -9 at random points, answers lost and Odoo away in between: once each, in order."""
    seed = random.randrange(2**32)
    print("seed", seed)
    rng = random.Random(seed)
    bridge = BridgeProcess(world.config)
    portraits = {member: jpeg(member) for member in range(101, 105)}
    try:
        async with world.station() as one, world.station("caisse") as other:
            expected = passages(one, 40, (NADIA,)) + passages(other, 40, (PAUL,))
            for member, portrait in portraits.items():
                other.photo(portrait, member)
            world.odoo.faults.slow_s = 0.02
            progress = []
            for round_ in range(12):
                bridge.start()
                world.odoo.faults.lose = rng.choice((0, 0, 1, 2))
                if round_ % 3:  # let it get somewhere first, however busy the machine is
                    await somewhere_further(one, other)
                await asyncio.sleep(rng.uniform(0, 0.8))
                if round_ % 4 == 3:
                    await world.odoo.down()
                await bridge.kill()
                progress.append(one.ack.get().done + other.ack.get().done)
                await world.odoo.up()
            print("done after each kill", progress)
            world.odoo.faults.lose, world.odoo.faults.slow_s = 0, 0.0
            bridge.start()
            acks = [await station.settled(100) for station in (one, other)]
    finally:
        await bridge.close()
    assert world.attendances() == sorted(expected), f"seed {seed}"
    assert [ack.parked for ack in acks] == [(), ()]
    assert [ack.done for ack in acks] == [40, 44]
    assert len(world.odoo.state()["photos"]) == 4
    counts = await world.counts()
    assert (counts["done"], counts["strays"]) == (84, 0)
