"""The wire: what goes over it, what is lost when it is cut."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from support.echo import until
from support.serving import serving
from support.wire import Wire


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1000):
        writer.write(data)


async def _rest(reader: asyncio.StreamReader) -> bytes:
    """What still comes until the connection ends, however it ends."""
    data = b""
    with suppress(OSError):
        while piece := await reader.read(1000):
            data += piece
    return data


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with serving(_echo) as port, Wire(port) as wire:
        yield wire


async def test_it_carries_both_ways_and_counts(wire: Wire) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
    writer.write(b"there and back")
    assert await reader.readexactly(14) == b"there and back"
    assert (wire.connections, wire.came_back) == (1, 14)
    writer.close()


async def test_it_is_cut_in_the_middle_of_what_is_said(wire: Wire) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
    wire.cut_after(19)  # fourteen bytes there, and five of those that come back
    writer.write(b"there and back")
    assert await _rest(reader) in (b"there", b"")  # an end that is aborted may lose what it has
    writer.close()


async def test_unplugged_it_refuses_and_plugged_in_it_takes_again(wire: Wire) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
    await wire.unplug()
    assert await _rest(reader) == b""
    writer.close()
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", wire.port)
    await wire.plug()
    reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
    writer.write(b"x")
    assert await reader.readexactly(1) == b"x"
    writer.close()


async def test_held_it_keeps_what_is_said(wire: Wire) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
    wire.hold()
    writer.write(b"later")
    await until(lambda: wire.connections)
    assert wire.came_back == 0
    wire.flow()
    assert await reader.readexactly(5) == b"later"
    writer.close()
