"""Holding one device as the daemon does, and waiting for what it says."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from badge_reader import BadgeRead, BadgeReader
from devices import Device
from devices.keep import keep


async def until(true: Callable[[], object], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def kept(device: Device) -> AsyncIterator[None]:
    """The device under its supervisor."""
    task = asyncio.create_task(keep(device))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def listening(reader: BadgeReader) -> AsyncIterator[list[BadgeRead]]:
    """Every badge shown inside the block."""
    heard: list[BadgeRead] = []

    async def listen() -> None:
        async with reader.badges.listen() as badges:
            ready.set()
            async for badge in badges:
                heard.append(badge)  # noqa: PERF401 (whoever waits must see each at once)

    ready = asyncio.Event()
    task = asyncio.create_task(listen())
    await ready.wait()
    try:
        yield heard
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
