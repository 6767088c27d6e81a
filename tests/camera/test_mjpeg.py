import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from pydantic import ValidationError
from support.cameras import decodes, next_frame, picture, until
from support.serving import serving

from camera.figure import Figure
from camera.jpeg import size_of
from camera.mjpeg import MjpegCamera, MjpegSettings
from camera.simulate import MjpegSimulator
from devices import Absent, Lost, Refused, State
from devices.errors import Unreachable
from devices.keep import keep

STREAM = b"Content-Type: multipart/x-mixed-replace; boundary=frame"


@asynccontextmanager
async def kept(camera: MjpegCamera) -> AsyncIterator[None]:
    task = asyncio.create_task(keep(camera))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def world() -> AsyncIterator[MjpegSimulator]:
    async with MjpegSimulator(fps=25) as simulator:
        yield simulator


def camera_at(url: str, **settings: object) -> MjpegCamera:
    return MjpegCamera("cam", MjpegSettings(url=url, **settings))


async def test_frames_flow_only_while_somebody_watches(world: MjpegSimulator) -> None:
    camera = camera_at(world.url)
    async with kept(camera):
        await until(lambda: camera.health.get().state is State.UP)
        assert world.viewers.get() == 0
        async with camera.watching():
            first = await next_frame(camera)
            second = await next_frame(camera)
            assert first.jpeg != second.jpeg
            assert size_of(first.jpeg) == (640, 480)
            assert world.viewers.get() == 1
            async with camera.watching():
                pass
            await next_frame(camera)
        assert camera.frames.get() is None
        await until(lambda: world.viewers.get() == 0)
        async with camera.watching():
            await next_frame(camera)
        await until(lambda: world.viewers.get() == 0)
        assert camera.health.get().state is State.UP


async def test_unplugged_while_watched_and_plugged_in_again(world: MjpegSimulator) -> None:
    camera = camera_at(world.url)
    async with kept(camera), camera.watching():
        await next_frame(camera)
        await world.unplug()
        await until(lambda: camera.frames.get() is None)
        await until(lambda: camera.health.get().state is State.ABSENT)
        await world.plug()
        await next_frame(camera)
        assert camera.health.get().state is State.UP


async def test_silence_is_noticed() -> None:
    async with MjpegSimulator(fps=25) as world:
        camera = camera_at(world.url, stale_s=0.5)
        run = asyncio.create_task(camera.run())
        async with camera.watching():
            await next_frame(camera)
            world.silent = True
            began = time.monotonic()
            with pytest.raises(Lost, match=r"device\.silent"):
                await run
            assert 0.4 < time.monotonic() - began < 5
            assert camera.frames.get() is None


async def test_broken_pictures_are_never_shown(world: MjpegSimulator) -> None:
    camera = camera_at(world.url, stale_s=30)
    shown = []
    run = asyncio.create_task(camera.run())
    async with camera.watching():
        await next_frame(camera)
        world.broken = True
        sent = world.number
        await until(lambda: world.number > sent + 10)
        await asyncio.sleep(0.3)
        before = camera.frames.get()
        watch = asyncio.create_task(_collect(camera, shown))
        await asyncio.sleep(1)
        assert [frame for frame in shown if frame is not before] == []
        world.broken = False
        await next_frame(camera)
        watch.cancel()
    assert shown
    assert all(decodes(frame.jpeg) for frame in shown if frame)
    run.cancel()


async def _collect(camera: MjpegCamera, shown: list) -> None:
    async for frame in camera.frames.changes():
        shown.append(frame)  # noqa: PERF401 (the film has no end)


