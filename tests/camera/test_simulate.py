import asyncio

from support.cameras import decodes, until

from camera.figure import LOOP, Figure
from camera.jpeg import only_picture, size_of
from camera.simulate import MjpegSimulator


def test_the_figure_moves_and_comes_round() -> None:
    figure = Figure((320, 240))
    film = [figure.picture(number) for number in range(LOOP)]
    assert len(set(film)) == LOOP
    assert all(decodes(picture) for picture in film)
    assert size_of(film[0]) == (320, 240)
    assert figure.picture(LOOP) is film[0]


async def test_two_viewers_see_the_same_camera() -> None:
    async with MjpegSimulator(fps=50) as camera:
        streams = [await asyncio.open_connection("127.0.0.1", camera.port) for _ in range(2)]
        for _reader, writer in streams:
            writer.write(b"GET /stream HTTP/1.0\r\n\r\n")
        for reader, _writer in streams:
            assert (await reader.readuntil(b"\r\n")) == b"HTTP/1.0 200 OK\r\n"
        await until(lambda: camera.viewers.get() == 2)
        for _reader, writer in streams:
            writer.close()
        await until(lambda: camera.viewers.get() == 0)


async def test_still_and_other_addresses() -> None:
    async with MjpegSimulator() as camera:
        assert decodes(only_picture((await _get(camera, "/still")).partition(b"\r\n\r\n")[2]))
        assert (await _get(camera, "/admin")).startswith(b"HTTP/1.0 404 ")
        camera.silent = True
        reader, writer = await asyncio.open_connection("127.0.0.1", camera.port)
        writer.write(b"GET /still HTTP/1.0\r\n\r\n")
        assert await _nothing_in(reader, 0.3)
        writer.close()


async def test_unplugged_with_viewers_and_plugged_in_at_the_same_port() -> None:
    async with MjpegSimulator(fps=50) as camera:
        port = camera.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /stream HTTP/1.0\r\n\r\n")
        await reader.readuntil(b"\r\n")
        await camera.unplug()
        await camera.unplug()
        assert camera.viewers.get() == 0
        await camera.plug()
        assert camera.port == port
        assert await _get(camera, "/still")
        writer.close()


async def _get(camera: MjpegSimulator, path: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", camera.port)
    writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return answer


async def _nothing_in(reader: asyncio.StreamReader, seconds: float) -> bool:
    try:
        await asyncio.wait_for(reader.read(1), seconds)
    except TimeoutError:
        return True
    return False
