"""Readings: the newest counts, and nobody waits."""

import asyncio

from devices import Value


async def collect(value: Value[int], seen: list[int]) -> None:
    async for number in value.changes():
        seen.append(number)  # noqa: PERF401 (the list is watched while it grows)


async def ticks(count: int = 5) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_listener_gets_the_current_value_and_each_change():
    value, seen = Value(1), []
    listening = asyncio.create_task(collect(value, seen))
    await ticks()
    for number in (2, 3):
        value.set(number)
        await ticks()
    listening.cancel()
    assert seen == [1, 2, 3]
    assert value.get() == 3


async def test_what_a_slow_listener_missed_is_skipped():
    value, seen = Value(0), []
    listening = asyncio.create_task(collect(value, seen))
    await ticks()
    for number in range(1, 1000):
        value.set(number)
    await ticks()
    listening.cancel()
    assert seen == [0, 999]


async def test_an_equal_value_wakes_nobody_but_is_kept():
    old, new = 1000.0, float("1000")
    value = Value(old)
    woken: list[float] = []

    async def listen() -> None:
        async for number in value.changes():
            woken.append(number)  # noqa: PERF401 (the list is watched while it grows)

    listening = asyncio.create_task(listen())
    await ticks()
    value.set(new)
    await ticks()
    listening.cancel()
    assert len(woken) == 1
    assert value.get() is new


async def test_listeners_that_go_leave_nothing_behind():
    value = Value(0)
    for _ in range(10):
        listening = asyncio.create_task(collect(value, []))
        await ticks()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
    assert not value._waiters
