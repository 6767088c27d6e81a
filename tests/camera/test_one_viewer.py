"""Network cameras that serve one connection, and rest after it."""

import asyncio
from contextlib import suppress
from pathlib import Path

from support.cameras import next_frame, picture
from support.daemons import STATION, edged
from support.echo import until
from support.one_connection import OneConnection

from camera.mjpeg import MjpegCamera, MjpegSettings
from devices import State
from devices.keep import keep

HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"


class OneViewer(OneConnection):
    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        count = 0
        with suppress(OSError, asyncio.IncompleteReadError):
            count = len(await reader.readuntil(b"\r\n\r\n"))
            writer.write(HEAD)
            number = 0
            while not reader.at_eof() and not writer.is_closing():
                number += 1
                writer.write(b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + picture(number))
                await writer.drain()
                await asyncio.sleep(0.05)
        return count


async def test_who_watches_sees_it_again_after_its_rest() -> None:
    async with OneViewer(rest=1.0) as server:
        camera = MjpegCamera("cam", MjpegSettings(url=server.address))
        async with camera.watching():
            keeping = asyncio.create_task(keep(camera))
            for turn in range(3):
                await until(lambda turn=turn: len(server.served) == turn)
                await next_frame(camera)
                assert camera.health.get().state is State.UP
                server.reset()
                await until(lambda: camera.frames.get() is None)
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
        assert all(server.served), "a connection that nobody used"


async def test_looking_whether_it_is_there_keeps_nobody_out(monkeypatch) -> None:
    monkeypatch.setattr("camera.mjpeg._VIGIL_S", 0.1)
    states = []

    async def watch() -> None:
        async for health in camera.health.changes():
            states.append(health.state)  # noqa: PERF401 (it has no end)

    async with OneViewer(rest=1.0) as server:
        camera = MjpegCamera("cam", MjpegSettings(url=server.address))
        tasks = [asyncio.create_task(keep(camera)), asyncio.create_task(watch())]
        await until(lambda: len(server.served) >= 3)
        async with camera.watching():
            await next_frame(camera)
        assert states == [State.STARTING, State.UP]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_trying_it_takes_one_connection(tmp_path: Path) -> None:
    async with OneViewer(rest=60.0) as server:
        file = tmp_path / "station.toml"
        table = f'[camera.cam]\ndriver = "mjpeg"\nurl = "{server.address}"\n'
        file.write_text(STATION.format(data=tmp_path / "data", port=0) + table)
        status, out, _ = await edged("try", "-c", file, "camera", "cam", "--seconds", "20")
        assert (status, "one picture of" in out) == (0, True), out
