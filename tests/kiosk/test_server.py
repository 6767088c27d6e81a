"""The pages over a real socket: events as bytes, and a server that stops when told to."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from support.screens import CAMILLE, Bench, running, settle

from devices import Value
from kiosk.app import build
from kiosk.server import serve
from kiosk.stream import beating


@dataclass
class Stream:
    """One event stream, read as a browser would."""

    reader: asyncio.StreamReader

    async def event(self, wanted: str, within: float = 10) -> str:
        """The data of the next event of this name."""
        async with asyncio.timeout(within):
            while True:
                name, data = "", []
                while (line := (await self._line())) != "":
                    field, _, text = line.partition(": ")
                    if field == "event":
                        name = text
                    elif field == "data":
                        data.append(text)
                if name == wanted:
                    return "\n".join(data)

    async def _line(self) -> str:
        line = await self.reader.readline()
        assert line, "the stream ended"
        return line.decode().rstrip("\r\n")


@asynccontextmanager
async def serving(app: object) -> AsyncIterator[int]:
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(serve(app, port=0, listening=port.set_result))
    try:
        yield await port
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def listening(port: int, page: str) -> AsyncIterator[Stream]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /{page}/stream HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 200 " in head
    assert b"text/event-stream" in head
    try:
        yield Stream(_Chunks(reader))
    finally:
        writer.close()


class _Chunks:
    """Takes HTTP's chunks apart."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._rest = b""

    async def readline(self) -> bytes:
        while b"\n" not in self._rest:
            size = int(await self._reader.readline() or b"0", 16)
            if size == 0:
                return b""
            self._rest += await self._reader.readexactly(size)
            await self._reader.readexactly(2)
        line, _, self._rest = self._rest.partition(b"\n")
        return line + b"\n"


async def test_a_badge_reaches_the_page(made: Bench) -> None:
    entrance = made.entrance()
    app = build(made.station, entrance)
    async with running(entrance), serving(app) as port, listening(port, "entrance") as stream:
        beat = json.loads(await stream.event("heartbeat"))
        assert beat["build"] == "0.4.0"
        assert "Présentez votre badge" in await stream.event("screen")
        made.reader.show(CAMILLE)
        screen = await stream.event("screen")
        assert "Bonjour Camille" in screen
        assert 'data-cue="1 ok"' in screen
        await stream.event("heartbeat")


async def test_only_digits_travel_when_only_digits_change(made: Bench) -> None:
    weighing = made.weighing()
    app = build(made.station, None, weighing)
    async with running(weighing), serving(app) as port, listening(port, "scale") as stream:
        await stream.event("screen")
        weighing.tap("pick", "104")
        made.scale.put(482)
        await stream.event("screen")
        await settle()
        made.scale.put(490)
        value = json.loads(await stream.event("value"))
        assert value == {"weight": "0,490", "total": "1,45\u00a0€"}
        made.scale.reading.set(None)
        assert "0,490" not in await stream.event("screen")


async def test_status_streams_what_changes(made: Bench) -> None:
    async with serving(build(made.station)) as port, listening(port, "status") as stream:
        assert "en marche" in await stream.event("screen")
        made.unplug(made.scale)
        assert "absent" in await stream.event("screen")


async def test_the_server_stops_at_once_with_streams_open(
    made: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    entrance = made.entrance()
    async with running(entrance):
        async with serving(build(made.station, entrance)) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /entrance/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            await reader.readuntil(b"event: screen")
            before = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - before < 2
        writer.close()
        await settle()
        assert len(entrance.page._waiters) == 0, "the stream let go of the page"
    with pytest.raises(OSError, match="Connect"):
        await asyncio.open_connection("127.0.0.1", port)
    assert caplog.records == []


async def test_a_page_that_goes_away_is_forgotten(made: Bench) -> None:
    entrance = made.entrance()
    async with running(entrance), serving(build(made.station, entrance)) as port:
        for _ in range(3):
            async with listening(port, "entrance") as stream:
                await stream.event("screen")
        async with asyncio.timeout(10):
            while entrance.page._waiters:
                await asyncio.sleep(0.02)


async def test_only_loopback_and_only_a_free_port(made: Bench) -> None:
    app = build(made.station)
    with pytest.raises(ValueError, match="loopback"):
        await serve(app, port=0, host="0.0.0.0")
    async with serving(app) as port:
        with pytest.raises(OSError, match="in use"):
            await serve(app, port=port)


async def test_between_two_beats_each_change_is_given_once() -> None:
    value = Value(0)
    stream = beating(value.changes(), 0.05)
    assert await anext(stream) == 0
    assert await anext(stream) is None
    value.set(1)
    assert await anext(stream) == 1
    assert await anext(stream) is None
    await stream.aclose()
    await settle()
    assert not value._waiters
