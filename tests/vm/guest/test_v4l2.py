"""V4L2 by real drivers of the kernel: a camera with MJPG, one without, and a cable pulled."""

import asyncio
import select
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from support.cameras import decodes, next_frame, picture, until, without_tables
from support.kernel import LoopbackCamera, Vivid

from camera.jpeg import STANDARD_HUFFMAN, size_of
from camera.v4l2 import V4l2Camera, V4l2Settings
from camera.videodev import VideoStream, look
from devices import Absent, Lost, Refused, State
from devices.keep import keep

FILM = [picture(number, (320, 240)) for number in range(8)]


@pytest.fixture
def loopback() -> Iterator[LoopbackCamera]:
    with LoopbackCamera((320, 240)) as camera:
        yield camera


def camera_at(path: str, **settings: object) -> V4l2Camera:
    return V4l2Camera("webcam", V4l2Settings(port=Path(path), width=320, height=240, **settings))


@asynccontextmanager
async def filming(loopback: LoopbackCamera, film: list[bytes]) -> AsyncIterator[None]:
    async def show() -> None:
        number = 0
        while True:
            loopback.show(film[number % len(film)])
            number += 1
            await asyncio.sleep(0.05)

    task = asyncio.create_task(show())
    try:
        yield
    finally:
        assert not task.done()
        task.cancel()


@asynccontextmanager
async def kept(camera: V4l2Camera) -> AsyncIterator[None]:
    task = asyncio.create_task(keep(camera))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def is_open(path: str) -> bool:
    """This process has the node open beside the test's own end."""
    return [fd.resolve() for fd in Path("/proc/self/fd").iterdir()].count(Path(path)) > 1


async def test_frames_flow_only_while_watched(loopback: LoopbackCamera) -> None:
    camera = camera_at(loopback.path)
    async with filming(loopback, FILM), kept(camera):
        await until(lambda: camera.health.get().state is State.UP, 60)
        assert not is_open(loopback.path)
        async with camera.watching():
            for _ in range(3):
                frame = await next_frame(camera, 60)
                assert frame.jpeg in FILM
            assert size_of(frame.jpeg) == (320, 240)
            assert is_open(loopback.path)
        await until(lambda: not is_open(loopback.path))
        assert camera.frames.get() is None
        still = await camera.still()
        assert still in FILM
        await until(lambda: not is_open(loopback.path))


async def test_pictures_without_tables_are_completed(loopback: LoopbackCamera) -> None:
    camera = camera_at(loopback.path)
    bare = [without_tables(jpeg) for jpeg in FILM]
    assert b"\xff\xc4" not in bare[0][: bare[0].index(b"\xff\xda")]
    async with filming(loopback, bare), kept(camera), camera.watching():
        frame = await next_frame(camera, 60)
    assert decodes(frame.jpeg)
    assert STANDARD_HUFFMAN in frame.jpeg


async def test_broken_pictures_are_never_shown(loopback: LoopbackCamera) -> None:
    camera = camera_at(loopback.path)
    film = [FILM[0], FILM[1][:900], FILM[2], b"\0" * 2000, FILM[3][2:]]
    shown = set()
    async with filming(loopback, film), kept(camera), camera.watching():
        for _ in range(6):
            shown.add((await next_frame(camera, 60)).jpeg)
    assert shown == {FILM[0], FILM[2]}


async def test_silence(loopback: LoopbackCamera) -> None:
    camera = camera_at(loopback.path, stale_s=1)
    run = asyncio.create_task(camera.run())
    async with camera.watching():
        async with filming(loopback, FILM):
            await next_frame(camera, 60)
        with pytest.raises(Lost, match=r"device\.silent"):
            await run
        assert camera.frames.get() is None
    assert not is_open(loopback.path)


async def test_unplugged_while_nobody_watches_and_plugged_in_again() -> None:
    loopback = LoopbackCamera((320, 240))
    camera = camera_at(loopback.path)
    async with kept(camera):
        await until(lambda: camera.health.get().state is State.ABSENT)
        with loopback:
            await until(lambda: camera.health.get().state is State.UP, 60)
        await until(lambda: camera.health.get().state is State.ABSENT)
        with loopback:
            async with filming(loopback, FILM), camera.watching():
                assert (await next_frame(camera, 60)).jpeg in FILM
            await until(lambda: not is_open(loopback.path))


async def test_a_camera_without_mjpg_is_refused() -> None:
    with Vivid() as vivid:
        assert look(vivid.path).captures
        with pytest.raises(Refused, match=r"camera\.no_mjpeg"):
            await camera_at(vivid.path).run()


async def test_what_is_no_camera() -> None:
    with pytest.raises(Refused, match=r"device\.port_invalid"):
        await camera_at("/dev/null").run()
    with pytest.raises(Absent):
        await camera_at("/dev/video99").run()


async def test_the_cable_is_pulled_in_mid_stream() -> None:
    """vivid's raw pictures through the same buffers: what ENODEV looks like from below."""
    with Vivid() as vivid:
        video = VideoStream.open(vivid.path, b"YUYV", (320, 180), 15)
        try:
            assert video.size == (320, 180)
            for _ in range(3):
                assert select.select([video.fd], [], [], 30)[0]
                frame = video.newest()
                assert frame is not None
                assert len(frame) == 320 * 180 * 2
            vivid.pull()
            assert select.select([video.fd], [], [], 30)[0]
            with pytest.raises(OSError, match="No such device"):
                video.newest()
        finally:
            video.close()


async def test_the_same_through_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("camera.v4l2._MJPG", b"YUYV")
    monkeypatch.setattr("camera.v4l2.only_picture", lambda frame: frame)
    with Vivid() as vivid:
        camera = camera_at(vivid.path)
        run = asyncio.create_task(camera.run())
        async with camera.watching():
            await next_frame(camera, 60)
            still = asyncio.create_task(camera.still())
            await asyncio.to_thread(vivid.pull)
            with pytest.raises(Lost, match=r"device\.unplugged"):
                await run
            assert camera.frames.get() is None
            with suppress(Lost):
                await still
