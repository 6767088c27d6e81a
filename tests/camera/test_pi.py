import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import pytest
from support.cameras import next_frame, until
from support.picamera2_standin import World, picamera2

from camera.jpeg import size_of
from camera.pi import PiCamera, PiSettings
from devices import Absent, Lost, Refused, State
from devices.keep import keep


@pytest.fixture
def world() -> Iterator[World]:
    with picamera2() as world:
        yield world


@asynccontextmanager
async def kept() -> AsyncIterator[PiCamera]:
    camera = PiCamera("booth", PiSettings())
    task = asyncio.create_task(keep(camera))
    try:
        await until(lambda: camera.health.get().state is State.UP)
        yield camera
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_without_the_library() -> None:
    """As it is on every machine that is no Raspberry Pi, this one included."""
    with pytest.raises(Refused, match=r"device\.missing_library library=picamera2"):
        await PiCamera("booth", PiSettings()).run()


async def test_the_sensor_runs_only_while_watched(world: World) -> None:
    async with kept() as camera:
        assert world.open == 0
        async with camera.watching():
            first = await next_frame(camera)
            assert (await next_frame(camera)).jpeg != first.jpeg
            assert size_of(first.jpeg) == (64, 36)
            assert world.open == 1
        await until(lambda: world.open == 0)
        assert camera.frames.get() is None
    assert threading.main_thread().name not in world.threads, "closing may block the loop"


async def test_a_still_is_of_the_large_stream_and_everything_is_released(world: World) -> None:
    async with kept() as camera:
        assert size_of(await camera.still()) == (2304, 1296)
        await until(lambda: world.open == 0)
        async with camera.watching():
            await next_frame(camera)
            assert size_of(await camera.still()) == (2304, 1296)
        assert world.requests == 0


async def test_the_sensor_dies(world: World) -> None:
    async with kept() as camera, camera.watching():
        await next_frame(camera)
        world.dead = True
        await until(lambda: camera.health.get().key == "device.silent")
        assert camera.frames.get() is None
        await until(lambda: world.open == 0)
        world.dead = False
        await next_frame(camera)


async def test_it_dies_during_a_still(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("camera.pi._SHOT_S", 0.5)
    camera = PiCamera("booth", PiSettings(stale_s=20))
    run = asyncio.create_task(camera.run())
    async with camera.watching():
        await next_frame(camera)
        still = asyncio.create_task(camera.still())
        await next_frame(camera)
        world.dead = True
        with suppress(Lost):
            await still
        with pytest.raises(Lost, match=r"device\.silent"):
            await camera._request()
        assert world.cancelled >= 1
        assert world.requests == 0
    run.cancel()
    await asyncio.wait({run})


async def test_no_camera_and_a_busy_one(world: World) -> None:
    world.cameras = 0
    with pytest.raises(Absent):
        await PiCamera("booth", PiSettings()).run()
    world.cameras, world.busy = 1, True
    camera = PiCamera("booth", PiSettings())
    run = asyncio.create_task(camera.run())
    async with camera.watching():
        with pytest.raises(Lost, match=r"device\.busy"):
            await run
    with pytest.raises(Lost):
        await camera.still()
