"""Happenings: each listener gets each one, and a slow one loses only its own."""

import asyncio

from devices import Bus


async def test_every_listener_gets_everything_in_order():
    bus: Bus[int] = Bus("badges")
    bus.publish(0)  # nobody listens: nobody misses it
    async with bus.listen() as one, bus.listen() as two:
        for number in range(1, 4):
            bus.publish(number)
        assert [await anext(one) for _ in range(3)] == [1, 2, 3]
        assert [await anext(two) for _ in range(3)] == [1, 2, 3]


async def test_listening_starts_with_the_block_and_ends_with_it():
    bus: Bus[str] = Bus("badges")
    async with bus.listen() as items:
        bus.publish("before anybody reads")
        assert await anext(items) == "before anybody reads"
    bus.publish("after")
    assert not bus._queues


async def test_a_listener_that_stops_loses_its_oldest_loudly_and_delays_nobody(caplog):
    bus: Bus[int] = Bus("badges")
    async with bus.listen(size=2) as slow, bus.listen() as quick:
        for number in range(4):
            bus.publish(number)
        assert [await anext(slow) for _ in range(2)] == [2, 3]
        assert [await asyncio.wait_for(anext(quick), 5) for _ in range(4)] == [0, 1, 2, 3]
    assert [record.levelname for record in caplog.records] == ["ERROR"]  # once a minute
    assert "badges" in caplog.text
