"""Whether the clock can be believed."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from support.stores import fact

from edged.clock import ClockQuality, kernel_synced, tell_when_right
from store import Store


class World:
    def __init__(self) -> None:
        self.synced = False
        self.now = 1000.0

    def quality(self, *, trusted: bool = False) -> ClockQuality:
        return ClockQuality(trusted=trusted, synced=lambda: self.synced, monotonic=lambda: self.now)


def test_a_clock_nobody_set_is_unsynced() -> None:
    assert World().quality()() == "unsynced"


def test_synced_then_lost_is_holdover_after_a_day() -> None:
    world = World()
    quality = world.quality()
    world.synced = True
    assert quality() == "synced"
    world.synced = False
    world.now += 23 * 3600
    assert quality() == "synced"
    world.now += 2 * 3600
    assert quality() == "holdover"
    world.synced = True
    assert quality() == "synced"


def test_a_trusted_clock_is_synced() -> None:
    assert World().quality(trusted=True)() == "synced"


def test_the_kernel_is_asked() -> None:
    """The struct is ours: hold its answer against the kernel's, by another way."""
    code = "import ctypes;t=(ctypes.c_long*64)();r=ctypes.CDLL(None).adjtimex(t);"
    code += "s=ctypes.cast(ctypes.addressof(t)+40,ctypes.POINTER(ctypes.c_int))[0];"
    code += "print(0<=r<5 and not s&0x40)"
    if sys.maxsize < 2**32:
        pytest.fail("edged is for 64-bit systems")
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert str(kernel_synced()) == asked.stdout.strip()


@asynccontextmanager
async def station(folder: Path, world: World) -> AsyncIterator[Store]:
    """A store, and the task that tells when the clock is right; a daemon from start to end."""
    quality = world.quality()
    store = await Store.open(folder, clock=quality)
    task = asyncio.create_task(tell_when_right(quality, store.outbox, look_s=0.01))
    try:
        yield store
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await store.close()


async def kinds(store: Store) -> list[str]:
    """Of the facts that are there, after the clock was looked at some times."""
    await asyncio.sleep(0.1)
    return [fact.kind async for fact in store.outbox.export()]


async def until_kinds(store: Store, expected: list[str]) -> None:
    async with asyncio.timeout(20):
        while [fact.kind async for fact in store.outbox.export()] != expected:
            await asyncio.sleep(0.01)


async def test_the_clock_is_told_once_when_facts_wait_for_it(tmp_path: Path) -> None:
    world = World()
    async with station(tmp_path, world) as store:
        await store.outbox.put("badge", fact())
        assert await kinds(store) == ["badge"]
        world.synced = True
        await until_kinds(store, ["badge", "clock"])
        await store.outbox.put("badge", fact())
        assert await kinds(store) == ["badge", "clock", "badge"]
        bodies = [json.loads(row.body) for row in await store.outbox.waiting(0, 99)]
        assert [body["clock"] for body in bodies] == ["unsynced", "synced", "synced"]
        assert bodies[1]["data"]["boot"] == bodies[0]["boot"]
        assert bodies[1]["data"]["up"] >= bodies[0]["up"]


async def test_facts_of_a_daemon_that_ended_before_are_dated_too(tmp_path: Path) -> None:
    """It is started again, and meanwhile the clock is set: else nobody could ever date them."""
    world = World()
    async with station(tmp_path, world) as store:
        await store.outbox.put("badge", fact())
    world.synced = True
    async with station(tmp_path, world) as store:
        await until_kinds(store, ["badge", "clock"])
    async with station(tmp_path, world) as store:
        assert await kinds(store) == ["badge", "clock"]


async def test_a_clock_that_was_always_right_is_not_told(tmp_path: Path) -> None:
    world = World()
    world.synced = True
    async with station(tmp_path, world) as store:
        await store.outbox.put("badge", fact())
        assert await kinds(store) == ["badge"]


async def test_a_full_disk_puts_the_telling_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    async with station(tmp_path, world) as store:
        await store.outbox.put("badge", fact())
        store.outbox._reserve.release()
        monkeypatch.setattr(store.outbox._reserve, "_fill", lambda: False)
        world.synced = True
        assert await kinds(store) == ["badge"]
        monkeypatch.undo()
        await until_kinds(store, ["badge", "clock"])