async def test_only_broken_pictures_are_silence(
    world: MjpegSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("camera.streaming.START_S", 1.0)
    world.broken = True
    camera = camera_at(world.url, stale_s=0.5)
    run = asyncio.create_task(camera.run())
    async with camera.watching():
        with pytest.raises(Lost, match=r"device\.silent"):
            await run


async def test_a_frozen_picture_is_told_and_makes_no_still(
    world: MjpegSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("camera.streaming.FROZEN_S", 0.4)
    camera = camera_at(world.url)
    async with kept(camera), camera.watching():
        await next_frame(camera)
        world.frozen = True
        await until(lambda: camera.health.get().key == "camera.frozen")
        assert camera.health.get().state is State.DEGRADED
        with pytest.raises(Lost, match=r"camera\.frozen"):
            await camera.still()
        world.frozen = False
        await until(lambda: camera.health.get().state is State.UP)
        assert await camera.still()


async def test_a_picture_frozen_since_the_last_visitor_makes_no_still(
    world: MjpegSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody may get the portrait of who stood there before."""
    camera = camera_at(world.url)
    async with kept(camera):
        async with camera.watching():
            await next_frame(camera)
            world.frozen = True
            for _ in range(3):
                await next_frame(camera)
        await until(lambda: world.viewers.get() == 0)
        monkeypatch.setattr("camera.streaming.FROZEN_S", 0.5)
        await asyncio.sleep(1)
        with pytest.raises(Lost, match=r"camera\.frozen"):
            await camera.still()
        world.frozen = False
        assert await camera.still()


class TestStill:
    async def test_is_newer_than_the_call(self, world: MjpegSimulator) -> None:
        camera = camera_at(world.url)
        async with kept(camera):
            await until(lambda: camera.health.get().state is State.UP)
            async with camera.watching():
                await next_frame(camera)
                asked = world.number
                still = await camera.still()
            film = Figure()
            numbers = [n for n in range(asked + 1, asked + 31) if film.picture(n) == still]
            assert numbers, "a picture from before the call (or from much later)"

    async def test_nobody_need_watch(self, world: MjpegSimulator) -> None:
        camera = camera_at(world.url)
        async with kept(camera):
            await until(lambda: camera.health.get().state is State.UP)
            assert decodes(await camera.still())
            await until(lambda: world.viewers.get() == 0)

    async def test_by_its_own_address(self, world: MjpegSimulator) -> None:
        camera = camera_at(world.url, still_url=world.still_url)
        async with kept(camera):
            await until(lambda: camera.health.get().state is State.UP)
            first, second = await camera.still(), await camera.still()
            assert decodes(first)
            assert first != second
            assert world.viewers.get() == 0
            world.broken = True
            for _ in range(6):
                with pytest.raises(Lost):
                    await camera.still()

    async def test_the_camera_dies_meanwhile(self, world: MjpegSimulator) -> None:
        camera = camera_at(world.url, stale_s=20)
        async with kept(camera), camera.watching():
            await next_frame(camera)
            world.silent = True
            still = asyncio.create_task(camera.still())
            await asyncio.sleep(0.2)
            assert not still.done()
            await world.unplug()
            with pytest.raises(Lost):
                await still

    async def test_no_camera(self, world: MjpegSimulator) -> None:
        camera = camera_at(world.url, still_url=world.still_url)
        with pytest.raises(Lost):
            await camera.still()
        await world.unplug()
        async with kept(camera):
            await until(lambda: camera.health.get().state is State.ABSENT)
            with pytest.raises(Lost):
                await camera.still()
            with pytest.raises(Lost):
                await camera_at(world.url).still()


async def test_nobody_listens() -> None:
    async with MjpegSimulator() as world:
        url = world.url
    camera = camera_at(url)
    with pytest.raises(Absent):
        await camera.run()


async def test_plugged(world: MjpegSimulator) -> None:
    camera = camera_at(world.url)
    await world.unplug()
    wait = asyncio.create_task(camera.plugged())
    await asyncio.sleep(0.3)
    assert not wait.done()
    await world.plug()
    await asyncio.wait_for(wait, 20)


@pytest.mark.parametrize(
    ("answer", "error", "key"),
    [
        (b"HTTP/1.0 401 Unauthorized\r\n\r\n", Refused, "camera.login"),
        (b"HTTP/1.0 404 Not Found\r\n\r\n", Refused, "camera.http"),
        (b"HTTP/1.0 302 Found\r\nLocation: /x\r\n\r\n", Refused, "camera.http"),
        (b"HTTP/1.0 503 Busy\r\n\r\n", Lost, "camera.http"),
        (b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<p>", Refused, "camera.not_mjpeg"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", Refused, "camera.not_mjpeg"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n%s\r\n\r\n" % STREAM,
            Refused,
            "camera.not_mjpeg",
        ),
        (b"", Unreachable, "device.unplugged"),
    ],
)
async def test_what_other_servers_answer(answer: bytes, error: type[Exception], key: str) -> None:
    async with other_server(answer) as url:
        camera = camera_at(url)
        run = asyncio.create_task(camera.run())
        async with camera.watching():
            with pytest.raises(error, match=key):
                await run


async def test_a_still_without_a_length_ends_with_the_connection() -> None:
    jpeg = picture(3)
    head = b"HTTP/1.0 200 OK\r\nContent-Type: image/jpeg\r\n\r\n"
    async with MjpegSimulator() as world, other_server(head + jpeg) as url:
        camera = camera_at(world.url, still_url=url)
        async with kept(camera):
            await until(lambda: camera.health.get().state is State.UP)
            assert await camera.still() == jpeg


async def test_a_burst_shows_the_newest_only() -> None:
    pictures = [picture(number) for number in range(20)]
    head = b"HTTP/1.0 200 OK\r\n%s\r\n\r\n" % STREAM
    body = b"".join(b"--frame\r\n\r\n" + jpeg + b"\r\n" for jpeg in pictures)
    async with other_server(head + body, stay=True) as url:
        camera = camera_at(url, stale_s=30)
        run = asyncio.create_task(camera.run())
        async with camera.watching():
            async with asyncio.timeout(20):
                async for frame in camera.frames.changes():
                    if frame and frame.jpeg == pictures[-1]:
                        break
        run.cancel()


@asynccontextmanager
async def other_server(answer: bytes, *, stay: bool = False) -> AsyncIterator[str]:
    """Says `answer` to whatever it is asked, and hangs up unless told to `stay`."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        if stay:
            await reader.read()

    async with serving(serve) as port:
        yield f"http://127.0.0.1:{port}/video"


@pytest.mark.parametrize(
    "settings",
    [
        {"url": "https://cam/"},
        {"url": "http://me:secret@cam/"},
        {"url": "http://cam/", "stale_s": 0},
        {"url": "http://cam/", "colour": "blue"},
        {},
    ],
)
def test_settings_that_are_refused(settings: dict) -> None:
    with pytest.raises(ValidationError):
        MjpegSettings(**settings)
